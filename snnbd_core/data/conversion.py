"""One sample of anybody's, whatever holds it, as float32 numbers in this library's layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

__all__ = ["as_float"]

_CHANNELS = 4  # at most, where they could be mistaken for a side
_MODES = {"1": "1", "L": "L", "P": "RGB", "RGB": "RGB"}


def as_float(sample: Any, where: str, batch: bool = False) -> npt.NDArray[np.float32]:
    """Give frames [T, C, H, W] or an image [C, H, W], float32, a copy.

    Args:
        sample: a tensor, an array, a PIL image or nested lists of numbers; [H, W] is one channel.
            Images of uint8 are divided by 255; other numbers are taken as they are.
        where: names the sample in errors.
        batch: whether there is an axis of samples before the others.

    Raises:
        ValueError: another shape or type, or numbers that are not finite.
    """
    values = _array(sample, where)
    if values.dtype.names is not None:
        raise ValueError(
            f"{where} is a recording of events, not frames: use sb.data.from_events, or give the "
            "set a transform to frames"
        )
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{where} holds {values.dtype}: real numbers are allowed")
    axes = values.ndim - batch
    if axes not in (2, 3, 4):
        raise ValueError(
            f"{where} has the shape {values.shape[batch:]}: allowed are frames [T, C, H, W] and "
            "images [C, H, W] or [H, W]"
        )
    values = values[..., None, :, :] if axes == 2 else values
    if values.shape[-1] <= _CHANNELS < values.shape[-3]:
        raise ValueError(
            f"{where} has the shape {values.shape[batch:]}: channels come before rows and columns, "
            "as in [C, H, W]"
        )
    if axes < 4 and values.dtype == np.uint8:
        return values.astype(np.float32) / np.float32(255)
    if axes < 4 and values.dtype.kind in "iu":
        raise ValueError(
            f"{where} is an image of {values.dtype}, whose white is unknown: allowed are uint8 "
            "(0..255), bool and floats"
        )
    out = values.astype(np.float32)
    if values.dtype.kind == "f" and not np.isfinite(out).all():
        raise ValueError(f"{where} has numbers that are not finite")
    return out


def _array(sample: Any, where: str) -> npt.NDArray[Any]:
    """The numbers as they are."""
    if isinstance(sample, Tensor):
        dense = sample.detach().to_dense() if sample.is_sparse else sample.detach()
        exact = dense.float() if dense.is_floating_point() and dense.itemsize < 4 else dense
        return exact.cpu().numpy()
    if isinstance(sample, np.ndarray):
        return sample
    from PIL import Image  # slow to import

    if isinstance(sample, Image.Image):
        if sample.mode not in _MODES:
            raise ValueError(
                f"{where} is a PIL image of mode {sample.mode!r}: allowed are {', '.join(_MODES)} "
                "(or give the set a transform to a tensor)"
            )
        pixels = np.asarray(sample.convert(_MODES[sample.mode]))
        return pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    try:
        return np.asarray(sample)
    except ValueError as error:
        raise ValueError(f"{where} is a {type(sample).__name__}: {error}") from error
