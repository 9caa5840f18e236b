"""A square that changes place from frame to frame (Abad et al. 2022, 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from snnbd_core.checks import Count, whole_row
from snnbd_core.triggers.frames import Schedule
from snnbd_core.triggers.placement import Rectangle
from snnbd_core.triggers.static import Square

__all__ = ["Moving"]

_SPEED = 2  # NDSS 2024: two pixels per frame
_CYCLE_GAP = 2  # the code's spacing between the positions


def _speed(name: str, speed: Any) -> int:
    row = whole_row([speed])
    if row is None:
        raise ValueError(
            f"{name}={speed!r} must be a whole number of pixels per frame, of any sign"
        )
    return row[0]


@dataclass(frozen=True, kw_only=True)
class Moving(Square):
    """A square patch that moves along x; both published motions.

    "cycle" is what the code of NDSS 2024 does: three positions in turn, x0, x0 + s + 2 and
    x0 + 2 s + 2 (mirrored for right-hand corners), and no trigger in the last frame. "wrap" is
    what the paper's text says: two pixels to the right per frame, and columns that leave at the
    right edge come in again at the left; all frames carry it (the text gives no exception).
    The poster's code has the same cycle some pixels off the edges; until August 2022 it wrote
    channel 0 (OFF) whatever the polarity, which is honoured here, as in its Table 1.

    Args:
        size, position, polarity, space, sensor_size, strength, rate, refractory, seed:
            as for `Square`.
        motion: "cycle" or "wrap".
        speed: of "wrap", in pixels per frame or window: whole, negative leftwards, 0 stands still.
            The cycle's steps follow from the square's size, so it takes only the default.
        steps: equal time windows that a recording is cut in, in space "events". Frames bring
            their own number.

    Raises:
        ValueError: also where the motion leaves the frame, has no time to happen or goes all the
            way round in one step.
    """

    motion: Literal["cycle", "wrap"] = "cycle"
    steps: Count = 16
    speed: Annotated[int, _speed] = _SPEED

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.motion == "cycle" and self.speed != _SPEED:
            raise ValueError(
                f"speed={self.speed!r} with motion='cycle': its steps follow from the square's "
                f"size, so allowed is {_SPEED} (or take motion='wrap')"
            )

    @property
    def windows(self) -> int:
        return self.steps

    def schedule(self, steps: int, width: int, height: int) -> Schedule:
        x, y, w, h = self.place(width, height)
        if self.motion == "wrap":
            if abs(self.speed) >= width:
                raise ValueError(
                    f"speed={self.speed!r} passes the whole frame of {width} px in one step: "
                    f"allowed is -{width - 1}..{width - 1}"
                )
            return [
                (Rectangle.at(x + self.speed * t, y, w, h, width), slice(t, t + 1))
                for t in range(steps)
            ]
        if steps < 2:
            raise ValueError(
                f"steps={steps}: motion='cycle' leaves the last frame without a trigger, so at "
                "least 2 frames are needed"
            )
        way = -1 if self.position in ("top-right", "bottom-right") else 1
        columns = [x + way * offset for offset in (0, w + _CYCLE_GAP, 2 * w + _CYCLE_GAP)]
        if min(columns) < 0 or max(columns) + w > width:
            raise ValueError(
                f"size={self.size!r} at position={self.position!r} moves a patch of {w} px to "
                f"x={columns} in a frame {width} px wide: allowed are columns 0..{width - w} "
                "(take a smaller size, another position or motion='wrap')"
            )
        return [
            (Rectangle.at(column, y, w, h, width), slice(start, steps - 1, len(columns)))
            for start, column in enumerate(columns)
        ]
