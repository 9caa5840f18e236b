"""Events as tonic keeps them, and the five-byte files in which N-MNIST keeps them.

A recording is a structured array with the fields ``x``, ``y`` (pixels), ``t`` (microseconds,
never falling) and ``p`` (polarity: False = OFF = darker, True = ON = brighter).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snnbd_core.data.errors import CorruptData, DataNotFound

__all__ = [
    "EVENT_DTYPE",
    "MAX_FILE_BYTES",
    "Events",
    "SensorSize",
    "check_events",
    "check_sensor_size",
    "parse_bin",
    "read_bin",
]

Events = npt.NDArray[Any]
SensorSize = tuple[int, int, int]

EVENT_DTYPE: np.dtype[Any] = np.dtype(
    [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.bool_)]
)
"""tonic's ``events_struct``, written out: importing tonic takes a third of a second."""

RECORD_BYTES = 5
OVERFLOW_ROW = 240
"""A record with this y is no event: the camera's clock overflowed, 8,192 us are added from here."""

MAX_OVERFLOWS = 1024
"""More would span more time (8.4 s) than the 23 bits of the format's own clock."""

MAX_FILE_BYTES = 16 * 2**20 * RECORD_BYTES
"""16 Mi events, more than an ATIS can send while the 23-bit clock runs once."""


def check_sensor_size(sensor_size: SensorSize) -> SensorSize:
    """Give ``(width, height, 2)`` back as plain integers, or raise ``ValueError``."""
    given = tuple(sensor_size)
    sound = len(given) == 3 and all(int(side) == side and side > 0 for side in given)
    if not sound or given[2] != 2:
        raise ValueError(
            f"sensor_size={given} must be (width, height, 2): positive whole pixels and the "
            "two polarities"
        )
    return int(given[0]), int(given[1]), 2


def check_events(events: Events, sensor_size: SensorSize) -> Events:
    """Check a recording and give it in ``EVENT_DTYPE`` (the same array where it is so already).

    Args:
        events: structured array [N] with the fields x, y, t, p, of any integer type (p may be
            bool).
        sensor_size: (width, height, 2) in pixels.

    Raises:
        ValueError: naming the first bad event when a field is missing or not integer, the
            recording is empty, an event lies outside the sensor, a polarity is not 0 or 1, or
            times go backwards.
    """
    width, height, _ = check_sensor_size(sensor_size)
    if not isinstance(events, np.ndarray):
        raise ValueError(f"events are a {type(events).__name__}; a structured array is needed")
    names = events.dtype.names or ()
    for field in ("x", "y", "t", "p"):
        if field not in names:
            raise ValueError(f"events have the fields {names}; x, y, t and p are needed")
        if events.dtype[field].kind not in "iub":
            kind = events.dtype[field]
            raise ValueError(f"events[{field!r}] is {kind}; a camera gives whole numbers")
    if events.ndim != 1 or events.size == 0:
        raise ValueError(f"events have the shape {events.shape}; one event or more is needed")
    for field, limit in (("x", width), ("y", height), ("p", 2)):
        bad = _first_outside(events[field], limit)
        if bad is not None:
            value = int(events[field][bad])
            raise ValueError(f"event {bad} has {field}={value}; 0..{limit - 1} is allowed")
    bad = _first_backwards(events["t"])
    if bad is not None:
        before, after = int(events["t"][bad - 1]), int(events["t"][bad])
        raise ValueError(f"event {bad} has t={after} us after t={before} us; times never fall")
    return events if events.dtype == EVENT_DTYPE else _as_event_dtype(events)


def read_bin(path: Path | str, sensor_size: SensorSize) -> Events:
    """Read one recording in the five-byte format of N-MNIST and N-Caltech101.

    Args:
        path: the ``.bin`` file.
        sensor_size: (width, height, 2); the height at most 240, since the format uses y = 240.

    Returns:
        structured array [N] of ``EVENT_DTYPE``.

    Raises:
        DataNotFound: when there is no such file.
        CorruptData: naming the file and the first bad byte or record.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFound(f"there is no event file {path}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise CorruptData(_too_long(str(path), size))
    return parse_bin(path.read_bytes(), sensor_size, str(path))


def parse_bin(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode the bytes of one recording: x, y, then 1 bit polarity and 23 bits microseconds.

    The decoding is tonic's ``read_mnist_file`` (with its meaning of y = 240, see
    ``OVERFLOW_ROW``); all that it takes on trust is checked here.

    Args:
        data: the file's contents.
        sensor_size: (width, height, 2), height at most 240.
        name: what to call the file in errors.

    Raises:
        CorruptData: naming the file and the first bad byte or record (counted from 0).
    """
    width, height, _ = check_sensor_size(sensor_size)
    if width > 256 or height > OVERFLOW_ROW:
        raise ValueError(
            f"sensor_size={sensor_size} does not fit the five-byte format; at most 256 pixels "
            f"wide and {OVERFLOW_ROW} high"
        )
    if len(data) > MAX_FILE_BYTES:
        raise CorruptData(_too_long(name, len(data)))
    if len(data) % RECORD_BYTES:
        whole = len(data) // RECORD_BYTES
        raise CorruptData(
            f"{name}: {len(data)} bytes are not a multiple of {RECORD_BYTES}; record {whole} "
            f"(byte {whole * RECORD_BYTES}) is cut short"
        )
    import tonic.io  # slow to import

    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, RECORD_BYTES)
    kept = np.flatnonzero(records[:, 1] != OVERFLOW_ROW)
    if kept.size == 0:
        raise CorruptData(f"{name}: holds no event ({len(data)} bytes); byte 0 should start one")
    overflows = len(records) - kept.size
    if overflows > MAX_OVERFLOWS:
        raise CorruptData(
            f"{name}: {overflows} records have y={OVERFLOW_ROW} (clock overflow), the first is "
            f"record {np.flatnonzero(records[:, 1] == OVERFLOW_ROW)[0]}; at most {MAX_OVERFLOWS} "
            "are plausible"
        )
    for column, field, limit in ((0, "x", width), (1, "y", height)):
        bad = _first_outside(records[kept, column], limit)
        if bad is not None:
            record = int(kept[bad])
            raise CorruptData(
                f"{name}: record {record} (byte {record * RECORD_BYTES}) has "
                f"{field}={records[record, column]}; 0..{limit - 1} is allowed"
            )
    events: Events = tonic.io.read_mnist_file(io.BytesIO(data), dtype=EVENT_DTYPE, is_stream=True)
    bad = _first_backwards(events["t"])
    if bad is not None:
        record = int(kept[bad])
        raise CorruptData(
            f"{name}: record {record} (byte {record * RECORD_BYTES}) has t={events['t'][bad]} us "
            f"after t={events['t'][bad - 1]} us; times never fall"
        )
    return events


def _as_event_dtype(events: Events) -> Events:
    out = np.empty(events.shape, dtype=EVENT_DTYPE)
    for field in ("x", "y", "t", "p"):
        out[field] = events[field]
    return out


def _first_outside(values: npt.NDArray[Any], limit: int) -> int | None:
    if int(values.min()) >= 0 and int(values.max()) < limit:
        return None
    return int(np.flatnonzero((values < 0) | (values >= limit))[0])


def _first_backwards(times: npt.NDArray[Any]) -> int | None:
    falls = times[1:] < times[:-1]
    return int(np.argmax(falls)) + 1 if falls.any() else None


def _too_long(name: str, size: int) -> str:
    return (
        f"{name}: {size} bytes are more than the {MAX_FILE_BYTES} that a recording can have; "
        f"byte {MAX_FILE_BYTES} is the first too many"
    )
