"""MNIST, read from its IDX files."""

from __future__ import annotations

import gzip
import hashlib
import logging
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snnbd_core.data.errors import CorruptData, DataNotFound
from snnbd_core.data.images import ImageDataset

__all__ = ["load_mnist", "read_idx"]

_log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

CLASS_NAMES = tuple("0123456789")

# sha256 of the unpacked originals: other sets (Fashion-MNIST) have files of the same names.
_MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_MNIST_COUNTS = {"train": 60_000, "t10k": 10_000}


def load_mnist(root: Path) -> tuple[ImageDataset, ImageDataset]:
    """MNIST (LeCun et al. 1998): 28x28 grey, 60,000 + 10,000.

    Layout: the four IDX files, packed (.gz) or not, in the folder, in ``MNIST/raw`` (torchvision's
    place) or in ``MNIST``. Files with fewer images are used as they are; files of full size must
    be the originals.
    """
    folders = [root, root / "MNIST" / "raw", root / "MNIST"]
    folder = next((f for f in folders if _idx_path(f, "train-images-idx3-ubyte")), None)
    if folder is None:
        raise DataNotFound(
            f"mnist: {root} does not hold train-images-idx3-ubyte.gz and its companions (nor do "
            "MNIST/raw and MNIST in it). Pass download=True (12 MB), or pass root=, or set "
            "$SNNBD_DATA, to the folder that holds them"
        )
    train, test = (
        ImageDataset("mnist", split, *_mnist_part(folder, prefix), CLASS_NAMES)
        for split, prefix in (("train", "train"), ("test", "t10k"))
    )
    _log.info("mnist: %d + %d images in %s, of 60000 + 10000", len(train), len(test), folder)
    return train, test


def read_idx(data: bytes, name: str) -> Pixels:
    """Decode an IDX file of unsigned bytes: two zeros, 8, the number of axes, the sides, the bytes.

    Raises:
        CorruptData: naming the file and the first bad byte.
    """
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise CorruptData(f"{name}: byte 0 does not start an IDX file of unsigned bytes")
    start = 4 + 4 * data[3]
    sides = [int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)]
    size = int(np.prod(sides, dtype=object))
    if len(data) != start + size:
        raise CorruptData(
            f"{name}: sides {sides} need {start + size} bytes, there are {len(data)}; byte "
            f"{min(len(data), start + size)} is the first {'missing' * (len(data) < start + size)}"
            f"{'too many' * (len(data) > start + size)}"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(sides)


def _idx_path(folder: Path, stem: str) -> Path | None:
    return next((p for p in (folder / f"{stem}.gz", folder / stem) if p.is_file()), None)


def _mnist_part(folder: Path, prefix: str) -> tuple[Pixels, Pixels]:
    images = _mnist_file(folder, f"{prefix}-images-idx3-ubyte", prefix)
    labels = _mnist_file(folder, f"{prefix}-labels-idx1-ubyte", prefix)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise CorruptData(
            f"{folder}/{prefix}-labels-idx1-ubyte: {labels.shape} labels do not match "
            f"{images.shape} images"
        )
    return images[:, None], labels


def _mnist_file(folder: Path, stem: str, prefix: str) -> Pixels:
    path = _idx_path(folder, stem)
    if path is None:
        raise DataNotFound(f"mnist: {folder} holds a part of the set, but not {stem}.gz")
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise CorruptData(f"{path}: cannot be unpacked ({error})") from error
    array = read_idx(data, str(path))
    digest = hashlib.sha256(data).hexdigest()
    if len(array) == _MNIST_COUNTS[prefix] and digest != _MNIST_SHA256[stem]:
        raise CorruptData(
            f"{path}: has the size of MNIST's original but not its contents (sha256 {digest}); "
            "Fashion-MNIST and others use the same names"
        )
    return array
