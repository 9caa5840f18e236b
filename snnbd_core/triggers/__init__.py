"""Triggers: small frozen dataclasses, called on frames or on a raw recording::

    trigger = Static(size=0.1, position="bottom-right", polarity="on")
    frames = trigger(frames)                      # [..., T, 2, H, W], a copy
    recording = Static(space="events", sensor_size=(34, 34, 2))(recording)

They compose with `tonic.transforms.Compose`.
"""

from __future__ import annotations

from snnbd_core.triggers.events import Changed, changed
from snnbd_core.triggers.images import Blended, Patch, Sinusoidal, Warp
from snnbd_core.triggers.moving import MOTIONS, Moving
from snnbd_core.triggers.pattern import EventPattern
from snnbd_core.triggers.placement import POSITIONS
from snnbd_core.triggers.polarity import POLARITIES, POLARITY_CODES, polarity_from_code
from snnbd_core.triggers.power import Power, TemporalNoise
from snnbd_core.triggers.protocol import Trigger
from snnbd_core.triggers.smart import Smart
from snnbd_core.triggers.static import Static
from snnbd_core.triggers.timed import Flash, Framed, Strobe
from snnbd_core.triggers.timing import EventRate, TimeWarp

__all__ = [
    "MOTIONS",
    "POLARITIES",
    "POLARITY_CODES",
    "POSITIONS",
    "Blended",
    "Changed",
    "EventPattern",
    "EventRate",
    "Flash",
    "Framed",
    "Moving",
    "Patch",
    "Power",
    "Sinusoidal",
    "Smart",
    "Static",
    "Strobe",
    "TemporalNoise",
    "TimeWarp",
    "Trigger",
    "Warp",
    "changed",
    "polarity_from_code",
]
