"""A simulated event camera that looks at pictures as N-MNIST's camera did.

Orchard et al. 2015 ("Converting static image datasets to spiking neuromorphic datasets using
saccades") showed each picture to a camera that made three small movements of 100 ms along a
triangle. Li et al. 2017 (CIFAR10-DVS) moved pictures along a closed loop before one at rest.

Here the picture is a smooth surface (cubic B-splines over its pixels, an ideal lens's blur),
moved over the sensor of `snnbd_core.data.camera`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from snnbd_core.data.camera import Camera, Floats, watched
from snnbd_core.data.events import Events

__all__ = ["TRIANGLE", "Camera", "Way", "path", "record"]

Way = tuple[tuple[float, float], ...]

TRIANGLE: Way = ((0.0, 0.0), (3.5, 7.0), (7.0, 0.0), (0.0, 0.0))
"""The picture's way, in pixels (x, y), that tonic's `stabilize` takes out of N-MNIST."""

_CHUNK = 32
_USUAL = Camera()


def record(
    pictures: npt.ArrayLike, seed: int = 0, camera: Camera = _USUAL, way: Way = TRIANGLE
) -> tuple[Events, npt.NDArray[np.int64]]:
    """Show pictures to the camera, one recording each.

    Args:
        pictures: [N, h, w], light in 0..1.
        seed: draws the one camera's pixels (thresholds) and each recording's noise; the result
            depends on nothing else. Recording i is the same however many follow it.
        camera: its properties.
        way: the picture's way in pixels, from corner to corner.

    Returns:
        the events of all recordings one after the other, and the offsets [N + 1]: recording i
        is ``events[offsets[i]:offsets[i + 1]]``, its times start near 0 and never fall.
    """
    images = np.asarray(pictures, dtype=np.float64)
    if images.ndim != 3 or images.size == 0 or images.min() < 0 or images.max() > 1:
        raise ValueError(f"pictures of shape {images.shape} must be [N, h, w] with light in 0..1")
    times, _ = path(camera, way)
    rows = [
        row
        for start in range(0, len(images), _CHUNK)
        for row in watched(
            _light(images[start : start + _CHUNK], camera, way), times, start, seed, camera
        )
    ]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return np.concatenate(rows), offsets


def path(camera: Camera, way: Way = TRIANGLE) -> tuple[Floats, Floats]:
    """Give the sampled times [K] in microseconds and the picture's shifts [K, 2] (x, y) in pixels.

    Each movement starts and ends at rest (speed as a raised cosine), as a motor moves.
    """
    u = np.arange(1, camera.steps + 1) / camera.steps
    eased = u - np.sin(2 * np.pi * u) / (2 * np.pi)
    corners = np.asarray(way)
    legs = [a + eased[:, None] * (b - a) for a, b in pairwise(corners)]
    shifts = np.concatenate([corners[:1], *legs])
    times = np.linspace(0, len(legs) * camera.saccade_us, len(shifts))
    middle = (corners.max(axis=0) + corners.min(axis=0)) / 2
    return times, shifts - middle


def _light(images: Floats, camera: Camera, way: Way) -> Floats:
    """Give the light [K, N, H * W] at the path's moments."""
    width, height, _ = camera.sensor_size
    _, shifts = path(camera, way)
    across = _spline(width, images.shape[2], shifts[:, 0], camera.pitch)
    down = _spline(height, images.shape[1], shifts[:, 1], camera.pitch)
    seen: Floats = down[:, None] @ images[None] @ across[:, None].transpose(0, 1, 3, 2)
    return seen.reshape(len(shifts), len(images), height * width)


def _spline(sensor: int, picture: int, shifts: Floats, pitch: float) -> Floats:
    """Cubic B-spline weights [K, sensor, picture] of the picture's pixels at each sensor pixel."""
    place = (np.arange(sensor) - (sensor - 1) / 2)[None, :] - shifts[:, None]
    distance = np.abs(place[:, :, None] / pitch - (np.arange(picture) - (picture - 1) / 2))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.maximum(2 - distance, 0) ** 3 / 6
    return np.where(distance < 1, near, far)
