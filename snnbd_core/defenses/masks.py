"""Masks on channels that are learnt on a few samples: what ANP and RNP have in common."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from snnbd_core.defenses.choice import Choice

__all__ = ["chosen_by", "kept_most", "learnt_masks"]

_BATCH = 128


def learnt_masks(
    loss_of: Callable[[list[Tensor], np.ndarray], Tensor],
    sizes: list[int],
    samples: int,
    *,
    iterations: int,
    learning_rate: float,
    seed: int,
    device: torch.device,
) -> list[Tensor]:
    """Masks in 0..1, one [C] for each hidden layer, after so many steps down a loss from all ones.

    Args:
        loss_of: loss_of(masks, rows) on a batch of samples.
        sizes: channels of each hidden layer.
        samples: how many rows are drawn from.
        iterations, learning_rate: of SGD with momentum 0.9, clipped to 0..1 at each step.
        seed: of the batches.
        device: of the masks.
    """
    masks = [torch.ones(size, device=device, requires_grad=True) for size in sizes]
    optimizer = torch.optim.SGD(masks, lr=learning_rate, momentum=0.9)
    draw = np.random.default_rng(seed)
    for _ in range(iterations):
        rows = draw.choice(samples, min(_BATCH, samples), replace=False)
        loss = loss_of(masks, rows)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        with torch.no_grad():
            for mask in masks:
                mask.clamp_(0, 1)
    return [mask.detach() for mask in masks]


def chosen_by(masks: list[Tensor], threshold: float) -> Choice:
    """The choice by masks, one [C] for each hidden layer."""
    keep = tuple(kept_most(mask, threshold) for mask in masks)
    return Choice(tuple(masks), keep, (threshold,) * len(masks))


def kept_most(mask: Tensor, threshold: float) -> Tensor:
    """Which channels stay: those not below the threshold, or the best one if none is."""
    keep: Tensor = mask >= threshold
    if not bool(keep.any()):
        keep = mask == mask.max()
    return keep
