"""Simulated sets in place of recorded ones that few people have; their names say so.

"cifar10-events" stands for CIFAR10-DVS: real pictures of CIFAR-10 before the simulated camera, on a
closed loop after Li et al. 2017. "gestures-events" stands for DVS128 Gesture: eleven motions of a
limb, told apart by the order of things in time only.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from snnbd_core.data import limb, saccades
from snnbd_core.data.camera import Camera
from snnbd_core.data.cifar import load_cifar10
from snnbd_core.data.datasets import FrameDataset, ImageDataset
from snnbd_core.data.errors import DataNotFound
from snnbd_core.data.events import Binning, Events
from snnbd_core.data.samples import Rows, stratified
from snnbd_core.data.simulated import Simulated

__all__ = [
    "CAMERA",
    "LOOP",
    "count_cifar10_events",
    "count_gestures_events",
    "load_cifar10_events",
    "load_gestures_events",
]

_PICTURES = 250  # of each class of CIFAR-10's training set, the first ones
_MADE = 80  # recordings of each motion
_TEST_SHARES = {"cifar10-events": 0.1, "gestures-events": 0.25}
_GREY = np.array([0.299, 0.587, 0.114])  # luminance
# Parts of the cache's keys: count up when the simulation gives other events for equal settings.
_VERSION = 1

LOOP: saccades.Way = ((0, 0), *3 * ((4, 4), (8, 0), (4, -4), (0, 0)))
"""Three rounds of a rhombus, in pixels. The original has six, on 128x128 pixels."""

# The picture is larger than the view by what it moves, so its edges are never seen.
CAMERA = Camera(sensor_size=(48, 48, 2), pitch=1.75, saccade_us=50_000, steps=12)


def load_cifar10_events(
    root: Path, frames: int, seed: int, binning: Binning
) -> tuple[FrameDataset, FrameDataset]:
    """Pictures of CIFAR-10 on a closed loop before the simulated camera, 48x48, split 90/10.

    The first 250 training pictures of each class, as grey light; CIFAR10-DVS has 1,000 of each on
    128x128 pixels. The log says whether the pictures are lossy; see `load_cifar10` for layouts.
    """
    pictures, rows = _pictures(root)
    labels = pictures.labels[rows]
    made_from = f"{_VERSION} {astuple(CAMERA)} {LOOP} {seed} {rows.tolist()}{pictures.fingerprint}"

    def make() -> tuple[Events, npt.NDArray[np.int64]]:
        colours = pictures.batch(rows)[0].numpy().astype(np.float64)
        grey = np.clip(np.einsum("ncyx,c->nyx", colours, _GREY), 0, 1)
        return saccades.record(grey, seed, CAMERA, LOOP)

    made = Simulated(
        name="cifar10-events",
        key=hashlib.sha256(made_from.encode()).hexdigest(),
        seed=seed,
        labels=labels,
        class_names=pictures.class_names,
        sensor_size=CAMERA.sensor_size,
        make=make,
    )
    return made.parts(stratified(labels, _TEST_SHARES["cifar10-events"]), frames, binning)


def count_cifar10_events(root: Path) -> int:
    """How many recordings are made of the pictures that a folder holds."""
    return len(_pictures(root)[1])


def count_gestures_events() -> int:
    """How many recordings are made, in both parts."""
    return _MADE * len(limb.MOTIONS)


def _pictures(root: Path) -> tuple[ImageDataset, Rows]:
    """CIFAR-10's training pictures, and the rows of those that are shown to the camera."""
    pictures, _ = load_cifar10(root)
    if not len(pictures):
        raise DataNotFound(
            f"cifar10-events: {root} holds no training picture of CIFAR-10, of which the set is "
            "made. Put the training batches there"
        )
    rows = np.concatenate([np.flatnonzero(pictures.labels == k)[:_PICTURES] for k in range(10)])
    return pictures, np.sort(rows)


def load_gestures_events(
    frames: int, seed: int, binning: Binning
) -> tuple[FrameDataset, FrameDataset]:
    """Eleven motions of a limb (see `limb`), 64x64, 60 + 20 recordings of each."""
    labels = np.arange(count_gestures_events()) % len(limb.MOTIONS)

    def make() -> tuple[Events, npt.NDArray[np.int64]]:
        told = tqdm(labels.tolist(), desc="gestures-events", disable=None, leave=False)
        rows = [limb.record(motion, number, seed) for number, motion in enumerate(told)]
        return np.concatenate(rows), np.cumsum([0, *map(len, rows)]).astype(np.int64)

    made = Simulated(
        name="gestures-events",
        key=hashlib.sha256(f"{_VERSION} {astuple(limb.CAMERA)} {seed}".encode()).hexdigest(),
        seed=seed,
        labels=labels,
        class_names=limb.NAMES,
        sensor_size=limb.CAMERA.sensor_size,
        make=make,
    )
    return made.parts(stratified(labels, _TEST_SHARES["gestures-events"]), frames, binning)
