"""Threshold guarding: fine-tuning that pushes potentials away from the threshold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core.checks import Count, Positive
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.repair import Repair, tuned
from snnbd_core.learning.surrogate_gradient import LOSSES
from snnbd_core.view import View

__all__ = ["ThresholdGuarding", "crowding", "gaps"]


@dataclass(frozen=True, kw_only=True)
class ThresholdGuarding(Repair):
    """Fine-tuning with a penalty on neurons whose potential comes close to the threshold.

    Neurons near their threshold are the weak spot of directly trained SNNs: little is needed to
    make them fire or to keep them from it. To the loss comes

        weight * mean over neurons and steps of max(0, 1 - |u - V_thr| / margin).

    Args:
        weight: of the penalty.
        margin: potential on either side of the threshold that is to stay empty.
        epochs, learning_rate, batch_size: of the fine-tuning.

    Needs spiking layers.
    """

    weight: Positive = 0.1
    margin: Positive = 0.25
    epochs: Count = 30
    learning_rate: Positive = 1e-2
    batch_size: Count = 32

    def _repaired(self, bench: Bench) -> nn.Module:
        with bench.view.read(bench.spiking_layers, "potential") as potentials:

            def loss(logits: Tensor, labels: Tensor) -> Tensor:
                distances = _less_threshold(bench.view, potentials)
                close = torch.stack([crowding(gap, self.margin) for gap in distances]).mean()
                return LOSSES["mse"](logits, labels) + self.weight * close

            settings = {"batch_size": self.batch_size, "loss": loss}
            return tuned(bench, self.epochs, self.learning_rate, **settings)


def crowding(gap: Tensor, margin: float) -> Tensor:
    """How close potentials are to the threshold: 0 where all keep the margin, up to 1."""
    return functional.relu(1 - gap.abs() / margin).mean()


@torch.no_grad()
def gaps(net: nn.Module, sequence: Tensor) -> list[Tensor]:
    """Potential less threshold of all neurons at all steps, one [T, B, ...] for each spiking layer.

    The network is in evaluation mode, the sequence [T, B, C, H, W]. Where a library resets within
    the step, a neuron that fired is seen after its reset.
    """
    view = View(net, sequence)
    with view.read(view.spiking_layers, "potential") as potentials:
        view(sequence)
    return _less_threshold(view, potentials)


def _less_threshold(view: View, potentials: list[Tensor]) -> list[Tensor]:
    found = []
    for potential, layer in zip(potentials, view.spiking_layers, strict=True):
        threshold = layer.adapter.settings(layer.module).threshold
        assert threshold is not None  # of a spiking layer
        found.append(potential - threshold.to(potential))
    return found
