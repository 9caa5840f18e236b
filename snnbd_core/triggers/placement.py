"""Where a patch lies on a sensor, and what it writes: positions, polarities, the papers' codes.

Channel 0 counts OFF events (p = 0), channel 1 ON events (p = 1), as in tonic and SpikingJelly.
The two papers number the polarities differently, so their codes are translated here and nowhere
else.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "POLARITIES",
    "POLARITY_CODES",
    "POSITIONS",
    "Rectangle",
    "check_polarity",
    "place",
    "polarity_from_code",
    "side",
]

POSITIONS: tuple[str, ...] = ("top-left", "top-right", "middle", "bottom-left", "bottom-right")

# name -> the value of (channel 0 = OFF, channel 1 = ON) inside the patch
POLARITIES: dict[str, tuple[int, int]] = {
    "off": (1, 0),
    "on": (0, 1),
    "both": (1, 1),
    "erase": (0, 0),
}

# Channel values are those of the papers' code; the colours in its comments are not used.
POLARITY_CODES: dict[str, dict[int, str]] = {
    # Abad et al., poster, CCS 2022 (doi 10.1145/3548606.3563532): no erasing polarity
    "poster-2022": {0: "off", 1: "on", 2: "both"},
    # Abad et al., "Sneaky Spikes", NDSS 2024 (arXiv 2302.06279)
    "ndss-2024": {0: "erase", 1: "on", 2: "off", 3: "both"},
}


class Rectangle(NamedTuple):
    """A rectangle of pixels; `columns` may wrap around the right edge."""

    columns: tuple[int, ...]
    rows: slice

    @classmethod
    def at(cls, x: int, y: int, w: int, h: int, width: int) -> Rectangle:
        """Placed in a frame of `width` pixels; what leaves at its right comes in at its left."""
        return cls(tuple((x + i) % width for i in range(w)), slice(y, y + h))

    @property
    def pixels(self) -> int:
        return len(self.columns) * int(self.rows.stop - self.rows.start)


def side(size: float, pixels: int) -> int:
    """A fraction of a side in whole pixels, rounded down, at least one.

    0.1 of 34 is 3, of 128 is 12 (Abad et al. 2022, code); NDSS 2024 uses 0.01, which the code
    raises to one pixel on small sensors.
    """
    # the small term undoes binary rounding: 0.29 * 100 is 28.999999999999996
    return max(1, int(size * pixels + 1e-9))


def place(
    position: str | tuple[int, int], size: float, width: int, height: int
) -> tuple[int, int, int, int]:
    """The patch as (x, y, width, height), (x, y) being its top-left pixel.

    Corners touch the edges and the middle is centred, rounded to the top left: int((W - s) / 2)
    as in the static trigger of both papers' code. The moving trigger's code starts at
    int(W / 2) - 2 whatever its size; we centre it too, which is the same pixel for 0.1 of 34.
    ValueError where the patch does not lie wholly inside.
    """
    w, h = side(size, width), side(size, height)
    right, bottom = width - w, height - h
    named = {
        "top-left": (0, 0),
        "top-right": (right, 0),
        "middle": (right // 2, bottom // 2),
        "bottom-left": (0, bottom),
        "bottom-right": (right, bottom),
    }
    x, y = named[position] if isinstance(position, str) else position
    if not (0 <= x <= right and 0 <= y <= bottom):
        raise ValueError(
            f"position={position!r} puts a {w}x{h} patch outside the {width}x{height} frame: "
            f"x must lie in 0..{right}, y in 0..{bottom}"
        )
    return x, y, w, h


def check_polarity(polarity: str) -> str:
    """The name; ValueError unless it is one of `POLARITIES`."""
    if not isinstance(polarity, str) or polarity not in POLARITIES:
        raise ValueError(
            f"polarity={polarity!r} is unknown: choose from {', '.join(POLARITIES)} "
            "(polarity_from_code translates the papers' numbers)"
        )
    return polarity


def polarity_from_code(paper: str, code: int) -> str:
    """The name of a paper's numeric polarity, for example ("ndss-2024", 2) -> "off".

    ValueError for an unknown paper, or a code that the paper does not have.
    """
    if paper not in POLARITY_CODES:
        raise ValueError(f"paper={paper!r} is unknown: choose from {', '.join(POLARITY_CODES)}")
    codes = POLARITY_CODES[paper]
    if code not in codes:
        raise ValueError(f"code={code!r} is not used by {paper}: choose from {sorted(codes)}")
    return codes[code]
