"""Triggers in the time stamps alone: each pixel sends the same events in the same order.

Every event keeps its pixel and polarity, and every pixel its count; only times move, each by at
most a bound. Whoever sums a recording over time, or counts events, sees nothing of it. Spike
retiming is known as an attack on a trained network (arXiv 2602.03284); here it poisons.

The times that a pattern asks for are brought to the nearest ones a camera can give: within the
recording, each pixel's events in their order, and none closer to the one before it than the
refractory period (or than it was).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from snnbd_core.checks import Checked, Count, Positive, decimal, is_number, settings
from snnbd_core.triggers.checks import Position, Sensor, Size
from snnbd_core.triggers.events import check_recording, in_order
from snnbd_core.triggers.placement import POLARITIES, Rectangle, place

__all__ = ["Retimed", "TimeTable", "retimed"]

_LENGTHS = 0.1  # a table's recordings are as long as its own, within this share


def retimed(events: np.ndarray, wanted: np.ndarray, bound: int, refractory: int) -> np.ndarray:
    """The recording at other times, as close to those wanted as a camera and the bound let them.

    With t_i the times of a pixel, w_i those wanted and g_i = min(refractory, t_i - t_{i-1}) the
    gaps that it keeps, t'_i = max(w_i, t'_{i-1} + g_i), w_i being cut to t_i +- bound and to what
    leaves room before the recording's end. The recording's first and last event stay.

    Args:
        events: a sorted recording.
        wanted: microseconds, [N].
        bound: most that a time moves, microseconds.
        refractory: microseconds.
    """
    times = events["t"].astype(np.int64)
    pixel = events["y"].astype(np.int64) * (int(events["x"].max()) + 1) + events["x"]
    order = np.lexsort((times, pixel))
    t, starts = times[order], np.diff(pixel[order], prepend=-1) != 0
    group = np.cumsum(starts) - 1
    gaps = np.where(starts, 0, np.minimum(np.diff(t, prepend=t[0]), refractory))
    used = np.cumsum(gaps)
    ends = used[np.append(np.flatnonzero(starts)[1:] - 1, len(t) - 1)]
    latest = np.minimum(t + bound, t.max() - (ends[group] - used))
    asked = np.rint(wanted).astype(np.int64)[order]
    asked = np.clip(asked, np.maximum(t - bound, t.min()), latest)
    asked = np.where((t == t.min()) | (t == t.max()), t, asked)
    free = asked - used
    apart = group * (int(np.ptp(free)) + 1)  # so that no pixel's times reach into the next one's
    moved = events.copy()
    moved["t"][order] = np.maximum.accumulate(free + apart) - apart + used
    return in_order(moved)


@dataclass(frozen=True, kw_only=True)
class Retimed(Checked):
    """A fixed pattern of delays: events of one polarity or place come late.

    Args:
        bound: most that an event moves, in milliseconds.
        pattern: "delay" puts the chosen events off by the bound; "bunch" lets them wait for the
            next tick of a clock whose period the bound is.
        polarity: of the chosen events, "on", "off" or "both".
        size, position: of the patch whose events are chosen; size 1 is the whole sensor.
        sensor_size: (width, height, 2) as in tonic.
        refractory: least time between two events of a pixel, microseconds.

    Raises:
        ValueError: also for a recording that is shorter than the bound.
    """

    bound: Positive = 20.0
    pattern: Literal["delay", "bunch"] = "delay"
    polarity: Literal["on", "off", "both"] = "on"
    size: Size = 1.0
    position: Position = "bottom-right"
    sensor_size: Sensor = (34, 34, 2)
    refractory: Count = 500
    space: Literal["events"] = "events"

    def __call__(self, events: np.ndarray) -> np.ndarray:
        """One recording; returns it with other times."""
        check_recording(events, self.sensor_size)
        bound = _microseconds(self.bound, events)
        times = events["t"].astype(np.int64)
        late = np.full(len(events), bound)
        if self.pattern == "bunch":
            late = -(times - times[0]) % bound
        return retimed(events, times + late * self._chosen(events), bound, self.refractory)

    def _chosen(self, events: np.ndarray) -> np.ndarray:
        width, height, _ = self.sensor_size
        patch = Rectangle.at(*place(self.position, self.size, width, height), width)
        inside = np.zeros((height, width), dtype=bool)
        inside[patch.rows, list(patch.columns)] = True
        of_polarity = np.array(POLARITIES[self.polarity], dtype=bool)[events["p"].astype(int)]
        chosen: np.ndarray = inside[events["y"], events["x"]] & of_polarity
        return chosen


@dataclass(frozen=True, kw_only=True)
class TimeTable(Checked):
    """Delays by polarity, place and time, one table for all recordings; `LearntTimes` finds one.

    Args:
        shifts: [2, rows, columns, slices] in milliseconds: OFF, then ON, the parts of the sensor,
            the equal parts of the recording in which an event comes; below 0 is earlier.
        length: of the recordings that it is for, in milliseconds.
        bound: most that an event moves, in milliseconds.
        sensor_size, refractory: as for `Retimed`.

    Raises:
        ValueError: also for a recording of another length, by more than a tenth.
    """

    shifts: Any
    length: Positive
    bound: Positive
    sensor_size: Sensor = (34, 34, 2)
    refractory: Count = 500
    space: Literal["events"] = "events"

    def __post_init__(self) -> None:
        super().__post_init__()
        settings(self, shifts=_table(self.shifts, self.bound))
        if self.bound > self.length:
            raise ValueError(f"bound={self.bound!r} ms must be at most length={self.length!r} ms")

    def __call__(self, events: np.ndarray) -> np.ndarray:
        """One recording; returns it with other times."""
        check_recording(events, self.sensor_size)
        bound, lasts = _microseconds(self.bound, events), int(np.ptp(events["t"])) / 1000
        if abs(lasts - self.length) > _LENGTHS * self.length:
            raise ValueError(
                f"the recording lasts {lasts:g} ms: these times were made for {self.length:g} ms, "
                f"allowed is {100 * _LENGTHS:g} % more or less; fit LearntTimes to recordings that "
                "last as long as this one"
            )
        times = events["t"].astype(np.int64)
        late = np.asarray(self.shifts)[cells(events, np.shape(self.shifts), self.sensor_size)]
        return retimed(events, times + 1000 * late, bound, self.refractory)


def cells(
    events: np.ndarray, shape: tuple[int, ...], sensor_size: tuple[int, int, int]
) -> tuple[np.ndarray, ...]:
    """Polarity, row, column and slice of each event in a table [2, rows, columns, slices]."""
    width, height, _ = sensor_size
    _, rows, columns, slices = shape
    since = events["t"].astype(np.int64) - int(events["t"][0])
    when = since * slices // (int(since[-1]) + 1)
    y, x = events["y"].astype(int) * rows // height, events["x"].astype(int) * columns // width
    return events["p"].astype(int), y, x, when


def _microseconds(bound: float, events: np.ndarray) -> int:
    lasts = int(np.ptp(events["t"]))
    if 1000 * bound > lasts:
        raise ValueError(
            f"bound={bound!r} ms is longer than a recording of {lasts / 1000:g} ms: set a bound of "
            "at most that, or leave out recordings that are shorter"
        )
    return max(1, round(1000 * bound))


def _table(shifts: Any, bound: float) -> tuple[Any, ...]:
    """The shifts as nested tuples of floats; ValueError for another shape or past the bound."""
    table = np.asarray(shifts, dtype=object)
    if table.ndim != 4 or len(table) != 2 or not table.size:
        raise ValueError(f"shifts has shape {table.shape}: allowed is [2, rows, columns, slices]")
    for value in table.ravel():
        if not is_number(value) or abs(value) > bound:
            raise ValueError(f"shifts hold {value!r}: allowed are numbers of {bound:g} ms at most")
    return _nested(table)


def _nested(table: Any) -> Any:
    return tuple(map(_nested, table)) if isinstance(table, np.ndarray) else decimal(table)
