"""Which channels a repair silences, and by which score: what the repairs that prune have in common.

Each of them has a method ``choose(net, clean_samples, *, seed, device, steps)`` that gives a
`Choice`; its ``repair`` silences what was chosen, so a figure of the choice shows what was done.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Choice", "all_but_lowest"]


@dataclass(frozen=True)
class Choice:
    """What a repair looked at, and what it made of it.

    Attributes:
        scores: of each channel, one [C] for each hidden layer that was looked at, in order.
        keep: which channels stay, bool [C] for each of these layers.
        limits: for each of them the score at which silencing begins; None where a share of the
            channels is silenced, or where it is decided otherwise.
    """

    scores: tuple[Tensor, ...]
    keep: tuple[Tensor, ...]
    limits: tuple[float | None, ...]


def all_but_lowest(scores: Tensor, share: float) -> Tensor:
    """True but for the given share of the channels, rounded down, with the lowest scores [C]."""
    keep = torch.ones_like(scores, dtype=torch.bool)
    keep[scores.argsort(stable=True)[: int(share * len(scores))]] = False
    return keep
