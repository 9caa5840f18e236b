"""The embedded data: scikit-learn's 1,797 handwritten digits, as pictures and as recordings.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI machine
learning repository, 1998 (the 8x8 pictures with 17 grey levels that scikit-learn ships).
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from dataclasses import astuple
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snnbd_core.data import saccades
from snnbd_core.data.datasets import FrameDataset, ImageDataset
from snnbd_core.data.events import Binning
from snnbd_core.data.samples import Rows, stratified
from snnbd_core.data.simulated import Simulated

__all__ = ["load_digits", "load_digits_events"]

CLASS_NAMES = tuple("0123456789")
TEST_SHARE = 0.2

_WHITE = 16
# Part of the cache's key: count it up when the simulation gives other events for equal settings.
_VERSION = 1


def load_digits() -> tuple[ImageDataset, ImageDataset]:
    """Give the pictures, [1, 8, 8] in 0..1, split 80/20 (fixed, stratified)."""
    pictures, labels = _pictures()

    def part(split: str, rows: Rows) -> ImageDataset:
        return ImageDataset("digits", split, pictures[rows], labels[rows], CLASS_NAMES, _WHITE)

    train, test = stratified(labels, TEST_SHARE)
    return part("train", train), part("test", test)


def load_digits_events(
    frames: int, seed: int, binning: Binning
) -> tuple[FrameDataset, FrameDataset]:
    """Give the pictures as the simulated camera of ``saccades`` sees them, split as ``digits``."""
    pictures, labels = _pictures()
    camera = saccades.Camera()
    made_from = f"{_VERSION} {astuple(camera)} {seed}".encode() + pictures.tobytes()
    made = Simulated(
        name="digits-events",
        key=hashlib.sha256(made_from).hexdigest(),
        seed=seed,
        labels=labels,
        class_names=CLASS_NAMES,
        sensor_size=camera.sensor_size,
        make=lambda: saccades.record(pictures[:, 0] / _WHITE, seed, camera),
    )
    return made.parts(stratified(labels, TEST_SHARE), frames, binning)


def _pictures() -> tuple[npt.NDArray[np.uint8], Rows]:
    """Give the pictures [1797, 1, 8, 8], whole numbers 0..16, and the labels."""
    # The file itself: importing sklearn.datasets takes a second, reading it some milliseconds.
    package = importlib.util.find_spec("sklearn")
    assert package is not None and package.origin is not None  # a dependency of this library
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path, "rt") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return rows[:, :-1].reshape(-1, 1, 8, 8), rows[:, -1].astype(np.int64)
