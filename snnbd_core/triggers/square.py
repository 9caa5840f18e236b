"""A square of one polarity, in frames or in raw recordings: what `Static` and `Moving` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snnbd_core.checks import settings
from snnbd_core.triggers import checks
from snnbd_core.triggers.events import rewrite
from snnbd_core.triggers.frames import frame_shape, overwrite
from snnbd_core.triggers.placement import Rectangle, place

__all__ = ["Square"]


@dataclass(frozen=True, kw_only=True)
class Square:
    """The settings of a square patch, and its way into the data.

    In space "frames" it overwrites the patch with `strength` or 0, as the papers do. In space
    "events" it removes the patch's own events from the raw recording and adds those of a
    flickering light (see `snnbd_core.triggers.events`).

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

    Raises:
        ValueError: for any argument outside what is said above, when built; for frames or a
            recording that do not fit, when called.
    """

    size: float = 0.1
    position: str | tuple[int, int] = "bottom-right"
    polarity: str = "on"
    space: str = "frames"
    sensor_size: tuple[int, int, int] | None = None
    strength: float = 1
    rate: float = 100.0
    refractory: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        settings(
            self,
            size=checks.check_size(self.size),
            position=checks.as_position(self.position),
            polarity=checks.check_polarity(self.polarity),
            space=checks.check_space(self.space, "frames", "events"),
            sensor_size=checks.as_sensor(self.sensor_size),
            strength=checks.check_strength(self.strength),
            rate=checks.check_rate(self.rate),
            refractory=checks.check_refractory(self.refractory),
            seed=checks.check_seed(self.seed),
        )
        checks.check_pace(self.polarity, self.rate, self.refractory)
        if self.space == "events":
            if self.sensor_size is None:
                raise ValueError(
                    "sensor_size=None: space='events' needs the sensor as (width, height, 2), "
                    "for example (34, 34, 2)"
                )
            if self.strength != 1:
                raise ValueError(
                    f"strength={self.strength!r} with space='events', where the rate says how "
                    "many events there are: allowed is 1"
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
            steps, height, width = frame_shape(data, self.sensor_size)
            schedule = self.schedule(steps, width, height)
            return overwrite(data, schedule, self.polarity, self.strength)
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

    def schedule(self, steps: int, width: int, height: int) -> list[tuple[Rectangle, slice]]:
        """Patches with the slice of the `steps` frames or windows in which each lies."""
        raise NotImplementedError  # each square has its own

    def place(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The square at its position, as (x, y, width, height) in pixels."""
        return place(self.position, self.size, width, height)
