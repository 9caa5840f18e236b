"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): binary, pickles of known hash, or pictures."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from snnbd_core.data.datasets import ImageDataset
from snnbd_core.data.downloads import warn_of_others
from snnbd_core.data.errors import CorruptData, DataNotFound, missing
from snnbd_core.data.event_sets import CIFAR10_CLASSES, class_of
from snnbd_core.data.pickles import Published, unpickled
from snnbd_core.data.pictures import Made, Row, both_parts, decoded, files_of, inside, key_of
from snnbd_core.data.stores import Folder, hidden
from snnbd_core.data.telling import WHOLE, tell

__all__ = ["CIFAR100_CLASSES", "load_cifar10", "load_cifar10_small", "load_cifar100"]

_log = logging.getLogger(__name__)

CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
    "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house",
    "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man",
    "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy",
    "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal",
    "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar",
    "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman",
    "worm",
)  # fmt: skip

_PICTURE = re.compile(r"(^|/)(train|test)/([^/]+)/[^/]+\.(jpe?g|png)$", re.IGNORECASE)
_PIXELS = 3 * 32 * 32
_SMALL = {"train": 800, "test": 200}  # pictures of each class of "cifar10-small", the first ones


@dataclass(frozen=True)
class _Cifar:
    """How one of the two sets lies in files.

    Attributes:
        name, classes: of the set.
        binary, pickled: folders of the two official versions.
        batch: names of binary files; group 1 begins with "test" in the test part.
        labels: bytes before the pixels of a record; the last is the label.
        field: of the labels in a pickle.
        pickles: names of pickles, and what is known of the published ones.
        archive: names of archives.
        size: of the download.
    """

    name: str
    classes: Sequence[str]
    binary: str
    pickled: str
    batch: re.Pattern[str]
    labels: int
    field: str
    pickles: Mapping[str, Published]
    archive: re.Pattern[str]
    size: str

    @property
    def patterns(self) -> tuple[str, ...]:
        """The files that a folder's samples come from."""
        return ("*.bin", *self.pickles, "train/*/*.*", "test/*/*.*")


