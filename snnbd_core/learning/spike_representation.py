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

from snnbd_core.learning.ann import replaced, with_neurons
from snnbd_core.learning.conversion import HalfStart
from snnbd_core.learning.history import History
from snnbd_core.learning.surrogate_gradient import train
from snnbd_core.learning.task import Rule, Task, Trained
from snnbd_core.networks import Network
from snnbd_core.neurons import LIF

__all__ = ["Represented", "SpikeRepresentation", "train_spike_representation"]


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
class SpikeRepresentation(Rule):
    """The rule; neurons are IF with threshold 1 whatever the experiment's are.

    One thing is added to the paper's. A neuron whose mean input has left 0..1 has no gradient, and
    where the read-out spikes too, as here, such neurons are lost for good. So gradients that point
    back inside are let through.
    """

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set."""
        return task.fitted(self.layout(task.build()))

    def layout(self, net: nn.Module) -> nn.Module:
        """The network with neurons whose gradient is that of their rate."""
        return with_neurons(net, Represented)


def train_spike_representation(
    net: nn.Module, dataset: Any, *, epochs: int = 10, **settings: Any
) -> History:
    """Trains a network in place by spike representation.

    Args:
        net: a network with LIF, IF or ReLU layers; IF neurons with threshold 1 take their places.
        dataset: the training set; any that `snnbd_core.data.as_set` takes.
        epochs: passes over it, >= 1.
        settings: others of `snnbd_core.learning.train`.

    Raises:
        ValueError: no such layer, or as `snnbd_core.learning.train`.
    """
    if not any(isinstance(layer, LIF | nn.ReLU) for layer in net.modules()):
        raise ValueError(f"net={type(net).__name__} has no LIF, IF or ReLU layer to represent")
    replaced(net, Represented)
    if isinstance(net, Network):
        net._spikes = True
    return train(net, dataset, epochs=epochs, **settings)
