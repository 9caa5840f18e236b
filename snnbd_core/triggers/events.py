"""A patch in a raw recording: its events are removed, those of a light are added.

Unlike overwritten frames, the result could have come from a camera that looked at a small
flickering light: whole pixels, whole microseconds, sorted times, and a refractory period
between any two events of a pixel that the light touches.

The light gives `rate` events per second, pixel and polarity, in a jittered clock: a window of
w microseconds is cut in n = floor(rate * w / 1e6) equal slots per polarity, and each pixel fires
once in each slot, at a uniformly drawn time that leaves the last `refractory` microseconds free.
With polarity "both" the slots alternate ON and OFF.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from snnbd_core.data.events import SensorSize, first_fault
from snnbd_core.triggers.placement import POLARITIES, Rectangle

__all__ = ["Changed", "changed", "check_recording", "generator", "in_order", "rewrite"]

Window = tuple[Rectangle, int, int]  # a patch, its first microsecond and the one after its last


class Changed(NamedTuple):
    """How many events a trigger put in and took out."""

    added: int
    removed: int


def changed(before: np.ndarray, after: np.ndarray) -> Changed:
    """Counts the events of `after` that `before` has not, and the other way round.

    Both are recordings with fields x, y, t, p; of equal events the number counts.
    """
    was, now = (
        Counter(zip(*(events[name].tolist() for name in "txyp"), strict=True))
        for events in (before, after)
    )
    return Changed((now - was).total(), (was - now).total())


def rewrite(
    events: np.ndarray,
    schedule: Iterable[tuple[Rectangle, slice]],
    steps: int,
    *,
    sensor_size: SensorSize,
    polarity: str,
    rate: float,
    refractory: int,
    seed: int,
) -> np.ndarray:
    """A new recording with the patches' own events removed and the trigger's events added.

    Args:
        events: structured array with fields x, y, t (microseconds, sorted) and p.
        schedule: patches with the slice of the `steps` equal time windows in which each lies.
        steps: number of windows that the recording's time span is cut in.
        sensor_size, polarity, rate: as for `Square`.
        refractory: as for `Square`; a pixel's own events are also removed for this long before
            its window opens.
        seed: draws the times, together with the recording's own times: each recording has its
            own jitter, the same one on every call.

    Raises:
        ValueError: windows too short for `rate`, or nothing left after erasing.
    """
    check_recording(events, sensor_size)
    first, span = int(events["t"][0]), int(events["t"][-1]) - int(events["t"][0]) + 1
    edges = [first + k * span // steps for k in range(steps + 1)]
    windows: list[Window] = [
        (patch, edges[k], edges[k + 1])
        for patch, when in schedule
        for k in range(*when.indices(steps))
    ]
    left: np.ndarray = events[~_covered(events, windows, sensor_size, refractory)]
    if any(POLARITIES[polarity]):
        draw = generator(seed, events)
        lights = [_flicker(w, polarity, rate, refractory, draw, events.dtype) for w in windows]
        return in_order(np.concatenate([left, *lights]))
    if not len(left):
        raise ValueError(
            f"polarity={polarity!r} leaves none of the recording's {len(events)} events: "
            "allowed are patches with events outside them"
        )
    return left


def check_recording(events: Any, sensor_size: SensorSize) -> None:
    """Raises ValueError unless `events` is a non-empty, sorted recording inside the sensor."""
    names = getattr(getattr(events, "dtype", None), "names", None)
    if not isinstance(events, np.ndarray) or set(names or ()) != set("xytp") or events.ndim != 1:
        raise ValueError(
            f"events={type(events).__name__} with fields {names}: space='events' works on one "
            "structured array with fields x, y, t, p"
        )
    if not len(events):
        raise ValueError("events is an empty recording: at least one event is needed")
    fault = first_fault(events, sensor_size)
    if fault is not None:
        raise ValueError(f"event {fault[0]} {fault[1]} (sensor_size={sensor_size})")
    for name, side in zip("xy", sensor_size, strict=False):
        dtype = events.dtype[name]
        if dtype.kind in "iu" and side - 1 > np.iinfo(dtype).max:
            raise ValueError(
                f"events hold {name} as {dtype}, too small for sensor_size={sensor_size}: allowed "
                f"are integers up to {side - 1}"
            )


def in_order(events: np.ndarray) -> np.ndarray:
    """The events sorted by time; those of one moment stay as they are."""
    return np.take(events, np.argsort(events["t"], kind="stable"))


def generator(seed: int, events: np.ndarray) -> np.random.Generator:
    """Random numbers of one recording: the same on every call, other ones for other times."""
    own = zlib.crc32(events["t"].astype(np.int64).tobytes())
    return np.random.default_rng([seed, own])


def _covered(
    events: np.ndarray, windows: list[Window], sensor_size: SensorSize, refractory: int
) -> np.ndarray:
    """True for the recording's own events that lie in a patch while it is there."""
    times = events["t"].astype(np.int64)
    covered = np.zeros(len(events), dtype=bool)
    for patch, opens, closes in windows:
        inside = np.zeros((sensor_size[1], sensor_size[0]), dtype=bool)
        inside[patch.rows, list(patch.columns)] = True
        low, high = np.searchsorted(times, (opens - refractory + 1, closes))
        covered[low:high] |= inside[events["y"][low:high], events["x"][low:high]]
    return covered


def _flicker(
    window: Window,
    polarity: str,
    rate: float,
    refractory: int,
    draw: np.random.Generator,
    dtype: np.dtype[Any],
) -> np.ndarray:
    """The light's events in one window, pixel after pixel."""
    patch, opens, closes = window
    width = closes - opens
    slots = int(rate * width * 1e-6 + 1e-9) * sum(POLARITIES[polarity])
    if not slots:
        raise ValueError(
            f"rate={rate!r} gives no event in a window of {width} us: allowed is at least "
            f"{1e6 / max(width, 1):g} Hz for this recording"
        )
    edges = opens + np.arange(slots + 1) * width // slots
    jitter = draw.integers(0, np.diff(edges) - refractory + 1, size=(patch.pixels, slots))
    y, x = np.meshgrid(np.arange(patch.rows.start, patch.rows.stop), patch.columns, indexing="ij")
    bits = {"off": [0], "on": [1], "both": [1, 0]}[polarity]
    out = np.zeros(patch.pixels * slots, dtype=dtype)
    out["x"], out["y"] = np.repeat(x.ravel(), slots), np.repeat(y.ravel(), slots)
    out["t"] = (edges[:-1] + jitter).ravel()
    out["p"] = np.resize(bits, len(out))  # a whole number of on-off pairs per pixel
    return out
