"""Overwriting patches of binned frames, as Abad et al. (2022, 2024) do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from snnbd_core.checks import Checked
from snnbd_core.triggers.placement import POLARITIES, Rectangle

__all__ = ["Overwriting", "Schedule", "frame_shape"]

Schedule = list[tuple[Rectangle, slice]]
"""Patches, with the slice of the T frames (or windows of a recording) in which each lies."""


def frame_shape(frames: Any, sensor_size: tuple[int, int, int] | None) -> tuple[int, int, int]:
    """(T, H, W) of frames [..., T, 2, H, W], checked."""
    dtype = getattr(frames, "dtype", None)
    if not isinstance(frames, np.ndarray | torch.Tensor) or getattr(dtype, "names", None):
        raise ValueError(
            f"frames=<{type(frames).__name__}>: space='frames' works on arrays or tensors "
            "[..., T, 2, H, W]; for a recording use space='events'"
        )
    shape = tuple(frames.shape)
    if len(shape) < 4 or shape[-3] != 2 or min(shape[-4:]) < 1:
        raise ValueError(f"frames have shape {shape}: allowed is [..., T, 2, H, W]")
    steps, _, height, width = shape[-4:]
    if sensor_size is not None and sensor_size[:2] != (width, height):
        raise ValueError(
            f"sensor_size={sensor_size} does not fit frames of {width}x{height} pixels: "
            f"allowed is ({width}, {height}, 2)"
        )
    return steps, height, width


class Overwriting(Checked):
    """A trigger that overwrites patches of frames as its schedule says.

    In each channel a patch holds `strength` where the polarity is present, and 0 where it is not.
    """

    polarity: str | None
    strength: float
    sensor_size: tuple[int, int, int] | None = None

    def __call__(self, data: Any) -> Any:
        """Frames [..., T, 2, H, W] (torch or NumPy); returns a changed copy."""
        steps, height, width = frame_shape(data, self.sensor_size)
        schedule = self.schedule(steps, width, height)
        _check_representable(data, self.strength)
        assert self.polarity is not None  # `schedule` refuses a trigger that is not fitted
        out = data.copy() if isinstance(data, np.ndarray) else data.clone()
        for patch, times in schedule:
            for channel, present in enumerate(POLARITIES[self.polarity]):
                # basic slicing gives a view, so that the assignment reaches `out`
                rows = out[..., times, channel, patch.rows, :]
                rows[..., list(patch.columns)] = self.strength if present else 0
        return out

    def schedule(self, steps: int, width: int, height: int) -> Schedule:
        """Where the patches lie in `steps` frames; ValueError where they do not fit."""
        raise NotImplementedError  # each trigger has its own


def _check_representable(frames: np.ndarray | torch.Tensor, strength: float) -> None:
    """Raises ValueError for integer frames that would cut or wrap the count in silence."""
    if isinstance(frames, torch.Tensor) and frames.is_floating_point():
        return
    like = frames if isinstance(frames, np.ndarray) else torch.empty(0, dtype=frames.dtype).numpy()
    kind = like.dtype
    if kind.kind == "f":
        return
    limit = 1 if kind.kind == "b" else int(np.iinfo(kind).max)
    if strength != int(strength) or strength > limit:
        raise ValueError(
            f"strength={strength!r} cannot be written into {frames.dtype} frames: allowed are "
            f"whole numbers up to {limit}"
        )
