"""The event sets that people recorded, read from a folder or from .zip archives lying in it.

tonic's own data set classes want the whole set and the archive beside it; here its readers work
on whatever part is there, behind the checks of ``events``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from snnbd_core.data import aedat, gestures, recordings, splits, stores
from snnbd_core.data.datasets import FrameDataset
from snnbd_core.data.downloads import BY_HAND, warn_of_others
from snnbd_core.data.errors import CorruptData, missing
from snnbd_core.data.events import Binning, SensorSize
from snnbd_core.data.recordings import FileRecordings, Found, Reader
from snnbd_core.data.samples import Rows
from snnbd_core.data.stores import File
from snnbd_core.data.telling import WHOLE, tell

__all__ = [
    "CALTECH_CLASSES",
    "CIFAR10_CLASSES",
    "EVENT_SETS",
    "class_of",
    "count_event_set",
    "load_event_set",
]

Files = Sequence[File]

NMNIST_CLASSES = tuple("0123456789")
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
# Those of Caltech101 without "Faces", which its authors left out beside "Faces_easy".
CALTECH_CLASSES = (
    "BACKGROUND_Google", "Faces_easy", "Leopards", "Motorbikes", "accordion", "airplanes", "anchor",
    "ant", "barrel", "bass", "beaver", "binocular", "bonsai", "brain", "brontosaurus", "buddha",
    "butterfly", "camera", "cannon", "car_side", "ceiling_fan", "cellphone", "chair", "chandelier",
    "cougar_body", "cougar_face", "crab", "crayfish", "crocodile", "crocodile_head", "cup",
    "dalmatian", "dollar_bill", "dolphin", "dragonfly", "electric_guitar", "elephant", "emu",
    "euphonium", "ewer", "ferry", "flamingo", "flamingo_head", "garfield", "gerenuk", "gramophone",
    "grand_piano", "hawksbill", "headphone", "hedgehog", "helicopter", "ibis", "inline_skate",
    "joshua_tree", "kangaroo", "ketch", "lamp", "laptop", "llama", "lobster", "lotus", "mandolin",
    "mayfly", "menorah", "metronome", "minaret", "nautilus", "octopus", "okapi", "pagoda", "panda",
    "pigeon", "pizza", "platypus", "pyramid", "revolver", "rhino", "rooster", "saxophone",
    "schooner", "scissors", "scorpion", "sea_horse", "snoopy", "soccer_ball", "stapler", "starfish",
    "stegosaurus", "stop_sign", "strawberry", "sunflower", "tick", "trilobite", "umbrella", "watch",
    "water_lilly", "wheelchair", "wild_cat", "windsor_chair", "wrench", "yin_yang",
)  # fmt: skip


def load_event_set(
    name: str, root: Path, frames: int, binning: Binning
) -> tuple[FrameDataset, FrameDataset]:
    """Give both parts of a set in ``EVENT_SETS``, and log how much of the whole set they are."""
    found = _FINDERS[name](root)
    train, test = (
        FrameDataset(name, split, part, labels, found.class_names, frames, binning)
        for split, part, labels in zip(("train", "test"), found.parts, found.labels, strict=True)
    )
    tell(train, test, root, found.whole)
    return train, test


def count_event_set(name: str, root: Path) -> tuple[int, int]:
    """Tell how many recordings a folder holds, and how many there are in the whole set."""
    found = _FINDERS[name](root)
    return sum(map(len, found.parts)), found.whole or WHOLE[name]


def _nmnist(root: Path) -> Found:
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
    warn_of_others("nmnist", [file for files in parts for file in files])
    labels = [_by_folder(files, NMNIST_CLASSES) for files in parts]
    rows = [FileRecordings(files, recordings.five_bytes, (34, 34, 2)) for files in parts]
    return Found(NMNIST_CLASSES, rows, labels)


def _cifar10_dvs(root: Path) -> Found:
    """CIFAR10-DVS (Li et al. 2017): 128x128, 1,000 recordings of each of ten classes.

    Layout: ``<class>/*.aedat4`` (as tonic publishes them) or ``<class>/*.aedat`` (the original),
    unpacked or as one .zip archive per class. There is no official split; ours is 90/10 and by
    name, 100 recordings of each class, listed in ``splits/cifar10-dvs.txt``. So a part of the set
    is split as the whole.
    """
    for suffix, reader in ((".aedat4", aedat.aedat4), (".aedat", aedat.aedat2_cifar10)):
        patterns = [f"{name}/*{suffix}" for name in CIFAR10_CLASSES]
        found = stores.find(root, ("CIFAR10DVS", "cifar10-dvs"), patterns)
        files = [file for some in found.values() for file in some]
        if files:
            rows = splits.listed("cifar10-dvs", files)
            return _split(files, reader, (128, 128, 2), CIFAR10_CLASSES, rows)
    get = BY_HAND["cifar10-dvs"]
    raise missing("cifar10-dvs", root, f"<class>/*.aedat4 nor <class>/*.aedat. {get} into it")


def _ncaltech101(root: Path) -> Found:
    """N-Caltech101 (Orchard et al. 2015): up to 240x180, 8,709 recordings of 101 classes.

    Layout: ``Caltech101/<class>/*.bin``, unpacked or as ``Caltech101.zip``; labels follow
    ``CALTECH_CLASSES``, whichever folders are there. Coordinates are those recorded (tonic moves
    each recording to its corner). There is no official split. Ours takes one recording of five
    for testing, by a hash of its class and number (`splits.is_tested`): so a part of the set is
    split as the whole. Checked on synthetic files only; no published one was at hand.
    """
    pattern = "Caltech101/*/*.bin"
    files = stores.find(root, ("NCALTECH101", "ncaltech101"), (pattern,))[pattern]
    if not files:
        get = BY_HAND["ncaltech101"]
        raise missing("ncaltech101", root, f"{pattern} nor Caltech101.zip. {get} into it")
    _by_folder(files, CALTECH_CLASSES)  # a wrong folder is named before a wrong file in it
    rows = splits.drawn(files, every=5)
    return _split(files, recordings.five_bytes, (240, 180, 2), CALTECH_CLASSES, rows)


def _split(
    files: Files,
    reader: Reader,
    sensor_size: SensorSize,
    names: Sequence[str],
    rows: tuple[Rows, Rows],
) -> Found:
    """A set in folders of classes; `rows` are those for training and for testing."""
    labels = np.array(_by_folder(files, names))
    parts = [FileRecordings([files[i] for i in part], reader, sensor_size) for part in rows]
    return Found(names, parts, [labels[part].tolist() for part in rows])


def class_of(folder: str, names: Sequence[str], file: object) -> int:
    """The number of the class that a file's folder says; CorruptData for none."""
    if folder not in names:
        known = ", ".join(names)
        raise CorruptData(f"{file}: its folder {folder!r} is none of the classes {known}")
    return names.index(folder)


def _by_folder(files: Files, names: Sequence[str]) -> list[int]:
    return [class_of(file.folder, names, file) for file in files]


_FINDERS: dict[str, Callable[[Path], Found]] = {
    "nmnist": _nmnist,
    "dvs-gesture": gestures.found,
    "cifar10-dvs": _cifar10_dvs,
    "ncaltech101": _ncaltech101,
}

EVENT_SETS = tuple(_FINDERS)
"""The sets that ``load_event_set`` knows."""
