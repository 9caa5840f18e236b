"""DSR: training by differentiation on spike representation (Meng et al. 2022).

Forward, the network spikes. Backward, a neuron is what its rate is as a function of its mean input:
over T steps an IF neuron with threshold V and soft reset fires, in units of V, at the rate
clip(x / V, 0, 1), where x is the mean of its currents. Its derivative, 1 / V between 0 and V and 0
outside, is exact up to the grid of 1 / T, so no surrogate is needed and nothing is carried back
through time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from snnbd_core.learning.ann import with_neurons
from snnbd_core.learning.conversion import HalfStart
from snnbd_core.learning.task import Task, Trained


class Represented(HalfStart):
    """An IF neuron whose gradient is that of its rate; threshold 1, soft reset."""

    def forward(self, current: Tensor, return_potential: bool = False) -> Any:
        """As `LIF.forward`; with ``return_potential`` without gradients."""
        if return_potential or not torch.is_grad_enabled():
            return super().forward(current, return_potential)
        with torch.no_grad():
            spikes = super().forward(current)
        out: Tensor = _Rate.apply(current, spikes)
        return out


class _Rate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, spikes: Tensor) -> Tensor:
        mean = current.mean(dim=0)
        ctx.save_for_backward(mean)
        ctx.steps = len(current)
        return spikes.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_spikes: Tensor) -> tuple[Tensor, None]:
        (mean,) = ctx.saved_tensors
        # dL/drate = sum of dL/dspike[t]; a current is one T-th of the mean
        d_mean = d_spikes.sum(dim=0)
        inside = (mean > 0) & (mean < 1)
        inwards = ((mean <= 0) & (d_mean < 0)) | ((mean >= 1) & (d_mean > 0))
        return (d_mean * (inside | inwards) / ctx.steps).expand_as(d_spikes), None


@dataclass(frozen=True)
class SpikeRepresentation:
    """The rule; neurons are IF with threshold 1 whatever the experiment's are.

    One thing is added to the paper's. A neuron whose mean input has left 0..1 has no gradient, and
    where the read-out spikes too, as here, such neurons are lost for good. So gradients that point
    back inside are let through.
    """

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set."""
        net = self.layout(task.build())
        history = task.train(
            net, checkpoint=task.checkpoint, checkpoint_seconds=task.checkpoint_seconds,
        )  # fmt: skip
        return Trained(net, history)

    def layout(self, net: nn.Module) -> nn.Module:
        """The network with neurons whose gradient is that of their rate."""
        return with_neurons(net, Represented)
