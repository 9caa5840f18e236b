"""How much a trigger shows: clean and triggered data side by side.

Structural similarity is computed per frame and averaged, as Sneaky Spikes does, and also on the sum
over time, which is what a person who looks at an accumulated picture sees. The others look at what
pictures hide: the number and the timing of events.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from snnbd_core.data import as_set
from snnbd_core.poisoning import Triggered

__all__ = ["Stealth", "measure", "psnr", "rate_change", "score", "ssim_frames", "van_rossum"]

_WINDOW = 7  # scikit-image's default side of the SSIM window, in pixels
_SAMPLES = 16  # as in Sneaky Spikes
_OTHERS = 200


@dataclass(frozen=True)
class Stealth:
    """Scores of one trigger, means over samples.

    Attributes:
        ssim_frames: structural similarity, mean over frames and both polarities; 1 is equal.
        ssim_sum: the same of the frames summed over time.
        psnr: peak signal to noise ratio of the frames in dB; infinite where nothing changed.
        l2: Euclidean distance of the frames, in events.
        changed: sum over pixels and frames of what was added or removed, in events.
        rate_change: largest relative change of the number of events among the frames.
        van_rossum: distance of the pixels' spike trains, see `van_rossum`.
        nearest: distance to the nearest clean sample, over that of clean samples to theirs; 1 is
            as far as clean samples are from each other, NaN where those are 0 apart.
    """

    ssim_frames: float
    ssim_sum: float
    psnr: float
    l2: float
    changed: float
    rate_change: float
    van_rossum: float
    nearest: float


def measure(clean: Any, triggered: Any, others: Any) -> Stealth:
    """Compares samples with their triggered copies.

    Args:
        clean, triggered: event counts [B, T, 2, H, W], sample by sample.
        others: clean samples that are none of them, [M, T, 2, H, W], for `nearest`.

    Raises:
        ValueError: shapes that differ, fewer than two others, frames under 7 pixels a side.
    """
    before, after, rest = (
        np.asarray(part, dtype=np.float64) for part in (clean, triggered, others)
    )
    _check(before, after, rest)
    pairs = list(zip(before, after, strict=True))
    return Stealth(
        ssim_sum=_mean(_similarity(a.sum(axis=0), b.sum(axis=0)) for a, b in pairs),
        changed=_mean(np.abs(a - b).sum() for a, b in pairs),
        rate_change=_mean(rate_change(a, b) for a, b in pairs),
        van_rossum=_mean(van_rossum(a, b) for a, b in pairs),
        nearest=_nearest(after, rest) / (_nearest(before, rest) or math.nan),
        **_common(before, after),
    )


def score(test: Any, trigger: Any, others: Any) -> dict[str, float]:
    """The finite scores of a trigger on the first samples of a set, by name.

    A static image is one frame in 0..1, with no events to count: it has ``ssim_frames``, ``psnr``
    and ``l2``. LPIPS is not among them: its weights are a download of their own.

    Args:
        test: the set, anybody's (see `as_set`); 16 samples are compared, as in Sneaky Spikes.
        trigger: what is put into them.
        others: a set of clean samples, of which the first 200 are the neighbours.
    """
    test, others = as_set(test), as_set(others)
    rows = np.arange(min(_SAMPLES, len(test)))
    clean, _ = test.batch(rows)
    triggered, _ = Triggered(test, trigger).batch(rows)
    if clean.dim() == 4:
        scores = _common(*(part.double().numpy()[:, None] for part in (clean, triggered)))
    else:
        rest, _ = others.batch(np.arange(min(_OTHERS, len(others))))
        scores = asdict(measure(clean, triggered, rest))
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def _common(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """The scores that frames [B, T, C, H, W] and images, as one frame each, have in common."""
    pairs = list(zip(before, after, strict=True))
    return {
        "ssim_frames": _mean(ssim_frames(a, b) for a, b in pairs),
        "psnr": _mean(psnr(a, b) for a, b in pairs),
        "l2": _mean(np.linalg.norm(a - b) for a, b in pairs),
    }


def ssim_frames(clean: np.ndarray, triggered: np.ndarray) -> float:
    """Mean over frames of the structural similarity of [T, 2, H, W] (NDSS 2024, section V)."""
    return _mean(_similarity(a, b) for a, b in zip(clean, triggered, strict=True))


def psnr(clean: np.ndarray, triggered: np.ndarray) -> float:
    """Peak signal to noise ratio in dB; the peak is the largest count of the clean sample."""
    if np.array_equal(clean, triggered):
        return float("inf")
    from skimage.metrics import peak_signal_noise_ratio  # brings scipy.stats

    return float(peak_signal_noise_ratio(clean, triggered, data_range=max(clean.max(), 1.0)))


def rate_change(clean: np.ndarray, triggered: np.ndarray) -> float:
    """max over t of |n'(t) - n(t)| / max(n(t), 1), n(t) being the events of frame t."""
    before, after = (part.sum(axis=(1, 2, 3)) for part in (clean, triggered))
    return float((np.abs(after - before) / np.maximum(before, 1)).max())


def van_rossum(clean: np.ndarray, triggered: np.ndarray, tau: float = 2.0) -> float:
    """Distance of spike trains (van Rossum 2001), summed over pixels and polarities.

    Each train is filtered with a causal exponential of time constant `tau` frames; the distance is
    sqrt(sum over t of the squared difference / tau), here over all trains together.

    Args:
        clean, triggered: counts [T, 2, H, W].
        tau: in frames, > 0.
    """
    if not tau > 0:
        raise ValueError(f"tau={tau!r} must be a number of frames above 0")
    decay = np.exp(-1 / tau)
    trace, total = np.zeros(clean.shape[1:]), 0.0
    for difference in triggered - clean:
        trace = decay * trace + difference
        total += float((trace**2).sum())
    return float(np.sqrt(total / tau))


def _similarity(clean: np.ndarray, triggered: np.ndarray) -> float:
    """SSIM of [C, H, W]; the range of values is that of the clean picture, at least one event."""
    from skimage.metrics import structural_similarity  # brings scipy.stats

    settings = {"channel_axis": 0, "data_range": max(clean.max(), 1.0), "win_size": _WINDOW}
    return float(structural_similarity(clean, triggered, **settings))


def _nearest(samples: np.ndarray, others: np.ndarray) -> float:
    """Mean distance of each sample to the nearest of the others."""
    flat = [torch.from_numpy(part).flatten(1) for part in (samples, others)]
    return float(torch.cdist(flat[0], flat[1]).min(dim=1).values.mean())


def _mean(values: Any) -> float:
    return float(np.mean([float(value) for value in values]))


def _check(clean: np.ndarray, triggered: np.ndarray, others: np.ndarray) -> None:
    if clean.ndim != 5 or clean.shape[2] != 2 or not len(clean):
        raise ValueError(f"clean has shape {clean.shape}: allowed is [B, T, 2, H, W], B >= 1")
    if triggered.shape != clean.shape:
        raise ValueError(f"triggered has shape {triggered.shape}: allowed is {clean.shape}")
    if others.shape[1:] != clean.shape[1:] or len(others) < 2:
        raise ValueError(
            f"others has shape {others.shape}: allowed is at least 2 samples of {clean.shape[1:]}"
        )
    if min(clean.shape[-2:]) < _WINDOW:
        raise ValueError(
            f"frames of {clean.shape[-2:]} pixels: allowed is {_WINDOW} a side or more"
        )
