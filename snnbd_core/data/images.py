"""Static images, kept as the whole numbers that they were."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from snnbd_core import checks
from snnbd_core.data.samples import Indices, StoredSet, check_labels, checked_indices, digest_of

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
        white = checks.whole("white", white, 1)
        images = _checked_images(images, white)
        self.name, self.split = name, split
        self.labels = check_labels(labels, len(images), len(class_names), f"{name} {split}")
        self.class_names = tuple(class_names)
        self.classes = len(self.class_names)
        self.input_shape = images.shape[1:]
        self._images, self._white = images, white
        self._rows = np.arange(len(images))
        self.fingerprint = digest_of(
            name=name,
            split=split,
            shape=images.shape,
            images=hashlib.sha256(images.tobytes()).hexdigest(),
            labels=self.labels.tolist(),
            white=white,
        )

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Give float32 [B, C, H, W] in 0..1 and int64 [B] for the samples asked for."""
        chosen = checked_indices(indices, len(self))
        images = self._images[self._rows[chosen]].astype(np.float32) / np.float32(self._white)
        return torch.from_numpy(images), torch.from_numpy(self.labels[chosen])

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
