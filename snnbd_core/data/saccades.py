"""A simulated event camera that looks at pictures as N-MNIST's camera did.

Orchard et al. 2015 ("Converting static image datasets to spiking neuromorphic datasets using
saccades") showed each picture to a camera that made three small movements of 100 ms along a
triangle. A pixel of such a camera sends an event when the logarithm of its light has changed by
a threshold since its last event: ON for brighter, OFF for darker.

Here the picture is a smooth surface (cubic B-splines over its pixels, an ideal lens's blur),
moved over the sensor; the logarithm is taken as linear between two close moments, so that the
time of each crossing is known to the microsecond. As in a real sensor the thresholds differ from
pixel to pixel, and pixels send a few events without cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from snnbd_core.data.events import EVENT_DTYPE, Events, SensorSize

__all__ = ["Camera", "path", "record"]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.integer | np.bool_]

# The picture's way, in pixels (x, y): the triangle that tonic's `stabilize` takes out of N-MNIST.
_WAY = ((0.0, 0.0), (3.5, 7.0), (7.0, 0.0), (0.0, 0.0))
_CHUNK = 32


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


def record(
    pictures: npt.ArrayLike, seed: int = 0, camera: Camera = Camera()
) -> tuple[Events, npt.NDArray[np.int64]]:
    """Show pictures to the camera, one recording each.

    Args:
        pictures: [N, h, w], light in 0..1.
        seed: draws the one camera's pixels (thresholds) and each recording's noise; the result
            depends on nothing else. Recording i is the same however many follow it.
        camera: its properties.

    Returns:
        the events of all recordings one after the other, and the offsets [N + 1]: recording i
        is ``events[offsets[i]:offsets[i + 1]]``, its times start near 0 and never fall.
    """
    images = np.asarray(pictures, dtype=np.float64)
    if images.ndim != 3 or images.size == 0 or images.min() < 0 or images.max() > 1:
        raise ValueError(f"pictures of shape {images.shape} must be [N, h, w] with light in 0..1")
    pixels = _pixels(camera, seed)
    rows = [
        row
        for start in range(0, len(images), _CHUNK)
        for row in _record_chunk(images[start : start + _CHUNK], start, seed, camera, pixels)
    ]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return np.concatenate(rows), offsets


def path(camera: Camera) -> tuple[Floats, Floats]:
    """Give the sampled times [K] in microseconds and the picture's shifts [K, 2] (x, y) in pixels.

    Each movement starts and ends at rest (speed as a raised cosine), as a motor moves.
    """
    u = np.arange(1, camera.steps + 1) / camera.steps
    eased = u - np.sin(2 * np.pi * u) / (2 * np.pi)
    way = np.asarray(_WAY)
    legs = [a + eased[:, None] * (b - a) for a, b in pairwise(way)]
    shifts = np.concatenate([way[:1], *legs])
    times = np.linspace(0, 3 * camera.saccade_us, len(shifts))
    middle = (way.max(axis=0) + way.min(axis=0)) / 2
    return times, shifts - middle


def _pixels(camera: Camera, seed: int) -> tuple[Floats, Floats]:
    """Draw the thresholds for ON and OFF, each [H * W]."""
    width, height, _ = camera.sensor_size
    draw = np.random.default_rng([seed, 0])
    spread = draw.normal(1.0, camera.mismatch, size=(2, height * width))
    on, off = camera.threshold * np.clip(spread, 0.5, 1.5)
    return on, off


def _record_chunk(
    images: Floats, first: int, seed: int, camera: Camera, pixels: tuple[Floats, Floats]
) -> list[Events]:
    width, height, _ = camera.sensor_size
    times, _ = path(camera)
    draws = [np.random.default_rng([seed, 1, first + i]) for i in range(len(images))]
    # Where between two thresholds a pixel stands at the start is chance.
    phase = np.stack([draw.uniform(-0.5, 0.5, height * width) for draw in draws])
    light = _log_light(images, camera)
    place, time, polarity = _crossings(light, times, pixels, phase * camera.threshold)
    recording, pixel = np.divmod(place, height * width)
    order = np.lexsort((pixel, time, recording))
    bounds = np.searchsorted(recording[order], np.arange(len(images) + 1))
    rows = []
    for draw, (low, high) in zip(draws, pairwise(bounds), strict=True):
        mine = order[low:high]
        rows.append(_with_noise(pixel[mine], time[mine], polarity[mine], draw, camera))
    return rows


def _log_light(images: Floats, camera: Camera) -> Floats:
    """Give the logarithm of the light [K, N, H * W] at the path's moments."""
    width, height, _ = camera.sensor_size
    _, shifts = path(camera)
    across = _spline(width, images.shape[2], shifts[:, 0], camera.pitch)
    down = _spline(height, images.shape[1], shifts[:, 1], camera.pitch)
    seen = down[:, None] @ images[None] @ across[:, None].transpose(0, 1, 3, 2)
    light: Floats = np.log(camera.background + (1 - camera.background) * seen)
    # Rounded so that the last bits, which differ between processors, move no event.
    return np.round(light, 9).reshape(len(shifts), len(images), height * width)


def _spline(sensor: int, picture: int, shifts: Floats, pitch: float) -> Floats:
    """Cubic B-spline weights [K, sensor, picture] of the picture's pixels at each sensor pixel."""
    place = (np.arange(sensor) - (sensor - 1) / 2)[None, :] - shifts[:, None]
    distance = np.abs(place[:, :, None] / pitch - (np.arange(picture) - (picture - 1) / 2))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.maximum(2 - distance, 0) ** 3 / 6
    return np.where(distance < 1, near, far)


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
    pixel: Whole, time: Whole, polarity: Whole, draw: np.random.Generator, camera: Camera
) -> Events:
    width, height, _ = camera.sensor_size
    lasts = 3 * camera.saccade_us
    many = draw.poisson(camera.noise_rate * width * height * lasts / 1e6)
    events = np.empty(len(pixel) + many, dtype=EVENT_DTYPE)
    place = np.concatenate([pixel, draw.integers(0, width * height, many)])
    events["y"], events["x"] = np.divmod(place, width)
    events["t"] = np.concatenate([time, draw.integers(0, lasts, many)])
    events["p"] = np.concatenate([polarity, draw.integers(0, 2, many)])
    return events[np.argsort(events["t"], kind="stable")]
