"""Checks of the arguments that all triggers share; each gives the value in Python's own type."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from torch import Tensor

from snnbd_core.checks import above, choice, is_number, number, plain, whole
from snnbd_core.triggers.placement import POSITIONS
from snnbd_core.triggers.polarity import POLARITIES, check_polarity

__all__ = [
    "as_position",
    "as_sensor",
    "check_count",
    "check_pace",
    "check_polarity",
    "check_rate",
    "check_refractory",
    "check_seed",
    "check_sensor",
    "check_size",
    "check_space",
    "check_strength",
    "is_count",
    "is_number",
]


def is_count(value: Any) -> bool:
    """A whole number that is not a bool."""
    given = plain(value)
    return isinstance(given, Integral) and not isinstance(given, bool)


def check_count(name: str, value: Any, words: str) -> int:
    """A whole number of any sign."""
    if not is_count(value):
        raise ValueError(f"{name}={value!r} must be a whole number of {words}, of any sign")
    return int(plain(value))


def check_size(size: Any) -> float:
    return number("size", size, lambda x: 0 < x <= 1, "in (0, 1], a fraction of each side")


def check_space(space: Any, *allowed: str) -> str:
    return choice("space", space, allowed)


def check_strength(strength: Any) -> float:
    return above("strength", strength, 0)


def check_seed(seed: Any) -> int:
    return whole("seed", seed, 0)


def check_rate(rate: Any) -> float:
    """Events per second, pixel and polarity."""
    return number("rate", rate, lambda x: x > 0, "of Hz above 0")


def check_refractory(refractory: Any) -> int:
    """Microseconds."""
    return whole("refractory", refractory, 1)


def check_pace(polarity: str, rate: float, refractory: int) -> None:
    """A pixel needs `refractory` microseconds between any two of its events."""
    kinds = sum(POLARITIES[polarity])
    if rate * kinds * refractory * 1e-6 > 1:
        raise ValueError(
            f"rate={rate!r} is too fast for refractory={refractory!r} us and "
            f"polarity={polarity!r}: allowed is at most {1e6 / (kinds * refractory):g} Hz"
        )


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


def check_sensor(sensor_size: Any) -> tuple[int, int, int]:
    """`as_sensor` where None will not do."""
    sides = as_sensor(sensor_size)
    if sides is None:
        raise ValueError("sensor_size=None: allowed is (width, height, 2) in whole pixels")
    return sides


def as_position(position: Any) -> str | tuple[int, int]:
    """`position` as a known name or a pair of ints."""
    pair = None if isinstance(position, str) else _as_ints(position)
    if pair is not None and len(pair) == 2:
        return pair[0], pair[1]
    if isinstance(position, str) and position in POSITIONS:
        return position
    raise ValueError(
        f"position={position!r} is unknown: choose from {', '.join(POSITIONS)}, or give the "
        "patch's top-left pixel as (x, y)"
    )


def _as_ints(values: Any) -> tuple[int, ...] | None:
    """A row of whole numbers, of a tuple, list, array or tensor; None for anything else."""
    row = values.tolist() if isinstance(values, np.ndarray | Tensor) and values.ndim else values
    if not isinstance(row, tuple | list) or not all(is_count(value) for value in row):
        return None
    return tuple(int(plain(value)) for value in row)
