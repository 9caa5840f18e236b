"""Static images, stored as the whole numbers that they were."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from snnbd_core import checks
from snnbd_core.data.samples import Rows, StoredSet, digest_of

__all__ = ["ImageDataset"]


class ImageDataset(StoredSet):
    """Static images, from an array of whole numbers::

        pixels = np.load("pictures.npy")             # uint8 [N, 3, 32, 32]
        train = sb.data.ImageDataset("mine", "train", pixels, labels, ("cat", "dog"))
        image, label = train[0]                      # float32 [3, 32, 32] in 0..1

    Attributes:
        name, split, labels, classes, class_names: as in ``FrameDataset``.
        input_shape: (C, H, W).
        kind, spaces: "image".
        fingerprint: sha256 of all pixels and labels.
    """

    kind = "image"
    spaces = ("image",)

    def __init__(
        self,
        name: str,
        split: str,
        images: npt.NDArray[Any],
        labels: npt.ArrayLike,
        class_names: Sequence[str],
        white: int = 255,
    ) -> None:
        """Take images [N, C, H, W] of whole numbers 0..``white``.

        Raises:
            ValueError: images of another shape or type, or with values outside 0..white.
            CorruptData: labels that do not match.
        """
        self._white = checks.whole("white", white, 1)
        self._images = images = _checked_images(images, self._white)
        self.name, self.split = name, split
        self._label(labels, class_names, f"{name} {split}", len(images))
        self.input_shape = images.shape[1:]
        self.fingerprint = digest_of(
            name=name,
            split=split,
            shape=images.shape,
            images=hashlib.sha256(images.tobytes()).hexdigest(),
            labels=self.labels.tolist(),
            white=self._white,
        )

    def _read(self, rows: Rows) -> npt.NDArray[np.float32]:
        return self._images[rows].astype(np.float32) / np.float32(self._white)

    def __repr__(self) -> str:
        return (
            f"ImageDataset({self.name!r}, {self.split}: {len(self)} images, "
            f"{self.classes} classes, {self.input_shape})"
        )


def _checked_images(images: Any, white: int) -> npt.NDArray[Any]:
    """The images as an array [N, C, H, W] of unsigned whole numbers up to `white`."""
    images = np.asarray(images)
    if images.dtype.kind not in "iu":
        raise ValueError(
            f"images are of type {images.dtype}; whole numbers 0..{white} are allowed (sb.data."
            "as_set takes floats in 0..1)"
        )
    if images.ndim != 4 or (images.shape[3] in (1, 3, 4) and images.shape[1] > 4):
        raise ValueError(f"images have the shape {images.shape}; [N, C, H, W] is allowed")
    low, high = images.min(initial=0), images.max(initial=0)
    if low < 0 or high > white:
        raise ValueError(f"images lie in {low}..{high}; 0..{white} is allowed (white={white})")
    return images.astype(np.min_scalar_type(white), copy=False)
