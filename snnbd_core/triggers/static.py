"""One square, same place and polarity throughout (Abad et al. 2022, 2024)."""

from __future__ import annotations

from dataclasses import dataclass

from snnbd_core.triggers.placement import Rectangle
from snnbd_core.triggers.square import Square

__all__ = ["Static"]


@dataclass(frozen=True, kw_only=True)
class Static(Square):
    """A square patch that stays where it is.

    In space "frames" it overwrites the patch in every frame with `strength` or 0, as the papers
    do. In space "events" it removes the patch's own events from the raw recording and adds those
    of a flickering light (see `snnbd_core.triggers.events`).

    Args:
        size: fraction of each side, rounded down to whole pixels, at least one.
        position: one of `POSITIONS`, or the patch's top-left pixel (x, y).
        polarity: "off", "on", "both" or "erase".
        space: "frames" or "events".
        sensor_size, strength, rate, refractory, seed: as for `Square`.

    Raises:
        ValueError: as `Square`.
    """

    def schedule(self, steps: int, width: int, height: int) -> list[tuple[Rectangle, slice]]:
        """Patches with the slice of the `steps` frames in which each lies: one, at all times."""
        return [(Rectangle.at(*self.place(width, height), width), slice(None))]
