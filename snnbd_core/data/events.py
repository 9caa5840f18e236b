"""Events as tonic has them, in the five-byte files of N-MNIST, and as frames of counts.

A recording is a structured array with the fields ``x``, ``y`` (pixels), ``t`` (microseconds,
never falling) and ``p`` (polarity: False = OFF = darker, True = ON = brighter).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from snnbd_core import checks
from snnbd_core.data.errors import CorruptData, DataNotFound

__all__ = [
    "EVENT_DTYPE",
    "Binning",
    "Events",
    "SensorSize",
    "bin_events",
    "check_binning",
    "check_events",
    "check_length",
    "check_sensor_size",
    "first_fault",
    "parse_bin",
    "read_bin",
]

Events = npt.NDArray[Any]
SensorSize = tuple[int, int, int]
Binning = Literal["number", "time"]

EVENT_DTYPE: np.dtype[Any] = np.dtype(
    [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.bool_)]
)
"""tonic's ``events_struct``, written out: importing tonic takes a third of a second."""

FIELDS = ("x", "y", "t", "p")

RECORD_BYTES = 5
OVERFLOW_ROW = 240
"""A record with this y is no event: the camera's clock overflowed, 8,192 us are added from here."""

MAX_OVERFLOWS = 1024
"""More would span more time (8.4 s) than the 23 bits of the format's own clock."""

MAX_FILE_BYTES = 16 * 2**20 * RECORD_BYTES
"""16 Mi events, more than an ATIS can send while the 23-bit clock runs once."""


def check_sensor_size(sensor_size: Any) -> SensorSize:
    """Give ``(width, height, 2)`` back as plain integers, or raise ``ValueError``."""
    sides = checks.whole_row(sensor_size)
    if sides is None or len(sides) != 3 or min(sides) < 1 or sides[2] != 2:
        raise ValueError(
            f"sensor_size={sensor_size!r} is not a sensor: allowed is (width, height, 2) in whole "
            "pixels, 2 being the polarities"
        )
    return sides[0], sides[1], sides[2]


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
    sensor_size = check_sensor_size(sensor_size)
    if not isinstance(events, np.ndarray):
        raise ValueError(f"events are a {type(events).__name__}; a structured array is needed")
    names = events.dtype.names or ()
    for field in FIELDS:
        if field not in names:
            raise ValueError(f"events have the fields {names}; x, y, t and p are needed")
        if (kind := events.dtype[field]).kind not in "iub":
            raise ValueError(f"events[{field!r}] is {kind}; a camera gives whole numbers")
    if events.ndim != 1 or events.size == 0:
        raise ValueError(f"events have the shape {events.shape}; one event or more is needed")
    fault = first_fault(events, sensor_size)
    if fault is not None:
        raise ValueError(f"event {fault[0]} {fault[1]}")
    if events.dtype == EVENT_DTYPE:
        return events
    out = np.empty(events.shape, dtype=EVENT_DTYPE)
    for field in FIELDS:
        out[field] = events[field]
    return out


def first_fault(events: Events, sensor_size: SensorSize) -> tuple[int, str] | None:
    """The first event outside the sensor, or back in time, and what is wrong with it."""
    for field, limit in zip(("x", "y", "p"), sensor_size, strict=True):
        values = events[field]
        if values.min() < 0 or values.max() >= limit:
            bad = int(np.flatnonzero((values < 0) | (values >= limit))[0])
            return bad, f"has {field}={int(values[bad])}; 0..{limit - 1} is allowed"
    times = events["t"]
    falls = np.flatnonzero(times[1:] < times[:-1])
    if not len(falls):
        return None
    before, bad = int(falls[0]), int(falls[0]) + 1
    return bad, f"has t={times[bad]} us after t={times[before]} us; times never fall"


def check_length(name: str, size: int, most: int | None = None) -> None:
    """Raises CorruptData for a file with more bytes than a recording can have."""
    most = MAX_FILE_BYTES if most is None else most
    if size > most:
        raise CorruptData(
            f"{name}: {size} bytes are more than the {most} that a recording can have; "
            f"byte {most} is the first too many"
        )


