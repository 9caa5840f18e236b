"""Event Trojan: whole events put into the raw stream (Wang et al., ECCV 2024).

The authors' immutable trigger is a burst: 100 ON events, one in each pixel of a 10x10 corner of
a 240x180 sensor, all at one moment shortly after the start. The mutable one has the same events
at learnt times, see `MutableTrojan`. Their code puts them in whatever the pixels and the read-out
can do; `refractory` and `bandwidth` hold them to a camera's limits. In it poison is drawn anew each
time a sample is fetched, and the option "let", of the mutable trigger, calls the immutable one;
here `poison` draws once, and each trigger is itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnbd_core.checks import Checked, Count, Positive, all_above, settings
from snnbd_core.triggers.checks import Position, Sensor
from snnbd_core.triggers.events import check_recording
from snnbd_core.triggers.pattern import EventPattern

__all__ = ["EventTrojan"]


@dataclass(frozen=True, kw_only=True)
class EventTrojan(Checked):
    """ON events, one in each pixel of a square, at one moment or each at its own.

    Args:
        side: of the square, in pixels.
        times: when they come, as shares of the recording: one for all, or side * side, row by row.
        position: of the square, one of `POSITIONS` or its top-left pixel (x, y).
        refractory: least time between two events of a pixel, microseconds; an event that has no
            room is put off. 1 keeps two events of a pixel apart and nothing else.
        bandwidth: most of the square's events that the read-out sends, per millisecond; the others
            queue up behind them. None has no limit.
        sensor_size: (width, height, 2) as in tonic.

    Raises:
        ValueError: also for a recording in which a pixel or the read-out has no room left.
    """

    side: Count = 10
    times: tuple[float, ...] = (0.033,)
    position: Position = "top-left"
    refractory: Count = 1
    bandwidth: Positive | None = None
    sensor_size: Sensor = (34, 34, 2)
    space: Literal["events"] = "events"

    def __post_init__(self) -> None:
        super().__post_init__()
        side = self.side
        times = tuple(self.times) if isinstance(self.times, tuple | list) else ()
        if len(times) not in (1, side * side) or not all(0 <= time <= 1 for time in times):
            raise ValueError(
                f"times={self.times!r} must be shares of the recording in 0..1: one for all, or "
                f"{side * side}, one for each pixel of side={side}"
            )
        settings(self, times=all_above("times", times, -1))
        width, height, _ = self.sensor_size
        x, y = self.corner()
        if not (0 <= x <= width - side and 0 <= y <= height - side):
            raise ValueError(
                f"side={side!r} at position={self.position!r} leaves sensor_size="
                f"{self.sensor_size}: allowed is a square inside it"
            )

    def __call__(self, events: np.ndarray) -> np.ndarray:
        """One recording; returns it with the square's events, sorted."""
        check_recording(events, self.sensor_size)
        return self.pattern(max(1, int(np.ptp(events["t"]))))(events)

    def corner(self) -> tuple[int, int]:
        """The square's top-left pixel (x, y)."""
        if not isinstance(self.position, str):
            return self.position
        right, bottom = (pixels - self.side for pixels in self.sensor_size[:2])
        across = {"left": 0, "right": right}.get(self.position.rpartition("-")[2], right // 2)
        return across, {"top": 0, "bottom": bottom}.get(self.position.split("-")[0], bottom // 2)

    def pattern(self, span: int) -> EventPattern:
        """The square's events in a recording of `span` microseconds, queued for the read-out."""
        x, y = self.corner()
        times = np.rint(np.resize(self.times, self.side**2) * span).astype(np.int64)
        order = np.argsort(times, kind="stable")
        if self.bandwidth is not None:
            behind = np.arange(len(times)) * math.ceil(1000 / self.bandwidth)
            times[order] = np.maximum.accumulate(times[order] - behind) + behind
        if times.max() > span:
            raise ValueError(
                f"bandwidth={self.bandwidth!r} events per ms sends the last of {len(times)} events "
                f"after {times.max()} us: allowed is within the recording's {span} us"
            )
        added = tuple(
            (x + int(row % self.side), y + int(row // self.side), 1, float(times[row] / span))
            for row in order
        )
        return EventPattern(added=added, sensor_size=self.sensor_size, refractory=self.refractory)
