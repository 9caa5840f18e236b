"""The event sets that people recorded, read from a folder or from .zip archives lying in it.

tonic's own data set classes want the whole set and the archive beside it; here its readers work
on whatever part is there, behind the checks of ``events``.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from snnbd_core.data import recordings, stores
from snnbd_core.data.datasets import FrameDataset
from snnbd_core.data.errors import CorruptData, missing
from snnbd_core.data.events import Binning, SensorSize
from snnbd_core.data.recordings import FileRecordings, Reader
from snnbd_core.data.samples import stratified
from snnbd_core.data.stores import File

__all__ = ["CIFAR10_CLASSES", "GESTURE_CLASSES", "WHOLE", "class_of", "load_event_set"]

_log = logging.getLogger(__name__)

Files = Sequence[File]

NMNIST_CLASSES = tuple("0123456789")
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
# As in tonic.datasets, written out: importing tonic takes a third of a second.
GESTURE_CLASSES = (
    "Hand clapping", "Right hand wave", "Left hand wave", "Right arm cw", "Right arm ccw",
    "Left arm cw", "Left arm ccw", "Arm roll", "Air drums", "Air guitar", "Other gestures",
)  # fmt: skip


@dataclass(frozen=True)
class _Found:
    """Files that were found, and what they are; ``parts`` and ``labels`` are train, then test."""

    reader: Reader
    sensor_size: SensorSize
    class_names: Sequence[str]
    parts: Sequence[Files]
    labels: Sequence[Sequence[int]]


def load_event_set(
    name: str, root: Path, frames: int, binning: Binning
) -> tuple[FrameDataset, FrameDataset]:
    """Give both parts of a set in ``WHOLE``, and log how much of the whole set they are."""
    found = _FINDERS[name](root)

    def part(number: int, split: str) -> FrameDataset:
        files = FileRecordings(found.parts[number], found.reader, found.sensor_size)
        labels = found.labels[number]
        return FrameDataset(name, split, files, labels, found.class_names, frames, binning)

    train, test = part(0, "train"), part(1, "test")
    level = logging.INFO if len(train) and len(test) else logging.WARNING
    whole = WHOLE[name]
    share = "" if len(train) + len(test) == whole else f", of {whole} in the whole set"
    _log.log(level, "%s: %d + %d recordings in %s%s", name, len(train), len(test), root, share)
    return train, test


def _nmnist(root: Path) -> _Found:
    """N-MNIST (Orchard et al. 2015): 34x34, 60,000 + 10,000 recordings of about 300 ms.

    Layout: ``Train/<digit>/<id>.bin`` and ``Test/<digit>/<id>.bin``, in the folder, in a
    sub-folder ``NMNIST`` (as tonic lays it out) or in .zip archives (the published ``train.zip``
    and ``test.zip``, or one archive with both).
    """
    patterns = ("Train/*/*.bin", "Test/*/*.bin")
    parts = list(stores.find(root, ("NMNIST", "nmnist"), patterns).values())
    if not any(parts):
        what = "Train/<digit>/<id>.bin nor a .zip archive of them. Get train.zip and test.zip"
        where = "(https://www.garrickorchard.com/datasets/n-mnist) into it"
        raise missing("nmnist", root, f"{what} {where}, or pass download=True (1.1 GB)")
    labels = [_by_folder(files, NMNIST_CLASSES) for files in parts]
    return _Found(recordings.five_bytes, (34, 34, 2), NMNIST_CLASSES, parts, labels)


def _dvs_gesture(root: Path) -> _Found:
    """DVS128 Gesture (Amir et al. 2017): 128x128, 11 gestures.

    Two layouts are read: tonic's (``ibmGestureTrain/<user>_<light>/<class>.npy``, the same under
    ``ibmGestureTest``; 1,077 + 264 recordings), and a row of clips, five-byte files beside a
    ``labels.csv`` with the columns ``file`` and ``label`` (1 to 11, the set's own numbers; class
    0 here is label 1, as in tonic). Clips come as the test part and the training part is empty,
    since there is no telling which of them share a user.
    """
    folders = ("DVSGesture", "dvs-gesture")
    found = stores.find(root, folders, ("ibmGestureTrain/*/*.npy", "ibmGestureTest/*/*.npy"))
    parts: list[list[File]] = list(found.values())
    if any(parts):
        labels = [[_by_name(file) for file in part] for part in parts]
        return _Found(recordings.gesture_npy, (128, 128, 2), GESTURE_CLASSES, parts, labels)
    tables = stores.find(root, (*folders, "dvs_gesture_clips"), ("labels.csv",))["labels.csv"]
    if not tables:
        what = "ibmGestureTrain/<user>_<light>/<class>.npy nor clips with a labels.csv"
        get = "Unpack both archives whose addresses are in tonic.datasets.DVSGesture into it"
        raise missing("dvs-gesture", root, f"{what}. {get}")
    clips, numbers = _clips(tables[0])
    parts, labels = [[], clips], [[], numbers]
    return _Found(recordings.five_bytes, (128, 128, 2), GESTURE_CLASSES, parts, labels)


def _cifar10_dvs(root: Path) -> _Found:
    """CIFAR10-DVS (Li et al. 2017): 128x128, 1,000 recordings of each of ten classes.

    Layout: ``<class>/*.aedat4`` (as tonic publishes them) or ``<class>/*.aedat`` (the original),
    unpacked or as one .zip archive per class. There is no official split: 90/10, fixed and
    stratified (the usual shares).
    """
    for suffix, reader in ((".aedat4", recordings.aedat4), (".aedat", recordings.aedat2_cifar10)):
        patterns = [f"{name}/*{suffix}" for name in CIFAR10_CLASSES]
        found = stores.find(root, ("CIFAR10DVS", "cifar10-dvs"), patterns)
        files = [file for some in found.values() for file in some]
        if files:
            return _split(files, reader, (128, 128, 2), CIFAR10_CLASSES, 0.1)
    get = "Unpack CIFAR10DVS.zip (address in tonic.datasets.CIFAR10DVS) and its archives into it"
    raise missing("cifar10-dvs", root, f"<class>/*.aedat4 nor <class>/*.aedat. {get}")


def _ncaltech101(root: Path) -> _Found:
    """N-Caltech101 (Orchard et al. 2015): up to 240x180, 8,709 recordings of 101 classes.

    Layout: ``Caltech101/<class>/*.bin``, unpacked or as ``Caltech101.zip``; classes are the
    folders that are there, sorted. Coordinates are those recorded (tonic moves each recording
    to its corner). There is no official split: 80/20, fixed and stratified. Checked on synthetic
    files only; no published one was at hand.
    """
    pattern = "Caltech101/*/*.bin"
    files = stores.find(root, ("NCALTECH101", "ncaltech101"), (pattern,))[pattern]
    if not files:
        address = "https://www.garrickorchard.com/datasets/n-caltech101"
        get = f"Unpack N-Caltech101-archive.zip ({address}) into it"
        raise missing("ncaltech101", root, f"{pattern} nor Caltech101.zip. {get}")
    names = tuple(sorted({file.folder for file in files}))
    return _split(files, recordings.five_bytes, (240, 180, 2), names, 0.2)


