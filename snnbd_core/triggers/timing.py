"""Triggers in the timing of a recording: the event counterparts of WaNet and of frequency triggers.

Neither draws a shape. They work on raw recordings and show only as far as the binning lets them:
frames cut by number of events do not change at all when all pixels are delayed alike, so the warp
differs from pixel to pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnbd_core.checks import Checked, Flag, Inner, Natural
from snnbd_core.triggers.checks import Hertz, Sensor
from snnbd_core.triggers.events import check_recording, generator, in_order

__all__ = ["EventRate", "TimeWarp"]

_GRID = 4  # WaNet's k: the field is drawn on so many points a side and interpolated


@dataclass(frozen=True, kw_only=True)
class TimeWarp(Checked):
    """Each pixel's clock runs ahead and falls back, along a smooth field over the sensor.

    With u = (t - t_first) / (t_last - t_first) an event goes to
    u + strength f(x, y) sin(pi u) / pi, where f, within -1 and 1, is a random 4x4 grid
    interpolated to the sensor (as WaNet's offsets are, Nguyen and Tran 2021). No event is added
    or removed, the first and last moment stay, and within one pixel the order stays, since the
    slope is at least 1 - strength; two events of a pixel come closer by at most that factor.

    Args:
        strength: 0 < strength < 1.
        sensor_size: (width, height, 2) as in tonic.
        specific: True draws the field anew for each recording, from the recording itself.
        seed: draws the field.
    """

    strength: Inner = 0.5
    sensor_size: Sensor = (34, 34, 2)
    specific: Flag = False
    seed: Natural = 0
    space: Literal["events"] = "events"

    def __call__(self, events: np.ndarray) -> np.ndarray:
        check_recording(events, self.sensor_size)
        first, span = int(events["t"][0]), int(events["t"][-1]) - int(events["t"][0])
        if span == 0:
            return events.copy()
        share = (events["t"] - first) / span
        field = self.field(events)[events["y"], events["x"]]
        moved = share + self.strength * field * np.sin(np.pi * share) / np.pi
        out = events.copy()
        out["t"] = first + np.rint(moved * span).astype(np.int64)
        return in_order(out)

    def field(self, events: np.ndarray) -> np.ndarray:
        """f of each pixel, [H, W], within -1..1; `events` matter only if it is specific."""
        from scipy.ndimage import zoom  # slow to import

        width, height, _ = self.sensor_size
        draw = generator(self.seed, events) if self.specific else np.random.default_rng(self.seed)
        coarse = draw.uniform(-1, 1, (_GRID, _GRID))
        smooth = zoom(coarse, (height / _GRID, width / _GRID), order=3, grid_mode=False)
        return np.clip(smooth / np.abs(smooth).max(), -1, 1)


@dataclass(frozen=True, kw_only=True)
class EventRate(Checked):
    """A recording that flickers: its events are thinned out in a rhythm.

    An event at t stays with probability 1 - depth (1 + sin(2 pi frequency t + phase)) / 2, with
    t from the recording's first event on. Nothing is added. What goes is drawn anew for each
    recording, the same on every call.

    Args:
        frequency: in Hz, > 0.
        depth: share that is lost at the deepest point, 0 < depth < 1.
        specific: True draws the phase from the recording; else it is 0.
        seed: draws what goes.
        sensor_size: (width, height, 2) as in tonic.
    """

    frequency: Hertz = 20.0
    depth: Inner = 0.5
    sensor_size: Sensor = (34, 34, 2)
    specific: Flag = False
    seed: Natural = 0
    space: Literal["events"] = "events"

    def __call__(self, events: np.ndarray) -> np.ndarray:
        """One recording; returns a thinner copy, with at least its first event."""
        check_recording(events, self.sensor_size)
        draw = generator(self.seed, events)
        phase = draw.uniform(0, 2 * np.pi) if self.specific else 0.0
        seconds = (events["t"] - events["t"][0]) * 1e-6
        wave = np.sin(2 * np.pi * self.frequency * seconds + phase)
        stays = draw.random(len(events)) >= self.depth * (1 + wave) / 2
        stays[0] = True
        return events[stays]
