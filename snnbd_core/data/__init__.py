"""Data: events, frames, the simulated camera, and the data sets by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from snnbd_core import checks, files
from snnbd_core.data.anybody import as_set
from snnbd_core.data.cifar import load_cifar10, load_cifar10_small, load_cifar100
from snnbd_core.data.datasets import FrameDataset, ImageDataset, from_events
from snnbd_core.data.digits import load_digits, load_digits_events
from snnbd_core.data.downloads import download as _download
from snnbd_core.data.errors import CorruptData, DataNotFound
from snnbd_core.data.event_sets import EVENT_SETS, count_event_set, load_event_set
from snnbd_core.data.events import (
    EVENT_DTYPE,
    Binning,
    bin_events,
    check_binning,
    check_events,
    read_bin,
)
from snnbd_core.data.gtsrb import load_gtsrb
from snnbd_core.data.mnist import load_mnist
from snnbd_core.data.saccades import Camera
from snnbd_core.data.samples import SampleSet
from snnbd_core.data.stand_ins import (
    count_cifar10_events,
    count_gestures_events,
    load_cifar10_events,
    load_gestures_events,
)

__all__ = [
    "EVENT_DTYPE",
    "IMAGES",
    "NAMES",
    "Camera",
    "CorruptData",
    "DataNotFound",
    "FrameDataset",
    "ImageDataset",
    "SampleSet",
    "as_set",
    "bin_events",
    "check_events",
    "count",
    "from_events",
    "load",
    "read_bin",
]

_EMBEDDED = ("digits-events", "digits", "gestures-events")
_IMAGES: dict[str, Callable[[Path], tuple[ImageDataset, ImageDataset]]] = {
    "mnist": load_mnist,
    "cifar10": load_cifar10,
    "cifar10-small": load_cifar10_small,
    "cifar100": load_cifar100,
    "gtsrb": load_gtsrb,
}

NAMES = (*_EMBEDDED, *_IMAGES, *EVENT_SETS, "cifar10-events")
"""All data sets that ``load`` knows."""

IMAGES = ("digits", *_IMAGES)
"""Those of static images; the others are event recordings."""


def load(
    name: str,
    *,
    frames: int = 16,
    seed: int = 0,
    root: str | os.PathLike[str] | None = None,
    binning: Binning = "number",
    download: bool = False,
) -> tuple[FrameDataset, FrameDataset] | tuple[ImageDataset, ImageDataset]:
    """Give the training and the test part of a data set.

    Event sets (frames [T, 2, H, W], channel 0 OFF, channel 1 ON): "digits-events" (embedded,
    made once and cached), "nmnist", "dvs-gesture", "cifar10-dvs", "ncaltech101", and two stand-ins:
    "gestures-events" (made once) and "cifar10-events" (made once of "cifar10"). Static images
    ([C, H, W] in 0..1): "digits" (embedded), "mnist", "cifar10", "cifar100", "gtsrb", and
    "cifar10-small", the first 800 + 200 images of each class of "cifar10". A folder with a part of
    a set is used as it is; the log states its size and the classes and batches that are absent.

    Args:
        name: one of ``NAMES``.
        frames: T, for event sets; at most the events of the shortest recording.
        seed: draws the simulated camera of the sets whose names end in "-events"; without effect
            on the others, whose recordings are what they are. No split depends on it: these,
            "digits" and the sets without an official split have a fixed one, stratified.
        root: the folder with the files, ``$SNNBD_DATA`` when None, ``data`` in the cache folder
            when that is not set either. Each set's layout is in its loader's docstring.
        binning: "number" or "time" (see ``bin_events``).
        download: fetch what is missing into ``root``; "dvs-gesture", "cifar10-dvs" and
            "ncaltech101" must be got by hand.

    Raises:
        ValueError: naming the argument, its value and what is allowed.
        DataNotFound: naming the set, the folder looked in and how to get it.
        CorruptData: naming the file and the first bad byte, record or line.
        PermissionError: naming the file or folder that may not be read, or the cache.
        OSError: a full disk while the cache is written (see ``files``).
    """
    _check_name(name)
    frames, seed = check_binning(frames, binning), checks.whole("seed", seed, 0)
    if name == "digits":
        return load_digits()
    if name == "digits-events":
        return load_digits_events(frames, seed, binning)
    if name == "gestures-events":
        return load_gestures_events(frames, seed, binning)
    folder = _folder(name, root, download)
    if name in _IMAGES:
        return _IMAGES[name](folder)
    if name == "cifar10-events":
        return load_cifar10_events(folder, frames, seed, binning)
    return load_event_set(name, folder, frames, binning)


def count(name: str, *, root: str | os.PathLike[str] | None = None) -> tuple[int, int]:
    """Tell how many samples of a set a folder holds, and how many the whole set has.

    Recordings are found but not read, cut to frames or simulated, so that a damaged one is not
    noticed; static images are loaded. The whole of a set that was never published is what is there.

    Args:
        name, root: as for ``load``.

    Raises:
        ValueError, DataNotFound, CorruptData, PermissionError: as ``load``.
    """
    _check_name(name)
    if name in _EMBEDDED:
        gestures = name == "gestures-events"
        here = count_gestures_events() if gestures else sum(map(len, load_digits()))
        return here, here
    folder = _folder(name, root, download=False)
    if name in EVENT_SETS:
        return count_event_set(name, folder)
    if name == "cifar10-events":
        here = count_cifar10_events(folder)
        return here, here
    train, test = _IMAGES[name](folder)
    here = len(train) + len(test)
    return here, train.whole or here


def _check_name(name: str) -> None:
    if name not in NAMES:
        raise ValueError(f"data set {name!r} is unknown; allowed are {', '.join(NAMES)}")


def _folder(name: str, root: str | os.PathLike[str] | None, download: bool) -> Path:
    given = root if root is not None else os.environ.get("SNNBD_DATA")
    folder = files.expanded(given, "SNNBD_DATA") if given else files.cache_dir() / "data"
    if download:
        folder.mkdir(parents=True, exist_ok=True)
        _download(name, folder)
    elif given and not folder.is_dir():
        raise DataNotFound(
            f"{name}: there is no folder {folder}. Pass root=, or set $SNNBD_DATA, to the folder "
            "that holds the set"
        )
    return folder
