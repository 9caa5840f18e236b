"""Polarity names, what they write in a frame, and the numeric codes of the papers.

Channel 0 counts OFF events (p = 0), channel 1 ON events (p = 1), as in tonic and SpikingJelly.
The two papers number the polarities differently, so their codes are translated here and
nowhere else.
"""

from __future__ import annotations

__all__ = ["POLARITIES", "POLARITY_CODES", "check_polarity", "polarity_from_code"]

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
