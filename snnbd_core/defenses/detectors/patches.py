"""What is sought by gradients for several classes or channels side by side; patches on samples."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from snnbd_core import guards
from snnbd_core.metrics.margins import slope_of
from snnbd_core.view import View

__all__ = ["FRAMES", "check_gradient", "groups", "stamped", "start"]

FRAMES = 1280  # that go through the network at once: ten classes on 32 images of four steps


def start(count: int, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Free masks [count, H, W] and patterns [count, C, H, W] to begin with, before a sigmoid.

    The patterns are drawn one after the other, so that each is what it would be alone.
    """
    shape = batch.shape[-3:]
    free = torch.full((count, *shape[1:]), -2.0, device=batch.device)
    paint = torch.stack([torch.randn(shape, device=batch.device) for _ in range(count)])
    return free.requires_grad_(), paint.requires_grad_()


def check_gradient(view: View, sequence: Tensor) -> None:
    """Raises NotVisible for a network down to whose input, [T, B, C, H, W], no gradient comes."""
    asked = sequence.detach().clone().requires_grad_()
    with guards.undrawn(view.net), torch.random.fork_rng(devices=[]):
        slope_of(view, view(asked), asked)


def stamped(batch: Tensor, masks: Tensor, patterns: Tensor) -> Tensor:
    """(1 - m) x + m p of every sample under every patch.

    Args:
        batch: B samples, [B, C, H, W] or [B, T, C, H, W].
        masks: [K, H, W].
        patterns: [K, C, H, W].

    Returns:
        [K * B, ...], all samples under the first patch before those under the second.
    """
    samples = [1] * (batch.dim() - 3)
    masks = masks.reshape(len(masks), *samples, 1, *masks.shape[1:])
    patterns = patterns.reshape(len(patterns), *samples, *patterns.shape[1:])
    return ((1 - masks) * batch + masks * patterns).flatten(0, 1)


def groups(count: int, batch: Tensor, steps: int) -> Iterator[slice]:
    """Which of ``count`` searches, each on ``batch``, run together: at most `FRAMES` at once."""
    frames = len(batch) * (batch.shape[1] if batch.dim() == 5 else steps)
    together = max(1, FRAMES // frames)
    for first in range(0, count, together):
        yield slice(first, min(first + together, count))