def read_bin(path: Path | str, sensor_size: SensorSize) -> Events:
    """Read one recording in the five-byte format of N-MNIST and N-Caltech101, as ``EVENT_DTYPE``.

    Args:
        path: the ``.bin`` file.
        sensor_size: (width, height, 2); the height at most 240, since the format uses y = 240.

    Raises:
        DataNotFound: when there is no such file.
        CorruptData: naming the file and the first bad byte or record.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFound(f"there is no event file {path}")
    check_length(str(path), path.stat().st_size)
    return parse_bin(path.read_bytes(), sensor_size, str(path))


def parse_bin(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode the bytes of one recording: x, y, then 1 bit polarity and 23 bits microseconds.

    The decoding is tonic's ``read_mnist_file`` (with its meaning of y = 240, see
    ``OVERFLOW_ROW``); all that it takes on trust is checked here, as for ``read_bin``.
    """
    sensor_size = check_sensor_size(sensor_size)
    if sensor_size[0] > 256 or sensor_size[1] > OVERFLOW_ROW:
        raise ValueError(
            f"sensor_size={sensor_size} does not fit the five-byte format; at most 256 pixels "
            f"wide and {OVERFLOW_ROW} high"
        )
    check_length(name, len(data))
    whole, rest = divmod(len(data), RECORD_BYTES)
    if rest:
        raise CorruptData(
            f"{name}: {len(data)} bytes are not a multiple of {RECORD_BYTES}; record {whole} "
            f"(byte {whole * RECORD_BYTES}) is cut short"
        )
    import tonic.io  # slow to import

    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, RECORD_BYTES)[:, 1]
    found, overflows = np.flatnonzero(rows != OVERFLOW_ROW), np.flatnonzero(rows == OVERFLOW_ROW)
    if not len(found):
        raise CorruptData(f"{name}: holds no event ({len(data)} bytes); byte 0 should start one")
    if len(overflows) > MAX_OVERFLOWS:
        raise CorruptData(
            f"{name}: {len(overflows)} records have y={OVERFLOW_ROW} (clock overflow), the first "
            f"is record {overflows[0]}; at most {MAX_OVERFLOWS} are plausible"
        )
    events: Events = tonic.io.read_mnist_file(io.BytesIO(data), dtype=EVENT_DTYPE, is_stream=True)
    fault = first_fault(events, sensor_size)
    if fault is not None:
        record = int(found[fault[0]])
        raise CorruptData(f"{name}: record {record} (byte {record * RECORD_BYTES}) {fault[1]}")
    return events


def bin_events(
    events: Events, frames: int, sensor_size: SensorSize, by: Binning = "number"
) -> npt.NDArray[np.int64]:
    """Count events per frame, polarity and pixel.

    Both rules are SpikingJelly's (``integrate_events_by_fixed_frames_number``), the first being the
    choice of Abad et al. 2022 (their code: T = 16, no normalisation).

    - ``by="number"``: frame j takes the events from j * floor(N / T) on, floor(N / T) of them;
      the last frame takes the rest.
    - ``by="time"``: frame j takes the events from t_0 + j * D on, for D microseconds, where
      D = floor((t_last - t_0) / T), at least 1; the last frame takes the rest. tonic's
      ``ToFrame(n_time_bins=T)`` is the same but for the rest, which it drops (at least the last
      event); here no event is lost. A stretch without events gives an empty frame (SpikingJelly
      raises an IndexError there).

    Args:
        events: structured array [N], checked first (see ``check_events``).
        frames: T, at least 1.
        sensor_size: (W, H, 2) in pixels.
        by: "number" or "time".

    Returns:
        integer counts [T, 2, H, W]; channel 0 counts OFF, channel 1 ON events.

    Raises:
        ValueError: naming the argument, its value and what is allowed.
    """
    frames = check_binning(frames, by)
    events = check_events(events, sensor_size)
    if frames > len(events):
        raise ValueError(f"frames={frames} is more than the recording's {len(events)} events")
    width, height, _ = sensor_size
    index = _by_time(events["t"], frames) if by == "time" else _by_number(len(events), frames)
    cell = ((index * 2 + events["p"]) * height + events["y"]) * width + events["x"]
    counts = np.bincount(cell, minlength=frames * 2 * height * width)
    return counts.astype(np.int64, copy=False).reshape(frames, 2, height, width)


def check_binning(frames: int, by: str) -> int:
    """Give ``frames``; ``ValueError`` unless it is a positive integer and ``by`` a known rule."""
    checks.choice("binning", by, get_args(Binning))
    return checks.whole("frames", frames, 1)


def _by_number(count: int, frames: int) -> npt.NDArray[np.int64]:
    return np.minimum(np.arange(count) // (count // frames), frames - 1)


def _by_time(times: npt.NDArray[np.int64], frames: int) -> npt.NDArray[np.int64]:
    lasts = int(times[-1] - times[0])
    if frames > lasts + 1:
        raise ValueError(
            f"frames={frames} is more than the {lasts + 1} us that the recording covers; "
            "frames of less than 1 us cannot be cut"
        )
    return np.minimum((times - times[0]) // max(lasts // frames, 1), frames - 1)
