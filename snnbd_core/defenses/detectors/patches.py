"""What is sought by gradients for several classes or channels side by side; patches on samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from snnbd_core import guards
from snnbd_core.metrics.margins import slope_of
from snnbd_core.view import View

__all__ = ["FRAMES", "Aim", "check_gradient", "groups", "sought", "stamped"]

FRAMES = 1280  # that go through the network at once: ten classes on 32 images of four steps
Aim = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def sought(
    net: Callable[[Tensor], Tensor],
    batch: Tensor,
    targets: Tensor,
    aim: Aim,
    *,
    iterations: int,
    sharp: float,
) -> tuple[Tensor, Tensor]:
    """The last masks [K, H, W] and patterns [K, C, H, W] of a search for K patches by Adam.

    Args:
        net: gives the logits of samples.
        batch: B samples, [B, C, H, W] or [B, T, C, H, W].
        targets: the class that each patch is for, [K].
        aim: aim(masks, patterns, logits, away), the loss; logits are [K * B, classes] and away is
            [K, B], the cross-entropy of `sharp` times the logits to the patch's class.
        iterations, sharp: steps of the search, and the scale of the logits.
    """
    count, shape = len(targets), batch.shape[-3:]
    free = torch.full((count, *shape[1:]), -2.0, device=batch.device, requires_grad=True)
    # drawn one after the other, so that each pattern is what it would be alone
    draws = [torch.randn(shape, device=batch.device) for _ in range(count)]
    paint = torch.stack(draws).requires_grad_()
    optimizer = torch.optim.Adam([free, paint], lr=0.2)
    labels, high = targets.repeat_interleave(len(batch)), max(float(batch.max()), 1.0)
    for _ in range(iterations):
        masks, patterns = torch.sigmoid(free), high * torch.sigmoid(paint)
        logits = net(stamped(batch, masks, patterns))
        away = functional.cross_entropy(sharp * logits, labels, reduction="none")
        loss = aim(masks, patterns, logits, away.view(count, -1))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
    return masks.detach(), patterns.detach()


def check_gradient(view: View, sequence: Tensor) -> None:
    """Raises NotVisible for a network down to whose input, [T, B, C, H, W], no gradient comes."""
    asked = sequence.detach().clone().requires_grad_()
    with guards.undrawn(view.net), torch.random.fork_rng(devices=[]):
        slope_of(view, view(asked), asked)


def stamped(batch: Tensor, masks: Tensor, patterns: Tensor) -> Tensor:
    """(1 - m) x + m p of every sample under every patch, [K * B, ...], patch by patch.

    Args:
        batch: B samples, [B, C, H, W] or [B, T, C, H, W].
        masks: [K, H, W].
        patterns: [K, C, H, W].
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
