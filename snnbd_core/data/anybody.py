"""Anybody's data: torch sets, lists of (sample, label), tonic sets, as a set of this library."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset

from snnbd_core.data.events import Events
from snnbd_core.data.samples import (
    Indices,
    Rows,
    SampleSet,
    StoredSet,
    checked_indices,
    named_classes,
)
from snnbd_core.data.sources import (
    AT_ONCE,
    Batched,
    Items,
    Recorded,
    all_labels,
    as_float,
    known_classes,
    take,
)

__all__ = ["AdoptedSet", "as_set"]


def as_set(data: object, *, classes: int | Sequence[str] | None = None) -> SampleSet:
    """Take anybody's data set as one of this library's, without copying it.

    Taken are this library's own sets (given back as they are, a ``Subset`` of them as their
    ``subset``), objects with their protocol (``batch(indices)``, ``len``, and ``labels`` where
    they are known), torch data sets (``Subset``, ``ConcatDataset``, ``TensorDataset``, random
    splits), image folders, tonic sets with a transform to frames, and lists of (sample, label)::

        train = sb.data.as_set([(frames, 3), ...])   # frames [T, 2, H, W] of any number type
        train = sb.data.as_set(torchvision.datasets.ImageFolder("pictures", to_tensor))

    Samples with four axes are frames [T, C, H, W] of counts. Samples with three are images
    [C, H, W], with two [1, H, W]: PIL images and ``uint8`` are 0..255 and divided by 255, ``bool``
    is 0 or 1, floats are taken as they are. Triggers in space "image" work on 0..1, so they
    refuse a set whose pixels are normalised otherwise: normalise in the network's first layer. All
    samples become float32 when they are read. Labels are whole numbers of Python,
    NumPy or 0-d tensors. Where they are not known without the samples, the set is read once.

    Args:
        data: the set; its samples must have one shape.
        classes: their number or names; what the set says when None, else the largest label + 1.

    Raises:
        ValueError: for a ``DataLoader`` (pass its ``.dataset``), what has no length or order,
            and naming the first sample that does not fit, and why.
    """
    ours = _ours(data)
    if ours is not None:
        if classes is not None and len(named_classes(classes, ())) != ours.classes:
            raise ValueError(f"classes={classes!r}: the set has {ours.classes}")
        return ours
    if isinstance(data, DataLoader):
        raise ValueError("data is a DataLoader, which hands out batches: pass its .dataset")
    if not isinstance(data, Batched) and (
        not isinstance(data, Items) or isinstance(data, Mapping | str | IterableDataset)
    ):
        raise ValueError(
            f"data is a {type(data).__name__}: allowed are torch data sets with a length, lists of "
            "(sample, label), tonic sets, and this library's own"
        )
    if not len(data):
        raise ValueError("data is empty: at least one sample is needed")
    return AdoptedSet(data, classes)


def _ours(data: Any) -> SampleSet | None:
    """One of this library's own sets, or a part of one by torch's ``Subset``."""
    if isinstance(data, SampleSet):
        return data
    whole = _ours(data.dataset) if type(data) is Subset else None
    return None if whole is None else whole.subset(checked_indices(data.indices, len(whole)))


class AdoptedSet(StoredSet):
    """Somebody else's set; made by ``as_set``.

    Attributes:
        frames: T, of frames.
        sensor_size: (W, H, C) in pixels.
        others: as in ``SampleSet``.
    """

    def __init__(self, data: Items | Batched, classes: int | Sequence[str] | None) -> None:
        self._data, self._digest = data, ""
        self._shape = take(data, np.arange(1))[0].shape[1:]
        *steps, channels, height, width = self._shape
        self.kind = "frames" if steps else "image"
        self.spaces = (self.kind,)
        if steps:
            self.frames = steps[0]
            self.spaces += ("events",) if isinstance(data, Recorded) else ()
        self.input_shape = (channels, height, width)
        self.sensor_size = (width, height, channels)
        labels = all_labels(data, self._shape)
        known = known_classes(data) if classes is None else classes
        self._label(labels, named_classes(known, labels), "data", len(data))
        self._told = self.labels

    @property
    def fingerprint(self) -> str:  # type: ignore[override]  # computed when asked for
        """sha256 (hex) of all samples as float32 and their labels; reads them the first time."""
        if not self._digest:
            digest = hashlib.sha256(f"{self._shape} {self.classes}".encode())
            for start in range(0, len(self), AT_ONCE):
                samples, _ = self.batch(range(len(self))[start : start + AT_ONCE])
                digest.update(samples.numpy().tobytes())
            digest.update(self.labels.tobytes())
            self._digest = digest.hexdigest()
        return self._digest

    def _read(self, rows: Rows) -> npt.NDArray[np.float32]:
        if not len(rows):
            return np.empty((0, *self._shape), np.float32)
        samples, labels = take(self._data, rows, self._shape)
        for row, now, before in zip(rows, labels, self._told[rows], strict=True):
            if now != before:
                raise ValueError(f"sample {row} has label {now} now, and had {before} before")
        return samples

    def subset(self, indices: Indices) -> Self:
        """Give a set of these samples, in this order; nothing is copied but the labels."""
        part = self._chosen(checked_indices(indices, len(self)))
        part._digest = ""
        return part

    def events(self, index: int) -> Events:
        """Give the raw recording; ValueError where the set has none."""
        (row,) = self._rows[checked_indices([index], len(self))]
        recording: Events = self._recorded().events(int(row))
        return recording

    def bin(self, events: Events) -> Tensor:
        """Cut a recording to frames, float32 [T, C, H, W], as the set does."""
        return torch.from_numpy(as_float(self._recorded().bin(events), "the binned recording"))

    def _recorded(self) -> Recorded:
        if not isinstance(self._data, Recorded):
            raise ValueError("data has no raw recordings: see sb.data.from_events")
        return self._data

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self._shape))
        what = f"{len(self)} samples, {self.classes} classes, {self.kind} {shape}"
        return f"AdoptedSet({type(self._data).__name__}: {what})"
