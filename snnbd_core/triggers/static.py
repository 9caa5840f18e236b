"""One square, same place and polarity throughout (Abad et al. 2022, 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snnbd_core.triggers import checks
from snnbd_core.triggers.events import rewrite
from snnbd_core.triggers.frames import frame_shape, overwrite
from snnbd_core.triggers.placement import Patch, patch, place


@dataclass(frozen=True, kw_only=True)
class Static:
    """A square patch that stays where it is.

    In space "frames" it overwrites the patch in every frame with `strength` or 0, as the papers
    do. In space "events" it removes the patch's own events from the raw recording and adds those
    of a flickering light (see `snnbd_core.triggers.events`).

    Args:
        size: fraction of each side, rounded down to whole pixels, at least one.
        position: one of `POSITIONS`, or the patch's top-left pixel (x, y).
        polarity: "off", "on", "both" or "erase".
        space: "frames" or "events".
        sensor_size: (width, height, 2) as in tonic; needed in space "events".
        strength: count written into frames; the papers write 1. Not used in space "events".
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
        # lists come back from JSON; tuples keep the trigger hashable
        object.__setattr__(self, "position", checks.as_position(self.position))
        object.__setattr__(self, "sensor_size", checks.as_sensor(self.sensor_size))
        checks.check_size(self.size)
        checks.check_polarity(self.polarity)
        checks.check_space(self.space, self.sensor_size)
        checks.check_strength(self.strength)
        checks.check_flicker(self.polarity, self.rate, self.refractory, self.seed)
        if self.sensor_size is not None:
            self.schedule(1, *self.sensor_size[:2])

    def __call__(self, data: Any) -> Any:
        """Frames [..., T, 2, H, W] (torch or NumPy) or one recording; returns a changed copy."""
        if self.space == "frames":
            steps, height, width = frame_shape(data, self.sensor_size)
            schedule = self.schedule(steps, width, height)
            return overwrite(data, schedule, self.polarity, self.strength)
        assert self.sensor_size is not None  # checked when built
        return rewrite(
            data,
            self.schedule(1, *self.sensor_size[:2]),
            steps=1,
            sensor_size=self.sensor_size,
            polarity=self.polarity,
            rate=self.rate,
            refractory=self.refractory,
            seed=self.seed,
        )

    def schedule(self, steps: int, width: int, height: int) -> list[tuple[Patch, slice]]:
        """Patches with the slice of the `steps` frames in which each lies: one, at all times."""
        x, y, w, h = place(self.position, self.size, width, height)
        return [(patch(x, y, w, h, width), slice(None))]
