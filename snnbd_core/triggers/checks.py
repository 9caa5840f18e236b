"""Checks of the arguments that all triggers share."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from snnbd_core.triggers.placement import POSITIONS
from snnbd_core.triggers.polarity import POLARITIES, check_polarity

SPACES = ("frames", "events")


def is_count(value: Any) -> bool:
    """A whole number that is not a bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """A finite real number that is not a bool."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def check_size(size: float) -> None:
    if not is_number(size) or not 0 < size <= 1:
        raise ValueError(f"size={size!r} is not a fraction of each side: allowed is 0 < size <= 1")


def check_space(space: str, sensor_size: tuple[int, int, int] | None) -> None:
    if space not in SPACES:
        raise ValueError(f"space={space!r} is unknown: choose from {', '.join(SPACES)}")
    if space == "events" and sensor_size is None:
        raise ValueError(
            "sensor_size=None: space='events' needs the sensor as (width, height, 2), "
            "for example (34, 34, 2)"
        )


def check_strength(strength: float) -> None:
    if not is_number(strength) or strength <= 0:
        raise ValueError(f"strength={strength!r} is not a count: allowed is a number above 0")


def check_flicker(polarity: str, rate: float, refractory: int, seed: int) -> None:
    """`rate` in events per second, pixel and polarity; `refractory` in microseconds."""
    if not is_number(rate) or rate <= 0:
        raise ValueError(f"rate={rate!r} is not a rate in Hz: allowed is a number above 0")
    if not is_count(refractory) or refractory < 1:
        raise ValueError(
            f"refractory={refractory!r} is not a time in microseconds: allowed are whole "
            "numbers from 1"
        )
    busy = rate * sum(POLARITIES[polarity]) * refractory * 1e-6
    if busy > 1:
        limit = 1e6 / (sum(POLARITIES[polarity]) * refractory)
        raise ValueError(
            f"rate={rate!r} is too fast for refractory={refractory!r} us and "
            f"polarity={polarity!r}: allowed is at most {limit:g} Hz"
        )
    check_seed(seed)


def check_seed(seed: int) -> None:
    if not is_count(seed) or seed < 0:
        raise ValueError(f"seed={seed!r} is not a seed: allowed are whole numbers from 0")


def as_sensor(sensor_size: Any) -> tuple[int, int, int] | None:
    """`sensor_size` as a tuple of ints (a list comes back from JSON), or None."""
    if sensor_size is None:
        return None
    sides = _as_ints(sensor_size)
    if sides is None or len(sides) != 3 or min(sides) < 1 or sides[2] != 2:
        raise ValueError(
            f"sensor_size={sensor_size!r} is not a sensor: allowed is (width, height, 2) "
            "in whole pixels"
        )
    return sides[0], sides[1], sides[2]


def as_position(position: Any) -> str | tuple[int, int]:
    """`position` as a known name or a pair of ints."""
    if isinstance(position, str):
        if position in POSITIONS:
            return position
    else:
        pair = _as_ints(position)
        if pair is not None and len(pair) == 2:
            return pair[0], pair[1]
    raise ValueError(
        f"position={position!r} is unknown: choose from {', '.join(POSITIONS)}, or give the "
        "patch's top-left pixel as (x, y)"
    )


def _as_ints(values: Any) -> tuple[int, ...] | None:
    if not isinstance(values, tuple | list) or not all(is_count(value) for value in values):
        return None
    return tuple(int(value) for value in values)


__all__ = [
    "SPACES",
    "as_position",
    "as_sensor",
    "check_flicker",
    "check_polarity",
    "check_seed",
    "check_size",
    "check_space",
    "check_strength",
    "is_count",
    "is_number",
]
