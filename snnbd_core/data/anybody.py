"""Anybody's data: torch sets, lists of (sample, label), tonic sets, as a set of this library."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset, Subset, TensorDataset

from snnbd_core import checks
from snnbd_core.data.conversion import as_float
from snnbd_core.data.events import Events
from snnbd_core.data.samples import (
    Indices,
    SampleSet,
    check_labels,
    checked_indices,
    named_classes,
    whole_label,
)

__all__ = ["Batched", "Items", "Recorded", "as_set"]

_AT_ONCE = 256


@runtime_checkable
class Items(Protocol):
    """A map-style set: (sample, label) by number. torch's, tonic's, and lists are such."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@runtime_checkable
class Batched(Protocol):
    """A set written by hand with this library's protocol: labels, and samples in batches."""

    labels: Any

    def __len__(self) -> int: ...

    def batch(self, indices: Any, /) -> Any: ...


@runtime_checkable
class Recorded(Protocol):
    """A set that has its raw recordings, so that a trigger may change events."""

    def events(self, index: int, /) -> Any: ...

    def bin(self, events: Any, /) -> Any: ...


@runtime_checkable
class Targeted(Protocol):
    """A set that tells its labels beside its samples, as torchvision's and tonic's do."""

    targets: Any


Rows = npt.NDArray[np.int64]
Samples = npt.NDArray[np.float32]
Shape = tuple[int, ...] | None


def as_set(data: Any, *, classes: int | Sequence[str] | None = None) -> SampleSet:
    """Take anybody's data set as one of this library's, without copying it.

    Taken are this library's own sets (given back as they are), objects with their protocol
    (``labels``, ``batch(indices)``, ``len``), torch data sets (``Subset``, ``ConcatDataset``,
    ``TensorDataset``, random splits), image folders, tonic sets with a transform to frames, and
    lists of (sample, label)::

        train = sb.data.as_set([(frames, 3), ...])   # frames [T, 2, H, W] of any number type
        train = sb.data.as_set(torchvision.datasets.ImageFolder("pictures", to_tensor))

    Samples with four axes are frames [T, C, H, W], kept as counts. Samples with three are images
    [C, H, W], with two [1, H, W]: PIL images and ``uint8`` are 0..255 and divided by 255, ``bool``
    is 0 or 1, floats must lie in 0..1 (a network's own first layer is the place to normalise).
    All become float32 when they are asked for. Labels are whole numbers of Python, NumPy or 0-d
    tensors. Where they are not known without the samples, the set is read once.

    Args:
        data: the set; its samples must have one shape.
        classes: their number or names; what the set says when None, else the largest label + 1.

    Raises:
        ValueError: for a ``DataLoader`` (pass its ``.dataset``), what has no length or order,
            and naming the first sample that does not fit, and why.
    """
    if isinstance(data, SampleSet):
        if classes is not None and len(named_classes(classes, ())) != data.classes:
            raise ValueError(f"classes={classes!r}: the set has {data.classes}")
        return data
    if isinstance(data, DataLoader):
        raise ValueError("data is a DataLoader, which hands out batches: pass its .dataset")
    if isinstance(data, Batched):
        source: _Source = _Batches(data)
    elif isinstance(data, Items) and not isinstance(data, Mapping | str | IterableDataset):
        source = _Items(data)
    else:
        raise ValueError(
            f"data is a {type(data).__name__}: allowed are torch data sets with a length, lists of "
            "(sample, label), tonic sets, and this library's own"
        )
    if not len(data):
        raise ValueError("data is empty: at least one sample is needed")
    return AdoptedSet(source, classes)


class AdoptedSet(SampleSet):
    """Somebody else's set; made by ``as_set``.

    Attributes:
        labels, classes, input_shape, kind, spaces: as in ``SampleSet``.
        class_names: their names, or their numbers.
        frames: T, of frames.
        sensor_size: (W, H, C) in pixels.
    """

    def __init__(self, source: _Source, classes: int | Sequence[str] | None) -> None:
        self._source, self._digest = source, ""
        self._rows = np.arange(len(source.data))
        self._shape = source.take(self._rows[:1])[0].shape[1:]
        *steps, channels, height, width = self._shape
        self.kind = "frames" if steps else "image"
        self.spaces = (self.kind,)
        if steps:
            self.frames = steps[0]
            self.spaces += ("events",) if isinstance(source.data, Recorded) else ()
        self.input_shape = (channels, height, width)
        self.sensor_size = (width, height, channels)
        labels = source.labels(self._shape)
        known = _known_classes(source.data) if classes is None else classes
        self.class_names = named_classes(known, labels)
        self.classes = len(self.class_names)
        self.labels = check_labels(labels, len(self._rows), self.classes, "data")

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of all samples as float32 and their labels; reads them the first time."""
        if not self._digest:
            digest = hashlib.sha256(f"{self._shape} {self.classes}".encode())
            for start in range(0, len(self), _AT_ONCE):
                samples, _ = self.batch(range(start, min(start + _AT_ONCE, len(self))))
                digest.update(samples.numpy().tobytes())
            digest.update(self.labels.tobytes())
            self._digest = digest.hexdigest()
        return self._digest

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Give samples, float32 [B, T, C, H, W] or [B, C, H, W], and labels, int64 [B]."""
        chosen = checked_indices(indices, len(self))
        labels = self.labels[chosen]
        if not len(chosen):
            return torch.empty(0, *self._shape), torch.from_numpy(labels)
        rows = self._rows[chosen]
        samples, found = self._source.take(rows, self._shape)
        for row, now, before in zip(rows, found, labels, strict=True):
            if now != before:
                raise ValueError(f"sample {row} has label {now} now, and had {before} before")
        return torch.from_numpy(samples), torch.from_numpy(labels)

    def subset(self, indices: Indices) -> Self:
        """Give a set of these samples, in this order; nothing is copied but the labels."""
        chosen = checked_indices(indices, len(self))
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__, _digest="")
        part._rows, part.labels = self._rows[chosen], self.labels[chosen]
        return part

    def events(self, index: int) -> Events:
        """Give the raw recording; ValueError where the set has none."""
        (chosen,) = checked_indices([index], len(self))
        recording: Events = self._recorded().events(int(self._rows[chosen]))
        return recording

    def bin(self, events: Events) -> Tensor:
        """Cut a recording to frames, float32 [T, C, H, W], as the set does."""
        return torch.from_numpy(as_float(self._recorded().bin(events), "the binned recording"))

    def _recorded(self) -> Recorded:
        if not isinstance(self._source.data, Recorded):
            raise ValueError("data has no raw recordings: see sb.data.from_events")
        return self._source.data

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self._shape))
        what = f"{len(self)} samples, {self.classes} classes, {self.kind} {shape}"
        return f"AdoptedSet({type(self._source.data).__name__}: {what})"


