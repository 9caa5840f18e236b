"""The settings that triggers share, by name, and what each may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from snnbd_core.checks import above, choice, number, settings, whole, whole_row
from snnbd_core.data.events import check_sensor_size
from snnbd_core.triggers.placement import POSITIONS, check_polarity

__all__ = ["as_position", "settle"]


def settle(trigger: Any, *spaces: str, **own: Any) -> None:
    """Checks a trigger's settings, and writes them back in Python's own types.

    Args:
        trigger: a frozen dataclass, from its ``__post_init__``.
        *spaces: in which it may work.
        **own: its own settings, checked already; all others of its fields are looked up below.
    """
    shared = {
        field.name: _SHARED[field.name](getattr(trigger, field.name))
        for field in fields(trigger)
        if field.name in _SHARED and field.name not in own
    }
    settings(trigger, space=choice("space", trigger.space, spaces), **shared, **own)


def as_position(position: Any) -> str | tuple[int, int]:
    """`position` as a known name or a pair of ints."""
    pair = None if isinstance(position, str) else whole_row(position)
    if pair is not None and len(pair) == 2:
        return pair[0], pair[1]
    if isinstance(position, str) and position in POSITIONS:
        return position
    raise ValueError(
        f"position={position!r} is unknown: choose from {', '.join(POSITIONS)}, or give the "
        "patch's top-left pixel as (x, y)"
    )


def _size(size: Any) -> float:
    return number("size", size, lambda x: 0 < x <= 1, "in (0, 1], a fraction of each side")


_SHARED: dict[str, Callable[[Any], Any]] = {
    "size": _size,
    "position": as_position,
    "polarity": check_polarity,
    "strength": lambda strength: above("strength", strength, 0),
    "sensor_size": check_sensor_size,
    "rate": lambda rate: number("rate", rate, lambda x: x > 0, "of Hz above 0"),
    "refractory": lambda refractory: whole("refractory", refractory, 1),
    "seed": lambda seed: whole("seed", seed, 0),
}
