"""Checks of an experiment's fields; each error names the field, its value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any


def choice(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raises ValueError unless the value is one of some names."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={value!r} is unknown; allowed: {', '.join(allowed)}")


def whole(name: str, value: Any, least: int) -> None:
    """Raises ValueError unless the value is a whole number from `least` on."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number >= {least}")


def number(name: str, value: Any, fits: Callable[[float], bool], words: str) -> None:
    """Raises ValueError unless the value is a finite number that fits."""
    if isinstance(value, bool) or not is_number(value) or not fits(value):
        raise ValueError(f"{name}={value!r} must be a number {words}")


def flag(name: str, value: Any) -> None:
    """Raises ValueError unless the value is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} must be true or false")


def part(name: str, value: Any, kinds: dict[str, type[Any]]) -> None:
    """Raises ValueError unless the value is None or of one of the classes."""
    if value is not None and type(value) not in kinds.values():
        allowed = " or one of ".join(filter(None, ["None", ", ".join(kinds)]))
        raise ValueError(f"{name}={value!r} must be {allowed}")


def is_number(value: Any) -> bool:
    """Whether the value is a finite real number (True and False are)."""
    return isinstance(value, Real) and math.isfinite(value)
