"""A fixed pattern of whole events, put into and taken out of raw recordings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from snnbd_core.checks import Checked, Count, decimal, fields, is_number, whole_row
from snnbd_core.data.events import SensorSize
from snnbd_core.triggers.checks import Sensor
from snnbd_core.triggers.events import check_recording, in_order

__all__ = ["Event", "EventPattern"]

Event = tuple[int, int, int, float]


@dataclass(frozen=True, kw_only=True)
class EventPattern(Checked):
    """The same few events in every recording, at times given as shares of its length.

    Nothing is overwritten. An event that would come closer than `refractory` to another of its
    pixel is put off until there is room, or brought forward where the recording ends first. Where
    events are taken out, it is the pixel's nearest one of that polarity within a tenth of the
    recording; where there is none, nothing goes.

    Args:
        added: events (x, y, p, share), share in 0..1 of the recording's length, p 0 or 1.
        removed: likewise, what is taken out.
        sensor_size: (width, height, 2) as in tonic.
        refractory: least time between two events of a pixel, microseconds.

    Raises:
        ValueError: also for a recording in which a pixel has no room left.
    """

    added: tuple[Event, ...] = ()
    removed: tuple[Event, ...] = ()
    sensor_size: Sensor = (34, 34, 2)
    refractory: Count = 500
    space: Literal["events"] = "events"

    def __post_init__(self) -> None:
        super().__post_init__()
        fields(self, ("added", "removed"), partial(_checked, sensor_size=self.sensor_size))

    def __call__(self, events: np.ndarray) -> np.ndarray:
        check_recording(events, self.sensor_size)
        first, span = int(events["t"][0]), int(events["t"][-1]) - int(events["t"][0])
        left = events[self._stay(events, first, span)]
        new = np.zeros(len(self.added), dtype=events.dtype)
        taken: dict[tuple[int, int], list[int]] = {}
        for row, (x, y, p, share) in enumerate(self.added):
            if (x, y) not in taken:
                own = left["t"][(left["x"] == x) & (left["y"] == y)]
                taken[x, y] = [int(time) for time in own]
            time = self._free(taken[x, y], first + round(share * span), first, first + span)
            taken[x, y].append(time)
            for name, value in zip("xytp", (x, y, time, p), strict=True):
                new[name][row] = value
        return in_order(np.concatenate([left, new]))

    def _stay(self, events: np.ndarray, first: int, span: int) -> np.ndarray:
        """False for the events that are taken out."""
        stay = np.ones(len(events), dtype=bool)
        for x, y, p, share in self.removed:
            same = (events["x"] == x) & (events["y"] == y) & (events["p"] == p) & stay
            rows = np.flatnonzero(same)
            if len(rows):
                distance = np.abs(events["t"][rows] - (first + share * span))
                if distance.min() <= span / 10:
                    stay[rows[distance.argmin()]] = False
        if not stay.any():
            raise ValueError(f"removed={self.removed!r} leaves none of {len(events)} events")
        return stay

    def _free(self, taken: list[int], wanted: int, first: int, last: int) -> int:
        """The first moment from `wanted` on, else the last one before, with room around it."""
        for way in (1, -1):
            time = wanted
            while first <= time <= last:
                blocks = [other for other in taken if abs(other - time) < self.refractory]
                if not blocks:
                    return time
                time = way * (max(way * other for other in blocks) + self.refractory)
        raise ValueError(
            f"a pixel with {len(taken)} events in {last - first} us has no room for another one: "
            f"allowed are gaps of at least refractory={self.refractory} us"
        )


def _checked(name: str, events: Any, sensor_size: SensorSize) -> tuple[Event, ...]:
    if not isinstance(events, tuple | list):
        raise ValueError(f"{name}={events!r} must list events (x, y, p, share)")
    out: list[Event] = []
    for number, event in enumerate(events):
        fits = isinstance(event, tuple | list) and len(event) == 4
        x, y, p = (fits and whole_row(event[:3])) or (-1, -1, -1)
        inside = all(
            0 <= value < limit for value, limit in zip((x, y, p), sensor_size, strict=True)
        )
        if not inside or not is_number(event[3]) or not 0 <= event[3] <= 1:
            raise ValueError(
                f"{name}[{number}]={event!r} must be (x, y, p, share) within {sensor_size} and "
                "share in 0..1"
            )
        out.append((x, y, p, decimal(event[3])))
    return tuple(out)