def _split(
    files: Files, reader: Reader, sensor_size: SensorSize, names: Sequence[str], test_share: float
) -> _Found:
    """A set in folders of classes that has no split of its own."""
    labels = np.array(_by_folder(files, names))
    rows = stratified(labels, test_share)
    parts = [[files[i] for i in part] for part in rows]
    return _Found(reader, sensor_size, names, parts, [labels[part].tolist() for part in rows])


def class_of(folder: str, names: Sequence[str], file: object) -> int:
    """The number of the class that a file's folder says; CorruptData for none."""
    if folder not in names:
        known = ", ".join(names)
        raise CorruptData(f"{file}: its folder {folder!r} is none of the classes {known}")
    return names.index(folder)


def _by_folder(files: Files, names: Sequence[str]) -> list[int]:
    return [class_of(file.folder, names, file) for file in files]


def _by_name(file: File) -> int:
    stem, last = PurePosixPath(file.member).stem, len(GESTURE_CLASSES) - 1
    if not stem.isdecimal() or int(stem) > last:
        raise CorruptData(f"{file}: its name {stem!r} is none of the classes 0..{last}")
    return int(stem)


def _clips(table: File) -> tuple[list[File], list[int]]:
    """Give the clips that a ``labels.csv`` lists, and their classes; all must match."""
    folder = PurePosixPath(table.member).parent
    members = set(table.store.matching((folder / "*.bin").as_posix()))
    try:
        rows = list(csv.DictReader(io.StringIO(table.read().decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorruptData(f"{table}: is no table of text ({error})") from error
    files, labels = [], []
    # The first line names the columns; people count lines from 1.
    for line, row in enumerate(rows, start=2):
        member = (folder / str(row.get("file"))).as_posix()
        label = str(row.get("label"))
        if member not in members:
            raise CorruptData(f"{table}: line {line} names {row.get('file')!r}; no such clip left")
        if not label.isdecimal() or not 1 <= int(label) <= len(GESTURE_CLASSES):
            raise CorruptData(
                f"{table}: line {line} has label {label!r}; 1..{len(GESTURE_CLASSES)} is allowed"
            )
        members.remove(member)
        files.append(File(table.store, member))
        labels.append(int(label) - 1)
    if members or not files:
        raise CorruptData(f"{table}: has no line for {', '.join(sorted(members)) or 'any clip'}")
    return files, labels


WHOLE = {"nmnist": 70_000, "dvs-gesture": 1_341, "cifar10-dvs": 10_000, "ncaltech101": 8_709}
"""The sets, and how many recordings the whole of each has."""

_FINDERS: dict[str, Callable[[Path], _Found]] = {
    "nmnist": _nmnist,
    "dvs-gesture": _dvs_gesture,
    "cifar10-dvs": _cifar10_dvs,
    "ncaltech101": _ncaltech101,
}
