"""What a network answers.

That is its largest logit. Where it is shared by several classes (a silent network gives 0 to all)
there is no answer: argmax would return the first of them, which is class 0, the usual target.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["NO_PREDICTION", "checked_logits", "decide"]

NO_PREDICTION = -1

# Votes are multiples of 1 / (votes * T), some 1e-3 apart, yet equal votes summed in another
# order differ in their last bits: logits closer than this share of the largest are tied.
_TIE = 1e-6


def decide(logits: Tensor) -> Tensor:
    """The class of the largest logit, int64 [B]; `NO_PREDICTION` where several share it.

    Args:
        logits: [B, classes], finite. Within one part in a million of the largest counts as equal.
    """
    largest, answer = logits.max(dim=1)
    tied = logits >= (largest - _TIE * largest.abs()).unsqueeze(1)
    return torch.where(tied.sum(dim=1) > 1, NO_PREDICTION, answer)


def checked_logits(logits: Any, batch: int, classes: int | None) -> Tensor:
    """What a network gave for a batch, if these are logits [B, classes].

    Args:
        logits: the network's output.
        batch: B, samples that it was given.
        classes: how many there must be; None takes any number.

    Raises:
        ValueError: anything but one tensor of this shape, with what to do about it.
    """
    wanted = f"allowed is [B, classes] = {(batch, 'any' if classes is None else classes)}"
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"net gives a {type(logits).__name__}, no tensor: {wanted}; let forward return the "
            "logits alone, such as the mean of the last layer's spikes over time"
        )
    shape = tuple(logits.shape)
    if len(shape) != 2 or shape[0] != batch or shape[1] != (classes or shape[1]):
        remedy = "; average over time, logits.mean(0)" if len(shape) == 3 else ""
        if len(shape) == 2 and shape[0] != batch:
            remedy = "; the first axis must be the samples, not time"
        raise ValueError(f"net gives logits of shape {shape}: {wanted}{remedy}")
    return logits
