"""CIFAR-10, read from its binary version or from image files."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from snnbd_core.data import cache
from snnbd_core.data.errors import CorruptData, missing
from snnbd_core.data.event_sets import CIFAR10_CLASSES, class_of
from snnbd_core.data.images import ImageDataset
from snnbd_core.data.stores import File, Folder, digests, hidden

__all__ = ["load_cifar10"]

_log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]
Row = tuple[int, Pixels]

_ARCHIVE = re.compile(r"cifar[-_]?10(?![0-9])(?!.*(dvs|python)).*\.(tar|tgz|tar\.[gx]z)$")
_BATCH = re.compile(r"(data_batch_\d|test_batch)\.bin$")
_PICTURE = re.compile(r"(^|/)(train|test)/([^/]+)/[^/]+\.(jpe?g|png)$", re.IGNORECASE)
_RECORD = 1 + 3 * 32 * 32
_PATTERNS = ("*.bin", "train/*/*.*", "test/*/*.*")


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
    raise missing(
        "cifar10",
        root,
        "cifar-10-binary.tar.gz nor train/<class>/*.jpg nor an archive of such images (the Python "
        "version, made of pickles, is not opened)",
        "Pass download=True (162 MB)",
    )


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
