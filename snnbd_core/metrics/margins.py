"""Potentials of the read-out, class by class, and how far inputs can push them apart.

The margin of a class is the statistic of TMPBD (RAID 2025, arXiv 2510.06629); an attacker who hides
from it trains against it.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from snnbd_core.data.batches import as_sequence
from snnbd_core.view import View

__all__ = ["ascended", "margins", "per_class", "slope_of"]

Numbers = TypeVar("Numbers", Tensor, np.ndarray)


def ascended(
    view: View,
    inputs: Tensor,
    target: int | Tensor,
    learning_rate: float,
    high: float,
    steps: int = 1,
) -> tuple[Tensor, Tensor]:
    """The margins of inputs, and the inputs one step up; both without gradients.

    The step of each input has the length `learning_rate`; values end up in 0..high.

    Args:
        view: of the network.
        inputs: frames [B, T, C, H, W], or static images [B, C, H, W].
        target: as in `margins`.
        learning_rate, high: see above.
        steps: T for static images.
    """
    point = inputs.detach().requires_grad_()
    margin = margins(view, as_sequence(point, steps), target)
    slope = slope_of(view, margin, point)
    length = slope.flatten(1).norm(dim=1).clamp_min(1e-12)
    step = slope / length.reshape(-1, *[1] * (slope.dim() - 1))
    return margin.detach(), (point.detach() + learning_rate * step).clamp(0, high)


def slope_of(view: View, values: Tensor, inputs: Tensor) -> Tensor:
    """Gradient of the sum of what a network gave, of its inputs' shape; NotVisible if cut off."""
    slope = None
    if values.requires_grad:
        (slope,) = torch.autograd.grad(values.sum(), inputs, allow_unused=True)
    if slope is None:
        raise view.blind("a gradient down to its input", "quantised layers give none")
    return slope


def margins(view: View, sequence: Tensor, target: int | Tensor) -> Tensor:
    """v_target - max of the others' v for each input of [T, B, C, H, W], [B], with gradients.

    v is the mean potential over time and over the read-out's neurons of a class; `target` is one
    class for all inputs, or [B], one for each.
    """
    votes, potential = view.potentials(sequence)
    pooled = per_class(potential.mean(dim=0), votes.shape[1])
    rows = torch.arange(len(pooled), device=pooled.device)
    others = pooled.clone()
    others[rows, target] = -torch.inf
    return pooled[rows, target] - others.max(dim=1).values


def per_class(potential: Numbers, classes: int) -> Numbers:
    """Potentials [B, neurons] averaged over the neurons that vote for a class, [B, classes].

    A class's voters lie side by side, as in the papers' voting layer.

    Raises:
        ValueError: neurons that cannot be shared out evenly.
    """
    if potential.shape[1] % classes:
        raise ValueError(
            f"the read-out has {potential.shape[1]} neurons for {classes} classes: allowed is as "
            "many for each"
        )
    return potential.reshape(len(potential), classes, -1).mean(2)