@dataclass(frozen=True)
class _Items:
    """Samples that come one by one."""

    data: Items

    def take(self, rows: Rows, shape: Shape = None) -> tuple[Samples, list[int]]:
        """The samples, all of one shape (the first one's for None), and their labels."""
        samples, labels = [], []
        for row in rows.tolist():
            sample, label = _pair(self.data[row], row)
            samples.append(as_float(sample, f"sample {row}"))
            labels.append(whole_label(label, f"sample {row}"))
            _check_shape(samples[-1].shape, shape or samples[0].shape, row)
        return np.stack(samples), labels

    def labels(self, shape: Shape) -> Any:
        known = _known_labels(self.data)
        if known is not None:
            return known
        return [self.take(np.array([row]), shape)[1][0] for row in range(len(self.data))]


@dataclass(frozen=True)
class _Batches:
    """Samples that come many at once."""

    data: Batched

    def take(self, rows: Rows, shape: Shape = None) -> tuple[Samples, list[int]]:
        """The samples and their labels."""
        given, labels = self.data.batch(rows)
        samples = as_float(given, f"the batch of sample {rows[0]}", batch=True)
        _check_shape(samples.shape[1:], shape or samples.shape[1:], rows[0])
        if len(samples) != len(rows) or len(labels) != len(rows):
            raise ValueError(
                f"data.batch gives {len(samples)} samples and {len(labels)} labels for "
                f"{len(rows)} indices"
            )
        found = [whole_label(one, f"sample {row}") for one, row in zip(labels, rows, strict=True)]
        return samples, found

    def labels(self, shape: Shape) -> Any:
        return _as_row(self.data.labels)


_Source = _Items | _Batches


def _pair(item: Any, row: int) -> tuple[Any, Any]:
    """Sample and label."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        many = f" of {len(item)}" if isinstance(item, tuple | list) else ""
        raise ValueError(
            f"sample {row} is a {type(item).__name__}{many}: a pair (sample, label) is needed"
        )
    return item[0], item[1]


def _check_shape(found: tuple[int, ...], shape: tuple[int, ...], row: int) -> None:
    if found != shape:
        raise ValueError(
            f"sample {row} has the shape {found}, the first one {shape}: all must have one shape "
            "(crop or resize images; cut recordings to a fixed number of frames)"
        )


def _known_labels(data: Any) -> npt.NDArray[Any] | None:
    """The labels where a set that is known to tell them right does; None: read the samples."""
    if type(data) is Subset:
        whole = _known_labels(data.dataset)
        return None if whole is None else whole[np.asarray(data.indices, dtype=np.int64)]
    if type(data) is ConcatDataset:
        parts = [_known_labels(part) for part in data.datasets]
        known = [part for part in parts if part is not None]
        return np.concatenate(known) if len(known) == len(parts) else None
    if type(data) is TensorDataset and len(data.tensors) == 2:
        return _as_row(data.tensors[1])
    # Somebody's subclass may relabel in __getitem__ (a poisoned set does), so only these.
    library = type(data).__module__.partition(".")[0] in ("torchvision", "tonic")
    plain = library and getattr(data, "target_transform", None) is None
    return _as_row(data.targets) if plain and isinstance(data, Targeted) else None


def _known_classes(data: Any) -> int | Sequence[str] | None:
    """What a set says of its classes: their number, or their names."""
    if isinstance(data, Subset):
        return _known_classes(data.dataset)
    if isinstance(data, ConcatDataset):
        found = [_known_classes(part) for part in data.datasets]
        return found[0] if all(one == found[0] for one in found) else None
    said = getattr(data, "classes", None)
    if isinstance(said, Mapping | Sequence | np.ndarray) and not isinstance(said, str):
        return [str(name) for name in said] or None
    return None if said is None else checks.whole("data.classes", said, 1)


def _as_row(labels: Any) -> npt.NDArray[Any]:
    return np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
