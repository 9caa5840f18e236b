"""How values of one call of a layer lie in time, and what is done to its channels.

`axes` is "time" for [T, B, C, ...], "batch" for [B, T, C, ...], "folded" for [T * B, C, ...],
"folded-batch" for [B * T, C, ...], and "step" for [B, C, ...] in each of T calls.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["AXES", "bounded", "folded", "gated", "unfolded"]

AXES = ("time", "batch", "folded", "folded-batch", "step")


def unfolded(values: Tensor, axes: str, steps: int) -> Tensor:
    """Values of one call as [T, B, ...]; [1, B, ...] of a call of one step."""
    if axes == "batch":
        return values.transpose(0, 1)
    if axes == "folded":
        return values.unflatten(0, (steps, -1))
    if axes == "folded-batch":
        return values.unflatten(0, (-1, steps)).transpose(0, 1)
    return values.unsqueeze(0) if axes == "step" else values


def folded(values: Tensor, axes: str) -> Tensor:
    """The inverse of `unfolded`."""
    if axes == "batch":
        return values.transpose(0, 1)
    if axes == "folded":
        return values.flatten(0, 1)
    if axes == "folded-batch":
        return values.transpose(0, 1).flatten(0, 1)
    return values.squeeze(0) if axes == "step" else values


def gated(current: Tensor, values: Tensor, offset: Tensor | None = None) -> Tensor:
    """A current [T, B, C, ...] with its channels multiplied by values [C], plus offsets [C]."""
    shape = (1, 1, -1, *[1] * (current.dim() - 3))
    current = current * values.to(current).reshape(shape)
    return current if offset is None else current + offset.to(current).reshape(shape)


def bounded(current: Tensor, bounds: Tensor) -> Tensor:
    """A current [T, B, C, ...] with its channels cut at upper bounds [T, C]."""
    shape = (len(bounds), 1, -1, *[1] * (current.dim() - 3))
    return torch.minimum(current, bounds.to(current).reshape(shape))
