"""What the bytes of a sample's file say: events, arrays or an image, and never anything to run."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from snnbd_core.data import CorruptData, check_events
from snnbd_core.data.events import Events, SensorSize
from snnbd_core.data.recordings import gesture_npy

__all__ = ["Numbers", "arrays", "events", "holds_events", "image"]

FIELDS = ("x", "y", "t", "p")
LARGEST = 2**28  # bytes that one file's arrays may take, or an image's pixels
Numbers = npt.NDArray[Any]


def arrays(data: bytes, name: str) -> Mapping[str, Numbers]:
    """The arrays in a .npy or .npz file, none of which is a pickle."""
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as packed:
                size = sum(entry.file_size for entry in packed.infolist())
            if size > LARGEST:
                raise CorruptData(f"{name}: unpacks to {size:,} bytes; {LARGEST:,} are allowed")
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        found = {"array": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except CorruptData:
        raise
    except (ValueError, EOFError, OSError, MemoryError, zipfile.BadZipFile) as error:
        raise CorruptData(f"{name}: holds no numeric arrays of NumPy ({error})") from error
    if not found:
        raise CorruptData(f"{name}: holds no array")
    return found


def holds_events(found: Mapping[str, Numbers]) -> bool:
    """Whether the arrays of a file are a recording, as `events` reads them."""
    only = next(iter(found.values()))
    table = only.ndim == 2 and only.shape[1] == len(FIELDS)
    return len(found) > 1 or only.dtype.names is not None or table


def events(data: bytes, size: SensorSize, name: str) -> Events:
    """Events of a structured array, of columns x, y, t and p, or of tonic's table x, y, p, t."""
    found = arrays(data, name)
    only = next(iter(found.values()))
    try:
        if len(found) > 1:
            missing = [field for field in FIELDS if field not in found]
            if missing:
                raise CorruptData(f"{name}: has no array {missing[0]}; x, y, t and p are needed")
            columns = [found[field] for field in FIELDS]
            return check_events(_rows(columns), size)
        return check_events(only, size) if only.dtype.names else gesture_npy(data, size, name)
    except CorruptData:
        raise
    except ValueError as error:
        raise CorruptData(f"{name}: {error}") from error


def _rows(columns: Sequence[Numbers]) -> Events:
    """Columns of the `FIELDS` as one structured array."""
    shapes = {column.shape for column in columns}
    if len(shapes) > 1:
        raise ValueError(f"x, y, t and p have the shapes {sorted(shapes)}: allowed is one shape")
    kinds = [(field, column.dtype) for field, column in zip(FIELDS, columns, strict=True)]
    rows = np.empty(columns[0].shape, kinds)
    for field, column in zip(FIELDS, columns, strict=True):
        rows[field] = column
    return rows


def image(data: bytes, name: str) -> Any:
    """A picture as PIL has it, of a size that fits into memory."""
    from PIL import Image

    try:
        found = Image.open(io.BytesIO(data))
        if found.width * found.height > LARGEST // 4:
            raise CorruptData(f"{name}: has {found.width} x {found.height} pixels, too many")
        found.load()
    except CorruptData:
        raise
    except Exception as error:  # a damaged image fails in any way
        raise CorruptData(f"{name}: is no image that can be read ({error})") from error
    return found
