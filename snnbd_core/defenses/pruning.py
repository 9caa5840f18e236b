"""What the repairs that silence channels have in common, and masks that are learnt for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.repair import Repair, tuned

__all__ = ["Choice", "Pruning", "all_but_lowest", "learnt_masks", "pruned"]


@dataclass(frozen=True)
class Choice:
    """Which channels a repair silences, and by which score.

    Attributes:
        scores: of each channel, one [C] for each hidden layer that was looked at, in order.
        keep: which channels stay, bool [C] for each of these layers.
        limits: the score at which silencing begins in each; None where it is decided otherwise.
    """

    scores: tuple[Tensor, ...]
    keep: tuple[Tensor, ...]
    limits: tuple[float | None, ...]

    @classmethod
    def of(cls, scores: Sequence[Tensor], keep: Sequence[Tensor]) -> Choice:
        """A choice without limits."""
        return cls(tuple(scores), tuple(keep), (None,) * len(scores))


class Pruning(Repair):
    """A repair that silences channels, and can show which; each writes `_choice`."""

    def choose(self, net: nn.Module, clean_samples: Any, **settings: Any) -> Choice:
        """Scores of all channels, and which of them stay; arguments and errors are `repair`'s."""
        return self._choice(self._bench(net, clean_samples, **settings))

    def _choice(self, bench: Bench) -> Choice:
        """Made on a bench of its own, whose weights may lose their gradients."""
        raise NotImplementedError  # each repair has its own

    def _repaired(self, bench: Bench) -> nn.Module:
        return pruned(bench, self._choice(bench.copied()).keep)


def pruned(
    bench: Bench, keep: Sequence[Tensor], epochs: int = 0, learning_rate: float = 0.0
) -> nn.Module:
    """The network of a bench with channels silenced for good, after fine-tuning with them silent.

    `keep` says which channels of each hidden layer stay, bool [C]; a layer of which nothing would
    be left is a ValueError.
    """
    gates = [None if bool(mask.all()) else mask.float() for mask in keep]
    with bench.view.gated(gates):  # gradients do not reach, and cannot wake, a silent channel
        tuned(bench, epochs, learning_rate)
    bench.view.prune(keep)
    return bench.net


def all_but_lowest(scores: Tensor, share: float) -> Tensor:
    """True but for the given share of the channels, rounded down, with the lowest scores [C]."""
    keep = torch.ones_like(scores, dtype=torch.bool)
    keep[scores.argsort(stable=True)[: int(share * len(scores))]] = False
    return keep


def learnt_masks(
    bench: Bench,
    loss_of: Callable[[list[Tensor], np.ndarray], Tensor],
    *,
    iterations: int,
    learning_rate: float,
    threshold: float,
) -> Choice:
    """The choice by masks in 0..1 on the hidden channels, which go down a loss from all ones.

    loss_of(masks, rows) gets one mask [C] for each hidden layer and 128 of the bench's samples. SGD
    with momentum 0.9 is clipped to 0..1 at each step. Channels with a mask below the threshold are
    silenced, but for the best if all are.
    """
    masks = [
        torch.ones(layer.channels, device=bench.device, requires_grad=True)
        for layer in bench.view.hidden
    ]
    optimizer = torch.optim.SGD(masks, lr=learning_rate, momentum=0.9)
    draw, samples = np.random.default_rng(bench.seed), len(bench.data)
    for _ in range(iterations):
        loss = loss_of(masks, draw.choice(samples, min(128, samples), replace=False))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        with torch.no_grad():
            for mask in masks:
                mask.clamp_(0, 1)
    found = tuple(mask.detach() for mask in masks)
    keep = tuple(mask >= min(threshold, float(mask.max())) for mask in found)
    return Choice(found, keep, (threshold,) * len(found))
