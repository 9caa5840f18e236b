"""A simulated event camera: light over time in, events out.

A pixel of such a camera sends an event when the logarithm of its light has changed by a threshold
since its last event: ON for brighter, OFF for darker. The logarithm is taken as linear between two
close moments, so that the time of each crossing is known to the microsecond. As in a real sensor
the thresholds differ from pixel to pixel, and pixels send a few events without cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from snnbd_core.data.events import EVENT_DTYPE, Events, SensorSize

__all__ = ["Camera", "Floats", "pixels", "watched"]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.integer | np.bool_]


@dataclass(frozen=True)
class Camera:
    """The simulated camera and its movement.

    Attributes:
        sensor_size: (W, H, 2) in pixels.
        pitch: sensor pixels per picture pixel.
        threshold: change of log intensity that gives an event.
        mismatch: standard deviation of the threshold over pixels, as a share of it.
        noise_rate: events without cause, per pixel and second.
        background: the light of a black picture pixel, a white one having 1 (a screen's black).
        saccade_us: how long one of the three movements lasts.
        steps: moments at which each movement is sampled.
    """

    sensor_size: SensorSize = (34, 34, 2)
    pitch: float = 2.5
    threshold: float = 0.35
    mismatch: float = 0.1
    noise_rate: float = 0.3
    background: float = 0.1
    saccade_us: int = 100_000
    steps: int = 40


def pixels(camera: Camera, seed: int) -> tuple[Floats, Floats]:
    """Draw the one camera's thresholds for ON and OFF, each [H * W]."""
    width, height, _ = camera.sensor_size
    draw = np.random.default_rng([seed, 0])
    spread = draw.normal(1.0, camera.mismatch, size=(2, height * width))
    on, off = camera.threshold * np.clip(spread, 0.5, 1.5)
    return on, off


def watched(light: Floats, times: Floats, first: int, seed: int, camera: Camera) -> list[Events]:
    """What the camera sends of some scenes.

    Args:
        light: in 0..1, [K, N, H * W]: N scenes at K moments.
        times: of the moments, [K] microseconds from 0 on.
        first: number of the first scene. Scene i's noise depends on `first` + i and the seed.
        seed: draws the one camera's thresholds, too.
        camera: its properties.
    """
    width, height, _ = camera.sensor_size
    # Rounded so that the last bits, which differ between processors, move no event.
    linear = camera.background + (1 - camera.background) * light
    log_light = np.asarray(np.round(np.log(linear), 9), dtype=np.float64)
    draws = [np.random.default_rng([seed, 1, first + i]) for i in range(light.shape[1])]
    # Where between two thresholds a pixel stands at the start is chance.
    phase = np.stack([draw.uniform(-0.5, 0.5, height * width) for draw in draws])
    found = _crossings(log_light, times, pixels(camera, seed), phase * camera.threshold)
    place, time, polarity = found
    recording, pixel = np.divmod(place, height * width)
    order = np.lexsort((pixel, time, recording))
    bounds = np.searchsorted(recording[order], np.arange(len(draws) + 1))
    rows = []
    for draw, (low, high) in zip(draws, pairwise(bounds), strict=True):
        mine = order[low:high]
        one = pixel[mine], time[mine], polarity[mine]
        rows.append(_with_noise(one, int(times[-1]), draw, camera))
    return rows


def _crossings(
    light: Floats, times: Floats, pixels: tuple[Floats, Floats], phase: Floats
) -> tuple[Whole, Whole, Whole]:
    """Give place (recording * H * W + pixel), time (us) and polarity of all threshold crossings.

    ``reference`` is the light at a pixel's last event. Between two moments the light is a
    straight line, which starts less than one threshold from the reference; so all crossings of
    a step have one polarity and lie inside it.
    """
    on, off = (np.tile(p, light.shape[1]) for p in pixels)
    below = -off
    reference = light[0].ravel() + phase.ravel()
    found = []
    for k in range(1, len(light)):
        before, now = light[k - 1].ravel(), light[k].ravel()
        change = now - reference
        active = np.flatnonzero((change >= on) | (change <= below))
        step = np.where(change[active] > 0, on[active], below[active])
        many = np.floor(change[active] / step).astype(np.int64)
        nth = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many) + 1
        level = np.repeat(reference[active], many) + nth * np.repeat(step, many)
        place = np.repeat(active, many)
        share = (level - before[place]) / (now[place] - before[place])
        time = times[k - 1] + share * (times[k] - times[k - 1])
        found.append((place, time.astype(np.int64), np.repeat(step > 0, many)))
        reference[active] += many * step
    place, time, polarity = (np.concatenate(part) for part in zip(*found, strict=True))
    return place, time, polarity


def _with_noise(
    found: tuple[Whole, Whole, Whole], lasts: int, draw: np.random.Generator, camera: Camera
) -> Events:
    """The crossings of one recording, and events without cause."""
    pixel, time, polarity = found
    width, height, _ = camera.sensor_size
    many = draw.poisson(camera.noise_rate * width * height * lasts / 1e6)
    events = np.empty(len(pixel) + many, dtype=EVENT_DTYPE)
    place = np.concatenate([pixel, draw.integers(0, width * height, many)])
    events["y"], events["x"] = np.divmod(place, width)
    events["t"] = np.concatenate([time, draw.integers(0, lasts, many)])
    events["p"] = np.concatenate([polarity, draw.integers(0, 2, many)])
    return events[np.argsort(events["t"], kind="stable")]
