"""A fixed pattern of whole events, put into and taken out of raw recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbd_core.checks import decimal, plain, settings
from snnbd_core.triggers import checks
from snnbd_core.triggers.events import check_recording

__all__ = ["Event", "EventPattern"]

Event = tuple[int, int, int, float]


@dataclass(frozen=True, kw_only=True)
class EventPattern:
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
        ValueError: for any argument outside what is said above, when built; for a recording that
            does not fit, or whose pixel has no room left, when called.
    """

    added: tuple[Event, ...] = ()
    removed: tuple[Event, ...] = ()
    sensor_size: tuple[int, int, int] = (34, 34, 2)
    refractory: int = 500
    space: str = "events"

    def __post_init__(self) -> None:
        sensor_size = checks.check_sensor(self.sensor_size)
        settings(
            self,
            sensor_size=sensor_size,
            added=_checked("added", self.added, sensor_size),
            removed=_checked("removed", self.removed, sensor_size),
            refractory=checks.check_refractory(self.refractory),
            space=checks.check_space(self.space, "events"),
        )

    def __call__(self, events: np.ndarray) -> np.ndarray:
        """One recording; returns a changed copy, sorted by time."""
        check_recording(events, self.sensor_size)
        first = int(events["t"][0])
        span = int(events["t"][-1]) - first
        kept = events[self._stay(events, first, span)]
        new = np.zeros(len(self.added), dtype=events.dtype)
        taken: dict[tuple[int, int], list[int]] = {}
        for row, (x, y, p, share) in enumerate(self.added):
            if (x, y) not in taken:
                own = kept["t"][(kept["x"] == x) & (kept["y"] == y)]
                taken[x, y] = [int(time) for time in own]
            time = self._free(taken[x, y], first + round(share * span), first, first + span)
            taken[x, y].append(time)
            new[row] = (x, y, time, p)
        out: np.ndarray = np.concatenate([kept, new])
        order = np.argsort(out["t"], kind="stable")
        return np.take(out, order)

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


def _checked(name: str, events: Any, sensor_size: tuple[int, int, int]) -> tuple[Event, ...]:
    if not isinstance(events, tuple | list):
        raise ValueError(f"{name}={events!r} must list events (x, y, p, share)")
    out: list[Event] = []
    for number, event in enumerate(events):
        fits = isinstance(event, tuple | list) and len(event) == 4
        whole = fits and all(
            checks.is_count(value) and 0 <= value < limit
            for value, limit in zip(event, (*sensor_size[:2], 2), strict=False)
        )
        if not whole or not checks.is_number(event[3]) or not 0 <= event[3] <= 1:
            raise ValueError(
                f"{name}[{number}]={event!r} must be (x, y, p, share) within {sensor_size} and "
                "share in 0..1"
            )
        x, y, p, share = map(plain, event)
        out.append((int(x), int(y), int(p), decimal(share)))
    return tuple(out)
