"""Triggers: small frozen dataclasses, called on frames, images or on a raw recording::

    trigger = Static(size=0.1, position="bottom-right", polarity="on")
    frames = trigger(frames)                      # [..., T, 2, H, W], a copy
    recording = Static(space="events", sensor_size=(34, 34, 2))(recording)

They compose with `tonic.transforms.Compose`. Those that are trained, `Dynamic`, `Generated`,
`LearntTimes`, `MutableTrojan`, `Optimised` and `TimeSliced`, live in `snnbd_core.attacks` and are
found here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snnbd_core.triggers.event_trojan import EventTrojan
from snnbd_core.triggers.events import Changed, changed
from snnbd_core.triggers.framed import Flash, Framed, Strobe
from snnbd_core.triggers.images import Blended, Patch, Sinusoidal, Warp
from snnbd_core.triggers.moving import Moving
from snnbd_core.triggers.pattern import EventPattern
from snnbd_core.triggers.placement import POLARITIES, POLARITY_CODES, POSITIONS, polarity_from_code
from snnbd_core.triggers.power import Power, TemporalNoise
from snnbd_core.triggers.protocol import Recipe, Trigger
from snnbd_core.triggers.retiming import Retimed, TimeTable
from snnbd_core.triggers.smart import Smart
from snnbd_core.triggers.static import Static
from snnbd_core.triggers.timing import EventRate, TimeWarp

if TYPE_CHECKING:
    from snnbd_core.attacks import (
        Dynamic,
        Generated,
        LearntTimes,
        MutableTrojan,
        Optimised,
        TimeSliced,
    )

__all__ = [
    "POLARITIES",
    "POLARITY_CODES",
    "POSITIONS",
    "Blended",
    "Changed",
    "Dynamic",
    "EventPattern",
    "EventRate",
    "EventTrojan",
    "Flash",
    "Framed",
    "Generated",
    "LearntTimes",
    "Moving",
    "MutableTrojan",
    "Optimised",
    "Patch",
    "Power",
    "Recipe",
    "Retimed",
    "Sinusoidal",
    "Smart",
    "Static",
    "Strobe",
    "TemporalNoise",
    "TimeSliced",
    "TimeTable",
    "TimeWarp",
    "Trigger",
    "Warp",
    "changed",
    "polarity_from_code",
]

_TRAINED = ("Dynamic", "Generated", "LearntTimes", "MutableTrojan", "Optimised", "TimeSliced")


def __getattr__(name: str) -> Any:
    # Later, not above: the room of attacks imports this one.
    if name not in _TRAINED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from snnbd_core import attacks

    return getattr(attacks, name)


def __dir__() -> list[str]:
    return sorted(__all__)
