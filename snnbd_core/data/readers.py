"""One function per file format of recordings: bytes in, checked events out.

Each takes ``(data, sensor_size, name)`` and raises ``CorruptData`` naming the file.
"""

from __future__ import annotations

import importlib.util
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tonic.io

from snnbd_core.data.errors import CorruptData
from snnbd_core.data.events import Events, SensorSize, check_events, parse_bin


def five_bytes(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode a recording of N-MNIST or N-Caltech101 (see ``events.parse_bin``)."""
    return parse_bin(data, sensor_size, name)


def gesture_npy(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode a gesture as tonic publishes them: an array [N, 4] of x, y, p and t in milliseconds.

    Checked on synthetic files only; no published one was at hand.
    """
    try:
        table = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise CorruptData(f"{name}: is no numeric .npy array ({error})") from error
    if table.ndim != 2 or table.shape[1] != 4 or table.dtype.kind not in "iuf":
        raise CorruptData(f"{name}: has shape {table.shape}; rows of x, y, p, t are needed")
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1) | (table[:, :3] % 1 != 0).any(axis=1))
    if bad.size:
        raise CorruptData(f"{name}: record {bad[0]} is {table[bad[0]].tolist()}, not whole numbers")
    return _checked(
        {
            "x": table[:, 0].astype(np.int64),
            "y": table[:, 1].astype(np.int64),
            "t": (table[:, 3] * 1000.0).astype(np.int64),
            "p": table[:, 2].astype(np.int64),
        },
        sensor_size,
        name,
    )


def aedat2_cifar10(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode an original CIFAR10-DVS recording (AEDAT 2.0).

    tonic reads the addresses; both axes and the polarity are then turned round, as SpikingJelly
    does for this set. Checked on synthetic files only; no published one was at hand.
    """
    _, raw = _through_a_file(tonic.io.read_dvs_128, data, ".aedat", name)
    return _checked(
        {
            "x": 127 - raw["x"].astype(np.int64),
            "y": 127 - raw["y"].astype(np.int64),
            "t": raw["t"],
            "p": 1 - raw["p"].astype(np.int64),
        },
        sensor_size,
        name,
    )


def aedat4(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode a CIFAR10-DVS recording as tonic publishes them (AEDAT 4), by the package ``aedat``.

    Not checked on any real file: none was at hand.

    Raises:
        ModuleNotFoundError: naming the package, when it is not installed.
    """
    if importlib.util.find_spec("aedat") is None:
        raise ModuleNotFoundError(
            f"{name}: reading .aedat4 files needs the package aedat (pip install aedat)",
            name="aedat",
        )
    raw = _through_a_file(tonic.io.read_aedat4, data, ".aedat4", name)
    # tonic renames the fields by their place in just this way.
    columns = dict(zip(("t", "x", "y", "p"), (raw[f] for f in raw.dtype.names), strict=True))
    return _checked(columns, sensor_size, name)


def _through_a_file(read: Callable[[str], Any], data: bytes, suffix: str, name: str) -> Any:
    """Call a reader that only takes paths; whatever it fails with, the file is to blame."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"recording{suffix}"
        path.write_bytes(data)
        try:
            return read(str(path))
        # Both readers trust their input and fail in any way (AssertionError, UnboundLocalError).
        except Exception as error:
            raise CorruptData(f"{name}: cannot be decoded from byte 0 on ({error!r})") from error


def _checked(columns: dict[str, Any], sensor_size: SensorSize, name: str) -> Events:
    """Check wide columns before they are narrowed to ``EVENT_DTYPE``, where they might wrap."""
    wide = np.dtype([(field, np.int64) for field in ("x", "y", "t", "p")])
    events = np.empty(len(columns["t"]), dtype=wide)
    for field in wide.names or ():
        events[field] = columns[field]
    try:
        return check_events(events, sensor_size)
    except ValueError as error:
        raise CorruptData(f"{name}: {error}") from error
