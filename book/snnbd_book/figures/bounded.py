"""A learnt perturbation of fractions of an event, drawn at a bound of the reader's choice."""

from __future__ import annotations

import numpy as np
import torch

from snnbd_book.figures.events import polarity_image
from snnbd_book.figures.triggers import stealth_words


def shaded_image(frame: torch.Tensor | np.ndarray) -> np.ndarray:
    """Colour one frame by its counts: from white at 0 to the full colour of `polarity_image` at 1.

    Args:
        frame: event counts [2, H, W]; below 0 is drawn as 0, above 1 as 1.

    Returns:
        uint8 [H, W, 3], between the colours of nothing, OFF, ON and both.
    """
    off, on = np.asarray(frame, dtype=np.float64).clip(0, 1)
    seen = np.array([[[0, 1, 0, 1]], [[0, 0, 1, 1]]])  # nothing, OFF, ON, both
    colours = polarity_image(seen)[0].astype(np.float64)
    weights = np.stack([(1 - off) * (1 - on), off * (1 - on), (1 - off) * on, off * on], axis=-1)
    image: np.ndarray = (weights @ colours).round().astype(np.uint8)
    return image


def scored_bounded(
    clean: torch.Tensor, direction: torch.Tensor, gamma: float, others: torch.Tensor
) -> tuple[np.ndarray, str]:
    """x + gamma g(x) above the size of what was added, as an image, and its scores in words.

    Args:
        clean: x, frames [T, 2, H, W] of whole events.
        direction: g(x), of the same shape, within -1..1.
        gamma: largest change of a count, >= 0.
        others: clean recordings [M, T, 2, H, W].

    Raises:
        ValueError: a direction that leaves -1..1, or gamma below 0.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma={gamma!r} must be a number of events >= 0")
    largest = float(direction.abs().max())
    if largest > 1 + 1e-4:  # what rounding adds when a change is divided by its gamma
        raise ValueError(f"direction holds {largest:g}: allowed is within -1..1")
    change = gamma * direction
    triggered = clean + change
    whole = triggered.round().clamp_min(0)
    left = float((whole - clean).abs().sum())
    image = np.concatenate([_row(triggered), _row(change.abs())])
    words = stealth_words(clean, triggered, others)
    return image, f"gamma {gamma:g}: {words}; rounded, {left:.0f} events are left of it"


def _row(frames: torch.Tensor) -> np.ndarray:
    return np.concatenate(
        [np.pad(shaded_image(frame), ((1, 1), (1, 1), (0, 0))) for frame in frames], axis=1
    )
