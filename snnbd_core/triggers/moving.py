"""A square that changes place from frame to frame (Abad et al. 2022, 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snnbd_core.triggers import checks
from snnbd_core.triggers.events import rewrite
from snnbd_core.triggers.frames import frame_shape, overwrite
from snnbd_core.triggers.placement import Patch, patch, place

MOTIONS = ("cycle", "wrap")
_SPEED = 2  # NDSS 2024: two pixels per frame
_CYCLE_GAP = 2  # the code's spacing between the positions


@dataclass(frozen=True, kw_only=True)
class Moving:
    """A square patch that moves along x; both published motions.

    "cycle" is what the code of NDSS 2024 does: three positions in turn, x0, x0 + s + 2 and
    x0 + 2 s + 2 (mirrored for right-hand corners), and no trigger in the last frame. "wrap" is
    what the paper's text says: two pixels to the right per frame, and columns that leave at the
    right edge come in again at the left; all frames carry it (the text gives no exception).
    The poster's code has the same cycle some pixels off the edges, and writes channel 0 (OFF)
    whatever the polarity; here the polarity is honoured, as in its Table 1.

    Args:
        size, position, polarity, space, sensor_size, strength, rate, refractory, seed:
            as for `Static`.
        motion: "cycle" or "wrap".
        speed: of "wrap", in pixels per frame or window: whole, negative leftwards, 0 stands still.
            The cycle's steps follow from the square's size, so it takes only the default.
        steps: equal time windows that a recording is cut in, in space "events". Frames bring
            their own number.

    Raises:
        ValueError: as `Static`, and where the motion leaves the frame, has no time to happen or
            goes all the way round in one step.
    """

    size: float = 0.1
    position: str | tuple[int, int] = "bottom-right"
    polarity: str = "on"
    motion: str = "cycle"
    space: str = "frames"
    sensor_size: tuple[int, int, int] | None = None
    strength: float = 1
    steps: int = 16
    rate: float = 100.0
    refractory: int = 500
    seed: int = 0
    speed: int = _SPEED

    def __post_init__(self) -> None:
        # lists come back from JSON; tuples keep the trigger hashable
        object.__setattr__(self, "position", checks.as_position(self.position))
        object.__setattr__(self, "sensor_size", checks.as_sensor(self.sensor_size))
        checks.check_size(self.size)
        checks.check_polarity(self.polarity)
        checks.check_space(self.space, self.sensor_size)
        checks.check_strength(self.strength)
        checks.check_flicker(self.polarity, self.rate, self.refractory, self.seed)
        if self.motion not in MOTIONS:
            raise ValueError(f"motion={self.motion!r} is unknown: choose from {', '.join(MOTIONS)}")
        self._check_speed()
        if not checks.is_count(self.steps) or self.steps < 1:
            raise ValueError(f"steps={self.steps!r} is no number of windows: allowed is 1 or more")
        if self.sensor_size is not None:
            self.schedule(self.steps, *self.sensor_size[:2])

    def __call__(self, data: Any) -> Any:
        """Frames [..., T, 2, H, W] (torch or NumPy) or one recording; returns a changed copy."""
        if self.space == "frames":
            steps, height, width = frame_shape(data, self.sensor_size)
            schedule = self.schedule(steps, width, height)
            return overwrite(data, schedule, self.polarity, self.strength)
        assert self.sensor_size is not None  # checked when built
        return rewrite(
            data,
            self.schedule(self.steps, *self.sensor_size[:2]),
            steps=self.steps,
            sensor_size=self.sensor_size,
            polarity=self.polarity,
            rate=self.rate,
            refractory=self.refractory,
            seed=self.seed,
        )

    def schedule(self, steps: int, width: int, height: int) -> list[tuple[Patch, slice]]:
        """Patches with the slice of the `steps` frames or windows in which each lies."""
        x, y, w, h = place(self.position, self.size, width, height)
        if self.motion == "wrap":
            self._check_round_trip(width)
            return [
                (patch(x + self.speed * t, y, w, h, width), slice(t, t + 1)) for t in range(steps)
            ]
        if steps < 2:
            raise ValueError(
                f"steps={steps}: motion='cycle' leaves the last frame without a trigger, so at "
                "least 2 frames are needed"
            )
        columns = self._cycle(x, w, width)
        return [
            (patch(column, y, w, h, width), slice(start, steps - 1, len(columns)))
            for start, column in enumerate(columns)
        ]

    def _cycle(self, x: int, w: int, width: int) -> list[int]:
        way = -1 if self.position in ("top-right", "bottom-right") else 1
        columns = [x + way * offset for offset in (0, w + _CYCLE_GAP, 2 * w + _CYCLE_GAP)]
        if min(columns) < 0 or max(columns) + w > width:
            raise ValueError(
                f"size={self.size!r} at position={self.position!r} moves a patch of {w} px to "
                f"x={columns} in a frame {width} px wide: allowed are columns 0..{width - w} "
                "(take a smaller size, another position or motion='wrap')"
            )
        return columns

    def _check_speed(self) -> None:
        if not checks.is_count(self.speed):
            raise ValueError(
                f"speed={self.speed!r} is no number of pixels per frame: allowed are whole "
                "numbers, negative ones leftwards"
            )
        if self.motion == "cycle" and self.speed != _SPEED:
            raise ValueError(
                f"speed={self.speed!r} with motion='cycle': its steps follow from the square's "
                f"size, so allowed is {_SPEED} (or take motion='wrap')"
            )

    def _check_round_trip(self, width: int) -> None:
        if abs(self.speed) >= width:
            raise ValueError(
                f"speed={self.speed!r} passes the whole frame of {width} px in one step: allowed "
                f"is -{width - 1}..{width - 1}"
            )
