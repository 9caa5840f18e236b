"""A limb of three joints before the simulated camera: eleven motions that only time tells apart.

A motion is four whole turns of one joint each, about the shoulder twice, then about the elbow and
about the wrist; what is beyond the joint is folded, so that each turn sweeps a disc of one radius.
The turns' directions are the motion. Backwards a turn crosses the same pixels as often, once
brighter and once darker, so the events summed over time say nothing of it.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from snnbd_core.data.camera import Camera, Floats, watched
from snnbd_core.data.events import Events

__all__ = ["CAMERA", "MOTIONS", "NAMES", "poses", "record"]

Angles = npt.NDArray[np.float64]

MOTIONS = tuple(
    (*arm, elbow, wrist)
    for arm, elbow, wrist in product(((1, 1), (1, -1), (-1, -1)), (1, -1), (1, -1))
)[:11]
"""Directions of the four turns: 1 is clockwise as the camera sees it, -1 counter-clockwise."""

_WORDS = {1: "cw", -1: "ccw"}
NAMES = tuple(
    f"arm {_WORDS[a]} {_WORDS[b]}, forearm {_WORDS[c]}, hand {_WORDS[d]}" for a, b, c, d in MOTIONS
)

CAMERA = Camera(sensor_size=(64, 64, 2), noise_rate=0.1)

_LENGTH = 9.0  # pixels, of upper arm, forearm and hand
_RADIUS = 1.5  # pixels, half their width
_SHOULDER = (18.0, 32.0)
_STEPS = 36  # moments of a whole turn
_TURN_US = 250_000  # of a turn at the usual speed
_LEANING = np.pi / 7  # how far the limb points up or down at the start, at most


def record(motion: int, number: int, seed: int) -> Events:
    """The recording of a motion, with its own speed, place and starting point.

    Args:
        motion: 0..10, see `MOTIONS`.
        number: of the recording; with the seed it draws speed, place and starting point.
        seed: see above; the camera's, too.
    """
    draw = np.random.default_rng([seed, 2, number])
    place = np.asarray(_SHOULDER) + draw.uniform(-2, 2, 2)
    start, speed = draw.uniform(-_LEANING, _LEANING), draw.uniform(0.7, 1.4)
    angles = start + poses(MOTIONS[motion])
    times = np.arange(len(angles), dtype=np.float64) * (_TURN_US / _STEPS / speed)
    (events,) = watched(_light(angles, place)[:, None], times, number, seed, CAMERA)
    return events


def poses(turns: tuple[int, ...]) -> Angles:
    """Directions [K, 3] of upper arm, forearm and hand in radians, from 0 on.

    Between the turns about elbow and wrist the forearm is stretched out, in each motion alike.
    """
    turn = 2 * np.pi * np.arange(1, _STEPS + 1) / _STEPS
    rest, folded = np.zeros(_STEPS), np.pi
    arms = [np.stack([way * turn, way * turn + folded, way * turn], 1) for way in turns[:2]]
    elbow = np.stack([rest, folded + turns[2] * turn, turns[2] * turn], 1)
    half = folded + turn[: _STEPS // 2]
    stretched = np.stack([rest[: len(half)], half, half - folded], 1)
    wrist = np.stack([rest, rest + 2 * np.pi, folded + turns[3] * turn], 1)
    return np.concatenate([[[0, folded, 0]], *arms, elbow, stretched, wrist])


def _light(angles: Angles, shoulder: Floats) -> Floats:
    """Light in 0..1 at the poses' moments, [K, H * W]: white limbs, their edges a pixel wide."""
    width, height, _ = CAMERA.sensor_size
    rows, columns = np.divmod(np.arange(width * height), width)
    bones = _LENGTH * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    joints = shoulder + np.cumsum(bones, axis=1) - bones
    near = np.full((len(angles), width * height), np.inf)
    for bone, joint in zip(bones.swapaxes(0, 1), joints.swapaxes(0, 1), strict=True):
        x, y = columns - joint[:, :1], rows - joint[:, 1:]
        along = np.clip((x * bone[:, :1] + y * bone[:, 1:]) / _LENGTH**2, 0, 1)
        np.minimum(near, np.hypot(x - along * bone[:, :1], y - along * bone[:, 1:]), out=near)
    light: Floats = np.clip(_RADIUS + 0.5 - near, 0, 1)
    return light
