"""MNIST from its IDX files."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snnbd_core.data.datasets import ImageDataset
from snnbd_core.data.errors import CorruptData, DataNotFound, missing
from snnbd_core.data.stores import reading
from snnbd_core.data.telling import tell

__all__ = ["load_mnist", "read_idx"]

Pixels = npt.NDArray[np.uint8]

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
    place) or in ``MNIST``. Files with fewer images are used as they are; others must be the
    originals.
    """
    for folder in (root, root / "MNIST" / "raw", root / "MNIST"):
        if _idx_path(folder, "train-images-idx3-ubyte") is not None:
            train, test = _mnist_part(folder, "train", "train"), _mnist_part(folder, "test", "t10k")
            tell(train, test, folder)
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
    with reading(path):
        data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise CorruptData(f"{path}: cannot be unpacked ({error})") from error
    array, digest = read_idx(data, str(path)), hashlib.sha256(data).hexdigest()
    count = _COUNTS[stem.partition("-")[0]]
    if len(array) > count:
        raise CorruptData(
            f"{path}: holds {len(array)} samples, MNIST {count}; EMNIST and others use the same "
            "names"
        )
    if len(array) == count and digest != _ORIGINALS[stem]:
        raise CorruptData(
            f"{path}: has the size of MNIST's original but not its contents (sha256 {digest}); "
            "Fashion-MNIST and others use the same names"
        )
    return array
