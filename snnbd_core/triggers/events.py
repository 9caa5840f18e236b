"""A patch in a raw recording: real events go, real events come.

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
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from snnbd_core.triggers.placement import Rectangle
from snnbd_core.triggers.polarity import POLARITIES

__all__ = ["Changed", "changed", "check_recording", "rewrite"]

Window = tuple[Rectangle, int, int]  # a patch, its first microsecond and the one after its last

_FIELDS = {"x", "y", "t", "p"}


class Changed(NamedTuple):
    """How many events a trigger put in and took out."""

    added: int
    removed: int


def changed(before: np.ndarray, after: np.ndarray) -> Changed:
    """Counts the events of `after` that `before` has not, and the other way round.

    Both are recordings with fields x, y, t, p; equal events are told apart by their number.
    """
    rows = [
        np.stack([events[name].astype(np.int64) for name in "txyp"], 1)
        for events in (before, after)
    ]
    _, kind = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    kinds = int(kind.max()) + 1 if len(kind) else 0
    surplus = np.bincount(kind[len(before) :], minlength=kinds) - np.bincount(
        kind[: len(before)], minlength=kinds
    )
    return Changed(int(surplus[surplus > 0].sum()), int(-surplus[surplus < 0].sum()))


def rewrite(
    events: np.ndarray,
    schedule: Iterable[tuple[Rectangle, slice]],
    steps: int,
    *,
    sensor_size: tuple[int, int, int],
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
        sensor_size: (width, height, 2).
        polarity: a name of `POLARITIES`; "erase" only removes.
        rate: events per second, pixel and polarity.
        refractory: least time between two events of a pixel, in microseconds. A pixel's own
            events are also removed for this long before its window opens.
        seed: draws the times, together with the recording's own times: each recording has its
            own jitter, the same one on every call.

    Raises:
        ValueError: no recording, an empty one, events outside the sensor, times that go
            backwards, windows too short for `rate`, or nothing left after erasing.
    """
    check_recording(events, sensor_size)
    times = events["t"].astype(np.int64)
    first, span = int(times[0]), int(times[-1]) - int(times[0]) + 1
    edges = [first + k * span // steps for k in range(steps + 1)]
    windows: list[Window] = [
        (patch, edges[k], edges[k + 1])
        for patch, when in schedule
        for k in range(*when.indices(steps))
    ]
    kept: np.ndarray = events[~_covered(events, times, windows, sensor_size, refractory)]
    if not any(POLARITIES[polarity]):
        if not len(kept):
            raise ValueError(
                f"polarity={polarity!r} leaves none of the recording's {len(events)} events: "
                "allowed are patches with events outside them"
            )
        return kept
    rng = np.random.default_rng([seed, zlib.crc32(times.tobytes())])
    lights = [_flicker(w, polarity, rate, refractory, rng, events.dtype) for w in windows]
    out: np.ndarray = np.concatenate([kept, *lights])
    order = np.argsort(out["t"], kind="stable")
    return np.take(out, order)


def check_recording(events: Any, sensor_size: tuple[int, int, int]) -> None:
    """Raises ValueError unless `events` is a non-empty, sorted recording inside the sensor."""
    names = getattr(getattr(events, "dtype", None), "names", None)
    if not isinstance(events, np.ndarray) or set(names or ()) != _FIELDS or events.ndim != 1:
        raise ValueError(
            f"events={type(events).__name__} with fields {names}: space='events' works on one "
            "structured array with fields x, y, t, p"
        )
    if not len(events):
        raise ValueError("events is an empty recording: at least one event is needed")
    for name, limit in zip("xyp", (*sensor_size[:2], 2), strict=True):
        values = events[name]
        if name == "p" and values.dtype == bool:
            continue
        low, high = values.min(), values.max()
        if low < 0 or high >= limit:
            raise ValueError(
                f"events have {name} in {low}..{high}, outside sensor_size={sensor_size}: "
                f"allowed is 0..{limit - 1}"
            )
        if values.dtype.kind in "iu" and limit - 1 > np.iinfo(values.dtype).max:
            raise ValueError(
                f"events hold {name} as {values.dtype}, too small for "
                f"sensor_size={sensor_size}: allowed are integers up to {limit - 1}"
            )
    back = np.flatnonzero(events["t"][1:] < events["t"][:-1])
    if len(back):
        at = int(back[0]) + 1
        raise ValueError(
            f"events have t={events['t'][at]} after t={events['t'][at - 1]} (event {at}): "
            "allowed are times that do not go backwards"
        )


def _covered(
    events: np.ndarray,
    times: np.ndarray,
    windows: list[Window],
    sensor_size: tuple[int, int, int],
    refractory: int,
) -> np.ndarray:
    """True for the recording's own events that lie in a patch while it is there."""
    pixel = events["y"].astype(np.intp) * sensor_size[0] + events["x"]
    covered = np.zeros(len(events), dtype=bool)
    for patch, opens, closes in windows:
        inside = np.zeros((sensor_size[1], sensor_size[0]), dtype=bool)
        inside[patch.rows, list(patch.columns)] = True
        low, high = np.searchsorted(times, (opens - refractory + 1, closes))
        covered[low:high] |= inside.ravel()[pixel[low:high]]
    return covered


def _flicker(
    window: Window,
    polarity: str,
    rate: float,
    refractory: int,
    rng: np.random.Generator,
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
    jitter = rng.integers(0, np.diff(edges) - refractory + 1, size=(patch.pixels, slots))
    y, x = np.meshgrid(np.arange(patch.rows.start, patch.rows.stop), patch.columns, indexing="ij")
    bits = {"off": [0], "on": [1], "both": [1, 0]}[polarity]
    out = np.zeros(patch.pixels * slots, dtype=dtype)
    out["x"] = np.repeat(x.ravel(), slots)
    out["y"] = np.repeat(y.ravel(), slots)
    out["t"] = (edges[:-1] + jitter).ravel()
    out["p"] = np.resize(bits, len(out))  # a whole number of on-off pairs per pixel
    return out
