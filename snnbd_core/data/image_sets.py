"""The image sets that come as files: MNIST from its IDX files, CIFAR-10 from binary or pictures."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import lzma
import math
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from snnbd_core.data import cache
from snnbd_core.data.datasets import ImageDataset
from snnbd_core.data.errors import CorruptData, DataNotFound, missing
from snnbd_core.data.event_sets import CIFAR10_CLASSES, class_of
from snnbd_core.data.stores import File, Folder, digests, hidden

__all__ = ["load_cifar10", "load_mnist", "read_idx"]

_log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]
Row = tuple[int, Pixels]

_ARCHIVE = re.compile(r"cifar[-_]?10(?![0-9])(?!.*(dvs|python)).*\.(tar|tgz|tar\.[gx]z)$")
_BATCH = re.compile(r"(data_batch_\d|test_batch)\.bin$")
_PICTURE = re.compile(r"(^|/)(train|test)/([^/]+)/[^/]+\.(jpe?g|png)$", re.IGNORECASE)
_RECORD = 1 + 3 * 32 * 32
_PATTERNS = ("*.bin", "train/*/*.*", "test/*/*.*")

DIGITS = tuple("0123456789")

# sha256 of the unpacked originals: other sets (Fashion-MNIST) have files of the same names.
_ORIGINALS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_COUNTS = {"train": 60_000, "t10k": 10_000}


def load_mnist(root: Path) -> tuple[ImageDataset, ImageDataset]:
    """MNIST (LeCun et al. 1998): 28x28 grey, 60,000 + 10,000.

    Layout: the four IDX files, packed (.gz) or not, in the folder, in ``MNIST/raw`` (torchvision's
    place) or in ``MNIST``. Files with fewer images are used as they are; files of full size must
    be the originals.
    """
    for folder in (root, root / "MNIST" / "raw", root / "MNIST"):
        if _idx_path(folder, "train-images-idx3-ubyte") is not None:
            train, test = _mnist_part(folder, "train", "train"), _mnist_part(folder, "test", "t10k")
            _log.info(
                "mnist: %d + %d images in %s, of 60000 + 10000", *map(len, (train, test)), folder
            )
            return train, test
    looked_for = "train-images-idx3-ubyte.gz and its companions, nor MNIST/raw or MNIST with them"
    raise missing("mnist", root, f"{looked_for}. Pass download=True (12 MB)")


def read_idx(data: bytes, name: str) -> Pixels:
    """Decode an IDX file of unsigned bytes: two zeros, 8, how many axes, the sides, the bytes."""
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise CorruptData(f"{name}: byte 0 does not start an IDX file of unsigned bytes")
    start = 4 + 4 * data[3]
    sides = [int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)]
    needed = start + math.prod(sides)
    if len(data) != needed:
        wrong = "missing" if len(data) < needed else "too many"
        raise CorruptData(
            f"{name}: sides {sides} need {needed} bytes, there are {len(data)}; byte "
            f"{min(len(data), needed)} is the first {wrong}"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(sides)


def _mnist_part(folder: Path, split: str, prefix: str) -> ImageDataset:
    images, labels = (
        _idx(folder, f"{prefix}-images-idx3-ubyte"),
        _idx(folder, f"{prefix}-labels-idx1-ubyte"),
    )
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise CorruptData(
            f"{folder}/{prefix}-labels-idx1-ubyte: {labels.shape} labels do not match "
            f"{images.shape} images"
        )
    return ImageDataset("mnist", split, images[:, None], labels, DIGITS)


def _idx_path(folder: Path, stem: str) -> Path | None:
    return next((p for p in (folder / f"{stem}.gz", folder / stem) if p.is_file()), None)


def _idx(folder: Path, stem: str) -> Pixels:
    path = _idx_path(folder, stem)
    if path is None:
        raise DataNotFound(f"mnist: {folder} holds a part of the set, but not {stem}.gz")
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise CorruptData(f"{path}: cannot be unpacked ({error})") from error
    array, digest = read_idx(data, str(path)), hashlib.sha256(data).hexdigest()
    if len(array) == _COUNTS[stem.partition("-")[0]] and digest != _ORIGINALS[stem]:
        raise CorruptData(
            f"{path}: has the size of MNIST's original but not its contents (sha256 {digest}); "
            "Fashion-MNIST and others use the same names"
        )
    return array


def load_cifar10(root: Path) -> tuple[ImageDataset, ImageDataset]:
    """CIFAR-10 (Krizhevsky 2009): 32x32 RGB, 50,000 + 10,000, ten classes.

    Layout: the binary version (``cifar-10-batches-bin/*.bin`` or ``cifar-10-binary.tar.gz``), or
    image files ``train/<class>/*.jpg`` (or .png) and the same under ``test``, in the folder, in
    ``CIFAR10`` or in a tar archive with ``cifar10`` in its name. JPEG is slightly lossy; the log
    says so. The Python version is made of pickles, which can run code, and is never opened.
    """
    for place in (root, root / "CIFAR10", root / "cifar10"):
        for source in _sources(place):
            train, test = _parts(source)
            counts = len(train), len(test)
            _log.info("cifar10: %d + %d images in %s, of 50000 + 10000", *counts, source)
            return train, test
    looked_for = "cifar-10-binary.tar.gz nor train/<class>/*.jpg nor an archive of such images"
    never = "(the Python version, made of pickles, is not opened)"
    raise missing("cifar10", root, f"{looked_for} {never}. Pass download=True (162 MB)")


def _sources(place: Path) -> Iterator[Path]:
    """What in a folder holds CIFAR-10, the lossless first."""
    if not place.is_dir():
        return
    for folder in (place / "cifar-10-batches-bin", place):
        if any(_BATCH.search(name) for name in Folder(folder).matching("*.bin")):
            yield folder
    shown = (path for path in sorted(place.iterdir()) if not hidden(path.name))
    archives = [path for path in shown if _ARCHIVE.search(path.name.lower())]
    yield from (p for p in archives if "binary" in p.name)
    if any((place / "train" / name).is_dir() for name in CIFAR10_CLASSES):
        yield place
    yield from (p for p in archives if "binary" not in p.name)


def _parts(source: Path) -> tuple[ImageDataset, ImageDataset]:
    """Both parts, from the cache after the first time (unpacking takes a while)."""
    key = hashlib.sha256("\n".join(digests(_contents(source))).encode()).hexdigest()
    found = [cache.find(f"cifar10-{split}", key) for split in ("train", "test")]
    entries = [entry for entry in found if entry is not None]
    entries = entries if len(entries) == 2 else _store(source, key)
    if entries[0].facts["lossy"]:
        _log.info("cifar10: the images in %s are JPEG, slightly lossy", source)
    train, test = (
        ImageDataset("cifar10", split, entry.open(), entry.facts["labels"], CIFAR10_CLASSES)
        for split, entry in zip(("train", "test"), entries, strict=True)
    )
    return train, test


def _store(source: Path, key: str) -> list[cache.Entry]:
    rows: dict[str, list[Row]] = {"train": [], "test": []}
    lossy = False
    for name, data in _files_of(source):
        where = f"{source}!{name}"
        if batch := _BATCH.search(name):
            rows["test" if batch[1] == "test_batch" else "train"] += _batch(data, where)
        elif picture := _PICTURE.search(name):
            lossy |= picture[4].lower() != "png"
            label = class_of(picture[3], CIFAR10_CLASSES, where)
            rows[picture[2].lower()].append((label, _picture(data, where)))
    if not any(rows.values()):
        raise CorruptData(f"{source}: holds no CIFAR-10 batch or image")

    def stored(split: str) -> cache.Entry:
        def make(facts: cache.Facts) -> Iterator[cache.Array]:
            facts.update(lossy=lossy, labels=[label for label, _ in rows[split]])
            yield from (pixels[None] for _, pixels in rows[split])

        shape = (len(rows[split]), 3, 32, 32)
        return cache.store(f"cifar10-{split}", key, shape, (np.dtype(np.uint8),), make)

    return [stored("train"), stored("test")]


def _files_of(source: Path) -> Iterator[tuple[str, bytes]]:
    """Path and contents of each file of a folder or tar archive, sorted or as packed."""
    if source.is_dir():
        yield from ((file.member, file.read()) for file in _contents(source))
        return
    try:
        with tarfile.open(source) as archive:
            for member in archive:
                name = PurePosixPath(member.name).as_posix()
                if member.isfile() and not hidden(name):
                    yield name, cast(IO[bytes], archive.extractfile(member)).read()
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise CorruptData(f"{source}: cannot be unpacked ({error})") from error


def _contents(source: Path) -> list[File]:
    """The files that a folder's images come from, sorted, or the archive."""
    if not source.is_dir():
        return [File(Folder(source.parent), source.name)]
    folder = Folder(source)
    members = [member for pattern in _PATTERNS for member in folder.matching(pattern)]
    return [File(folder, member) for member in sorted(members, key=PurePosixPath)]


def _batch(data: bytes, name: str) -> list[Row]:
    """Decode a binary batch: records of one label byte and 3 x 32 x 32 pixels."""
    whole, rest = divmod(len(data), _RECORD)
    if rest or not whole:
        raise CorruptData(
            f"{name}: {len(data)} bytes are not records of {_RECORD}; record {whole} (byte "
            f"{whole * _RECORD}) is cut short"
        )
    table = np.frombuffer(data, dtype=np.uint8).reshape(-1, _RECORD)
    bad = np.flatnonzero(table[:, 0] >= len(CIFAR10_CLASSES))
    if bad.size:
        raise CorruptData(
            f"{name}: record {bad[0]} (byte {bad[0] * _RECORD}) has label {table[bad[0], 0]}; "
            f"0..{len(CIFAR10_CLASSES) - 1} is allowed"
        )
    return [(int(row[0]), row[1:].reshape(3, 32, 32)) for row in table]


def _picture(data: bytes, name: str) -> Pixels:
    from PIL import Image  # slow to import

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if image.size != (32, 32):
                raise CorruptData(f"{name}: has {image.size} pixels; (32, 32) is allowed")
            return np.asarray(image.convert("RGB"), dtype=np.uint8).transpose(2, 0, 1)
    except (OSError, SyntaxError) as error:
        raise CorruptData(f"{name}: is no readable image ({error})") from error
