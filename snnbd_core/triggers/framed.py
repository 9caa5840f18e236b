"""Triggers that are there for some frames only (Flashy backdoor, ACSAC 2025, authors' code).

"Framed" is a static square on one run of frames, "strobing" one that goes on and off, "flashy" the
whole frame in one polarity, as if somebody shone a lamp into the camera. All three overwrite binned
frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from snnbd_core.checks import Count, Positive, choice, whole
from snnbd_core.triggers.checks import Polarity, Position, Size
from snnbd_core.triggers.frames import Overwriting, Schedule
from snnbd_core.triggers.placement import Rectangle, place

__all__ = ["STARTS", "Flash", "Framed", "Strobe", "run"]

STARTS = ("first", "middle", "last")


def _start(name: str, start: Any) -> str | int:
    return choice(name, start, STARTS) if isinstance(start, str) else whole(name, start, 0)


Start = Annotated[str | int, _start]


@dataclass(frozen=True, kw_only=True)
class Framed(Overwriting):
    """A square on one run of `length` frames.

    Args:
        length: L, number of frames that carry the square, at least 1.
        start: "first", "middle" or "last" run of L frames (the middle one is rounded to the
            earlier side), or the number of the first frame that carries it.
        size, position, polarity, strength: as for `Static`.
    """

    length: Count = 4
    start: Start = "first"
    size: Size = 0.1
    position: Position = "bottom-right"
    polarity: Polarity = "on"
    strength: Positive = 1
    space: Literal["frames"] = "frames"

    def schedule(self, steps: int, width: int, height: int) -> Schedule:
        square = Rectangle.at(*place(self.position, self.size, width, height), width)
        return [(square, run(self.length, self.start, steps))]


@dataclass(frozen=True, kw_only=True)
class Strobe(Overwriting):
    """A square that is there for `on` frames, away for `off` frames, and so on to the end.

    Args:
        on, off: lengths of the runs in frames, at least 1.
        size, position, polarity, strength: as for `Static`.
    """

    on: Count = 1
    off: Count = 1
    size: Size = 0.1
    position: Position = "bottom-right"
    polarity: Polarity = "on"
    strength: Positive = 1
    space: Literal["frames"] = "frames"

    def schedule(self, steps: int, width: int, height: int) -> Schedule:
        if self.on > steps:
            raise ValueError(f"on={self.on!r} is longer than the {steps} frames: allowed is less")
        square = Rectangle.at(*place(self.position, self.size, width, height), width)
        starts = range(0, steps, self.on + self.off)
        return [(square, slice(start, min(start + self.on, steps))) for start in starts]


@dataclass(frozen=True, kw_only=True)
class Flash(Overwriting):
    """The whole frame in one polarity on one run of `length` frames.

    Args:
        length, start, polarity, strength: as for `Framed`.
    """

    length: Count = 1
    start: Start = "first"
    polarity: Polarity = "on"
    strength: Positive = 1
    space: Literal["frames"] = "frames"

    def schedule(self, steps: int, width: int, height: int) -> Schedule:
        return [(Rectangle.at(0, 0, width, height, width), run(self.length, self.start, steps))]


def run(length: int, start: str | int, steps: int) -> slice:
    """A run of `length` of the `steps` frames; ValueError where it does not lie within them."""
    if length > steps:
        raise ValueError(
            f"length={length!r} is more than the {steps} frames: allowed is 1..{steps}"
        )
    named = {"first": 0, "middle": (steps - length) // 2, "last": steps - length}
    first = named[start] if isinstance(start, str) else start
    if first + length > steps:
        raise ValueError(
            f"start={start!r} with length={length!r} leaves the {steps} frames: allowed is "
            f"0..{steps - length}"
        )
    return slice(first, first + length)
