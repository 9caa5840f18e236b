"""The settings that triggers share, as types that say what each may be, see `checks.Checked`."""

from __future__ import annotations

from typing import Annotated, Any

from snnbd_core.checks import fitting, whole_row
from snnbd_core.data.events import check_sensor_size
from snnbd_core.triggers.placement import POSITIONS, check_polarity

__all__ = ["Hertz", "Polarity", "Position", "Sensor", "Size"]


def _position(name: str, position: Any) -> str | tuple[int, int]:
    """`position` as a known name or a pair of ints."""
    pair = None if isinstance(position, str) else whole_row(position)
    if pair is not None and len(pair) == 2:
        return pair[0], pair[1]
    if isinstance(position, str) and position in POSITIONS:
        return position
    raise ValueError(
        f"{name}={position!r} is unknown: choose from {', '.join(POSITIONS)}, or give the "
        "patch's top-left pixel as (x, y)"
    )


Size = Annotated[float, fitting(lambda x: 0 < x <= 1, "in (0, 1], a fraction of each side")]
Position = Annotated[str | tuple[int, int], _position]
Polarity = Annotated[str, lambda name, value: check_polarity(value)]
Sensor = Annotated[tuple[int, int, int], lambda name, value: check_sensor_size(value)]
Hertz = Annotated[float, fitting(lambda x: x > 0, "of Hz above 0")]
