"""One square, same place and polarity throughout (Abad et al. 2022, 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from snnbd_core.checks import Count, Natural, Positive
from snnbd_core.triggers.checks import Hertz, Polarity, Position, Sensor, Size
from snnbd_core.triggers.events import rewrite
from snnbd_core.triggers.frames import Overwriting, Schedule
from snnbd_core.triggers.placement import POLARITIES, Rectangle, place

__all__ = ["Square", "Static"]


@dataclass(frozen=True, kw_only=True)
class Square(Overwriting):
    """A square of one polarity; its place is that of `Static` or `Moving`.

    In space "frames" it overwrites the patch in every frame with `strength` or 0, as the papers
    do. In space "events" it removes the patch's own events from the raw recording and adds those
    of a flickering light (see `snnbd_core.triggers.events`).

    Args:
        size: fraction of each side, rounded down to whole pixels, at least one.
        position: one of `POSITIONS`, or the patch's top-left pixel (x, y).
        polarity: "off", "on", "both" or "erase".
        space: "frames" or "events".
        sensor_size: (width, height, 2) as in tonic; needed in space "events".
        strength: count written into frames; the papers write 1. In space "events" the rate says
            how many events there are, and only 1 is allowed.
        rate: events per second, pixel and polarity, in space "events". The default is that of a
            lamp on 50 Hz mains, 30 events per pixel in 0.3 s.
        refractory: least time between two events of a pixel, microseconds.
        seed: draws the jitter of the times.
    """

    size: Size = 0.1
    position: Position = "bottom-right"
    polarity: Polarity = "on"
    space: Literal["frames", "events"] = "frames"
    sensor_size: Sensor | None = None
    strength: Positive = 1
    rate: Hertz = 100.0
    refractory: Count = 500
    seed: Natural = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        kinds = sum(POLARITIES[self.polarity])
        if self.rate * kinds * self.refractory * 1e-6 > 1:
            fastest = 1e6 / (kinds * self.refractory)
            raise ValueError(
                f"rate={self.rate!r} is too fast for refractory={self.refractory!r} us and "
                f"polarity={self.polarity!r}: allowed is at most {fastest:g} Hz"
            )
        if self.space == "events" and self.sensor_size is None:
            raise ValueError(
                "sensor_size=None: space='events' needs the sensor as (width, height, 2), for "
                "example (34, 34, 2)"
            )
        if self.space == "events" and self.strength != 1:
            raise ValueError(
                f"strength={self.strength!r} with space='events', where the rate says how many "
                "events there are: allowed is 1"
            )
        if self.sensor_size is not None:
            self.schedule(self.windows, *self.sensor_size[:2])

    @property
    def windows(self) -> int:
        """How many equal time windows a recording is cut in."""
        return 1

    def __call__(self, data: Any) -> Any:
        """Frames [..., T, 2, H, W] (torch or NumPy) or one recording; returns a changed copy."""
        if self.space == "frames":
            return super().__call__(data)
        assert self.sensor_size is not None  # checked when built
        return rewrite(
            data,
            self.schedule(self.windows, *self.sensor_size[:2]),
            steps=self.windows,
            sensor_size=self.sensor_size,
            polarity=self.polarity,
            rate=self.rate,
            refractory=self.refractory,
            seed=self.seed,
        )

    def place(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The square at its position, as (x, y, width, height) in pixels."""
        return place(self.position, self.size, width, height)


@dataclass(frozen=True, kw_only=True)
class Static(Square):
    """A square patch that stays where it is; its settings are those of `Square`."""

    def schedule(self, steps: int, width: int, height: int) -> Schedule:
        return [(Rectangle.at(*self.place(width, height), width), slice(None))]
