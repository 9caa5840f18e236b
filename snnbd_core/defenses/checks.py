"""Checks of defences' settings and of networks; an error names what is wrong, what is allowed."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn


def whole(name: str, value: Any, least: int) -> None:
    """Raises ValueError unless the value is a whole number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number >= {least}")


def above(name: str, value: Any, least: float) -> None:
    """Raises ValueError unless the value is a finite number above `least`."""
    if not _number(value) or not value > least:
        raise ValueError(f"{name}={value!r} must be a number > {least:g}")


def all_above(name: str, values: Any, least: float) -> tuple[float, ...]:
    """The values as a tuple; ValueError unless they are finite numbers above `least`."""
    if not isinstance(values, tuple | list) or not values:
        raise ValueError(f"{name}={values!r} must be a list of at least one number")
    for value in values:
        above(name, value, least)
    return tuple(values)


def share(name: str, value: Any) -> None:
    """Raises ValueError unless the value is a number from 0 to less than 1."""
    if not _number(value) or not 0 <= value < 1:
        raise ValueError(f"{name}={value!r} must be a number in [0, 1)")


def within(name: str, value: Any, low: float, high: float) -> None:
    """Raises ValueError unless the value is a number from `low` to `high`."""
    if not _number(value) or not low <= value <= high:
        raise ValueError(f"{name}={value!r} must be a number in {low:g}..{high:g}")


def flag(name: str, value: Any) -> None:
    """Raises ValueError unless the value is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} must be true or false")


def finite(net: nn.Module, done: str) -> None:
    """Raises ValueError for values that are not finite: nothing can be "inspected", "repaired".

    Buffers count too: a neuron whose batch norm has a mean of NaN never fires, and looks harmless.
    """
    for name, values in (*net.named_parameters(), *net.named_buffers()):
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"the weights {name} are not finite: nothing can be {done}")


def _number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value)