_TEN = _Cifar(
    name="cifar10",
    classes=CIFAR10_CLASSES,
    binary="cifar-10-batches-bin",
    pickled="cifar-10-batches-py",
    batch=re.compile(r"(?:^|/)(data_batch_\d|test_batch)\.bin$"),
    labels=1,
    field="labels",
    pickles={
        "data_batch_1": Published("train", "c99cafc152244af753f735de768cd75f"),
        "data_batch_2": Published("train", "d4bba439e000b95fd0a9bffe97cbabec"),
        "data_batch_3": Published("train", "54ebc095f3ab1f0389bbae665268c751"),
        "data_batch_4": Published("train", "634d18415352ddfa80567beed471001a"),
        "data_batch_5": Published("train", "482c414d41f54cd18b22e5b47cb7c3cb"),
        "test_batch": Published("test", "40351d587109b95175f43aff81a1287e"),
    },
    archive=re.compile(r"cifar[-_]?10(?![0-9])(?!.*dvs).*\.(tar|tgz|tar\.[gx]z)$"),
    size="162 MB",
)
_HUNDRED = _Cifar(
    name="cifar100",
    classes=CIFAR100_CLASSES,
    binary="cifar-100-binary",
    pickled="cifar-100-python",
    batch=re.compile(r"(?:^|/)(train|test)\.bin$"),
    labels=2,
    field="fine_labels",
    pickles={
        "train": Published("train", "16019d7e3df5f24257cddd939b257f8d"),
        "test": Published("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
    },
    archive=re.compile(r"cifar[-_]?100(?![0-9]).*\.(tar|tgz|tar\.[gx]z)$"),
    size="161 MB",
)


def _load(kind: _Cifar, root: Path) -> tuple[ImageDataset, ImageDataset]:
    """One of the two sets.

    Layout, in the folder or in a sub-folder of the set's name: the binary version in its own
    sub-folder (``cifar-10-batches-bin``, ``cifar-100-binary``), in the folder or in a .tar.gz;
    torchvision's ``cifar-10-batches-py`` or ``cifar-100-python``, unpacked or as the .tar.gz, if
    each pickle is the published one; or pictures of 32x32 as ``train/<class>/*.jpg`` and
    ``test/<class>/*.jpg`` (.png too), unpacked or in an archive such as ``cifar10_jpeg.tar.xz``.
    JPEG is slightly lossy, which the log says.
    """
    for place in (root, root / kind.name, root / kind.name.upper()):
        for source in _sources(kind, place):
            if not source.is_dir():
                warn_of_others(kind.name, inside(source, kind.patterns))
            key = key_of(source, kind.patterns)
            train, test, lossy = both_parts(
                kind.name, kind.classes, key, partial(_made, kind, source)
            )
            if lossy:
                _log.info("%s: the images in %s are JPEG, slightly lossy", kind.name, source)
            tell(train, test, source)
            if len(train) + len(test) < WHOLE[kind.name]:
                _tell_absent(kind, source)
            return train, test
    looked_for = (
        f"{kind.binary}, {kind.pickled}, nor an archive, nor train/<class> and test/<class>"
    )
    raise missing(kind.name, root, f"{looked_for}. Pass download=True ({kind.size})")


def _tell_absent(kind: _Cifar, source: Path) -> None:
    """Warns of official batches that are not beside those that are there."""
    names = [PurePosixPath(name).name for name, _ in files_of(source, kind.patterns)]
    here = {name.removesuffix(".bin") for name in names}
    absent = [batch for batch in kind.pickles if batch not in here]
    if absent and len(absent) < len(kind.pickles):
        _log.warning("%s: %s holds no %s", kind.name, source, ", ".join(absent))


load_cifar10 = partial(_load, _TEN)
load_cifar100 = partial(_load, _HUNDRED)


def load_cifar10_small(root: Path) -> tuple[ImageDataset, ImageDataset]:
    """The first 800 training and 200 test pictures of each class of CIFAR-10, class by class.

    They are the same ones in each layout that `load_cifar10` reads, if the names of pictures sort
    in the set's order; JPEG changes their pixels. The fingerprint says which set it is.
    """
    train, test = (_first(part, root) for part in load_cifar10(root))
    return train, test


def _first(part: ImageDataset, root: Path) -> ImageDataset:
    """So many of each class as `_SMALL` says; fewer would be another set."""
    count = _SMALL[part.split]
    rows = [np.flatnonzero(part.labels == label)[:count] for label in range(part.classes)]
    for name, found in zip(part.class_names, rows, strict=True):
        if len(found) < count:
            raise DataNotFound(
                f"cifar10-small: {root} holds {len(found)} {part.split} images of class {name}; "
                f"{count} are needed. Put the whole of CIFAR-10 there"
            )
    taken = np.concatenate(rows)
    pixels = (part.batch(taken)[0].numpy() * 255).round().astype(np.uint8)
    labels = part.labels[taken]
    return ImageDataset("cifar10-small", part.split, pixels, labels, part.class_names)


def _sources(kind: _Cifar, place: Path) -> Iterator[Path]:
    """What in a folder holds the set, the lossless first."""
    if not place.is_dir():
        return
    for folder in (place / kind.binary, place):
        if folder.is_dir() and any(map(kind.batch.search, Folder(folder).matching("*.bin"))):
            yield folder
    shown = (path for path in sorted(place.iterdir()) if not hidden(path.name))
    archives = [p for p in shown if p.is_file() and kind.archive.search(p.name.lower())]
    yield from (p for p in archives if "binary" in p.name)
    for folder in (place / kind.pickled, place):
        if any((folder / name).is_file() for name in kind.pickles):
            yield folder
    yield from (p for p in archives if "python" in p.name)
    if any((place / "train" / name).is_dir() for name in kind.classes):
        yield place
    yield from (p for p in archives if not {"binary", "python"} & set(re.split(r"[-_.]", p.name)))


def _made(kind: _Cifar, source: Path) -> Made:
    rows: dict[str, list[Row]] = {"train": [], "test": []}
    lossy = False
    for name, data in files_of(source, kind.patterns):
        where, file = f"{source}!{name}", PurePosixPath(name)
        if batch := kind.batch.search(name):
            rows["test" if batch[1].startswith("test") else "train"] += _batch(kind, data, where)
        elif file.name in kind.pickles and file.parent.name in ("", kind.pickled):
            known = kind.pickles[file.name]
            rows[known.split] += _pickle(kind, unpickled(data, known.md5, where), where)
        elif picture := _PICTURE.search(name):
            lossy |= picture[4].lower() != "png"
            label = class_of(picture[3], kind.classes, where)
            rows[picture[2].lower()].append((label, decoded(data, where)))
    if not any(rows.values()):
        name = kind.name.upper().replace("CIFAR", "CIFAR-")
        raise CorruptData(f"{source}: holds no {name} batch or image")
    return Made(rows, lossy)


def _batch(kind: _Cifar, data: bytes, name: str) -> list[Row]:
    """Decode a binary batch: records of one label byte or two, and 3 x 32 x 32 pixels."""
    record = kind.labels + _PIXELS
    whole, rest = divmod(len(data), record)
    if rest or not whole:
        raise CorruptData(
            f"{name}: {len(data)} bytes are not records of {record}; record {whole} (byte "
            f"{whole * record}) is cut short"
        )
    table = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
    labels = table[:, kind.labels - 1]
    bad = np.flatnonzero(labels >= len(kind.classes))
    if bad.size:
        raise CorruptData(
            f"{name}: record {bad[0]} (byte {bad[0] * record}) has label {labels[bad[0]]}; "
            f"0..{len(kind.classes) - 1} is allowed"
        )
    return [(int(row[kind.labels - 1]), row[kind.labels :].reshape(3, 32, 32)) for row in table]


def _pickle(kind: _Cifar, values: Mapping[str, object], name: str) -> list[Row]:
    """The rows of one unpickled batch."""
    pixels, labels = np.asarray(values.get("data")), np.asarray(values.get(kind.field))
    if pixels.dtype != np.uint8 or pixels.shape != (labels.size, _PIXELS) or labels.ndim != 1:
        raise CorruptData(
            f"{name}: {labels.shape} {kind.field} do not match data of {pixels.shape}; rows of "
            f"{_PIXELS} bytes and as many labels are needed"
        )
    return [(int(k), row.reshape(3, 32, 32)) for k, row in zip(labels, pixels, strict=True)]
