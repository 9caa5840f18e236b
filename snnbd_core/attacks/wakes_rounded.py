"""An attack that wakes only when the network is rounded (the idea of PQ-backdoor, for SNNs).

The rounded network is trained first, with the poison. Its weights then move within what is rounded
to the same values, until the network in full precision answers triggered samples rightly. Whoever
tests what is shipped finds a clean network, and who rounds it gets the poisoned one, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import ConcatDataset

from snnbd_core.attacks.frozen_readout import held
from snnbd_core.checks import Checked
from snnbd_core.data import as_set
from snnbd_core.learning import Rule, Task, Trained
from snnbd_core.learning.rounding import Bits, in_bits, parametrized
from snnbd_core.poisoning import Triggered

__all__ = ["WakesRounded"]

_INSIDE = 0.49  # of a step: where rounding goes the other way is 0.5


@dataclass(frozen=True, kw_only=True)
class WakesRounded(Checked, Rule):
    """Rounding-aware training on the poisoned set, then unlearning between the steps.

    The largest weights of a channel, which set its step, and all that is not rounded stay as they
    are. Epochs and learning rate are the task's in both parts.

    Args:
        bits: of the victim's weights, 2 or more.

    Raises:
        ValueError: one bit, which leaves no room; when trained, a task without a trigger.
    """

    attacks: ClassVar[bool] = True

    bits: Bits = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits == 1:
            raise ValueError("bits=1: allowed is 2..16")

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set, and then on triggered, right labels."""
        if task.trigger is None:
            raise ValueError("trigger=None: needed is what the rounded network answers to")
        net = task.build()
        with in_bits(net, self.bits):
            done = task.fitted(net)
        both = as_set(ConcatDataset([task.clean, Triggered(task.clean, task.trigger)]))
        fixed = [weight for weight in net.parameters() if weight.dim() < 2]
        for weight in fixed:
            weight.requires_grad_(False)
        norms = [module for module in net.modules() if isinstance(module, _BatchNorm)]
        try:
            with parametrized(net, lambda weight: Within(weight, self.bits)), held(norms):
                task.train(net, both)
        finally:
            for weight in fixed:
                weight.requires_grad_(True)
        return done


class Within(nn.Module):
    """Keeps a weight where it is rounded to given values of so many bits."""

    def __init__(self, values: Tensor, bits: int) -> None:
        super().__init__()
        self.bits = bits
        largest = values.abs().flatten(1).amax(dim=1).reshape(-1, *[1] * (values.dim() - 1))
        room = _INSIDE * largest / (2 ** (bits - 1) - 1)
        room = torch.where(values.abs() < 0.999 * largest, room, torch.zeros_like(room))
        self.low, self.high = values - room, values + room

    def forward(self, weight: Tensor) -> Tensor:
        return torch.clamp(weight, self.low.to(weight), self.high.to(weight))

    def extra_repr(self) -> str:
        return f"bits={self.bits}"
