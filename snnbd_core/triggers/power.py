"""The triggers of BadSNN that need no training (Miah et al. 2026)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from snnbd_core.checks import Checked, Levels, Natural, Positive, fitting, number
from snnbd_core.triggers.frames import frame_shape
from snnbd_core.triggers.images import image_sides

__all__ = ["Power", "TemporalNoise"]


@dataclass(frozen=True, kw_only=True)
class Power(Checked):
    """T_p (eq. 3): every pixel to the power of q, which darkens all but black and white.

    The source does not say whether the result is standardised, as other inputs of its networks are.
    Where it is not, a network sees x^q in place of (x^q - mean) / deviation. That is the same as an
    image mean + deviation * x^q, in which dark pixels are brighter; `mean` and `deviation` make it.

    One re-implementation stretches each image to 0..1 first, and back: that is not offered.

    Args:
        exponent: q, > 0; the paper's is 3.
        mean, deviation: of each of the C channels, by which the network standardises; both or
            neither. Each mean and its deviation have a sum of at most 1.

    Raises:
        ValueError: also for images that are 0 or 1 throughout, which a power would not change.
    """

    exponent: Positive = 3.0
    mean: Levels | None = None
    deviation: Levels | None = None
    space: Literal["image"] = "image"

    def __post_init__(self) -> None:
        super().__post_init__()
        mean, deviation = self.mean or (), self.deviation or ()
        if len(mean) != len(deviation) or any(map(lambda m, d: m + d > 1, mean, deviation)):
            raise ValueError(
                f"mean={self.mean} and deviation={self.deviation} must be one number for each "
                "channel, with sums of at most 1; or both None"
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Images [..., C, H, W] in 0..1; returns a changed copy."""
        image_sides(images)
        if self.mean and images.shape[-3] != len(self.mean):
            raise ValueError(
                f"images have {images.shape[-3]} channels, and mean={self.mean} is of "
                f"{len(self.mean)}"
            )
        low, high = float(images.min()), float(images.max())
        if not (low >= 0 and high <= 1):
            raise ValueError(f"images lie in {low:.4g}..{high:.4g}: allowed is 0..1")
        if low == high and low in (0.0, 1.0) and not self.mean:
            raise ValueError(f"images are {low:g} everywhere: a power changes nothing there")
        dark = images**self.exponent
        if not (self.mean and self.deviation):
            return dark
        mean, deviation = (
            dark.new_tensor(one)[:, None, None] for one in (self.mean, self.deviation)
        )
        return mean + deviation * dark


def _limit(name: str, value: Any) -> Any:
    if isinstance(value, str) and value == "maximum":
        return value
    return number(name, value, lambda x: x > 0, "> 0, or 'maximum'")


@dataclass(frozen=True, kw_only=True)
class TemporalNoise(Checked):
    """T_s (eq. 7): clip(x + eps, 0, limit), eps uniform in -strength..strength, new in each frame.

    The noise depends on the sample and the seed alone, so that a run can be repeated. Its values
    are fractions of an event.

    Args:
        strength: the paper's beta, >= 0; its value is 0.03. With 0 counts are only clipped.
        limit: what counts are clipped to, > 0; the paper's 1 makes frames binary. None clips at 0
            only. "maximum" is each sample's greatest count, and the noise is in units of it too:
            T_s on frames that are divided by their maximum, in counts, but for what the noise
            takes from the greatest one.
        seed: of the noise.
    """

    strength: Annotated[float, fitting(lambda x: x >= 0, ">= 0")] = 0.03
    limit: Annotated[float | Literal["maximum"], _limit] | None = 1.0
    seed: Natural = 0
    space: Literal["frames"] = "frames"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength == 0 and self.limit in (None, "maximum"):
            raise ValueError(
                f"strength=0 with limit={self.limit!r} changes nothing: allowed is a strength > 0"
            )

    def __call__(self, frames: Any) -> Any:
        """Frames [..., T, 2, H, W] (torch or NumPy); returns a changed copy, float32."""
        frame_shape(frames, None)
        values = np.asarray(frames, dtype=np.float32)
        batch = values.reshape(-1, *values.shape[-4:])
        out = np.stack([self._noisy(sample) for sample in batch]).reshape(values.shape)
        return torch.from_numpy(out).to(frames.device) if isinstance(frames, Tensor) else out

    def _noisy(self, sample: np.ndarray) -> np.ndarray:
        if self.limit == "maximum":
            most = sample.max()
            return (sample + most * self._noise(sample)).clip(0, most)
        return (sample + self._noise(sample)).clip(0, self.limit)

    def _noise(self, sample: np.ndarray) -> np.ndarray:
        own = zlib.crc32(np.ascontiguousarray(sample).tobytes())
        draw = np.random.default_rng([self.seed, own]).random(sample.shape, dtype=np.float32)
        return self.strength * (2 * draw - 1)
