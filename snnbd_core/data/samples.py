"""What every data set of this library is: labelled samples that are handed out in batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from snnbd_core import checks
from snnbd_core.data.errors import CorruptData

__all__ = [
    "Indices",
    "Kind",
    "Rows",
    "SampleSet",
    "StoredSet",
    "check_labels",
    "checked_indices",
    "digest_of",
    "frames_of",
    "named_classes",
    "stratified",
    "whole_label",
]

Kind = Literal["frames", "image"]
Rows = npt.NDArray[np.int64]
Indices = Sequence[int] | npt.NDArray[Any] | Tensor

_MOST_CLASSES = 100_000
_SPLIT_SEED = 2015  # one for ever: experiments with different seeds share their test samples


class SampleSet(Dataset[tuple[Tensor, int]]):
    """A map-style torch data set whose samples are frames [T, C, H, W] or images [C, H, W].

    Attributes:
        labels: int64 [N].
        classes: how many classes there are.
        input_shape: (C, H, W).
        kind: "frames" or "image".
        spaces: in which spaces a trigger may change it: "image", or "frames" and, where the raw
            recordings are at hand, "events".
        fingerprint: sha256 of samples and labels.
    """

    labels: Rows
    classes: int
    input_shape: tuple[int, int, int]
    kind: Kind
    spaces: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Give one sample, float32, and its label."""
        samples, labels = self.batch([index])
        return samples[0], int(labels[0])

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Give samples, float32 [B, ...], and labels, int64 [B]; the caller may change both."""
        raise NotImplementedError  # each kind of set has its own

    def subset(self, indices: Indices) -> SampleSet:
        """Give a set of these samples, in this order."""
        raise NotImplementedError  # each kind of set has its own


class StoredSet(SampleSet):
    """Samples that lie in one place; a set is a choice of their rows. Its classes have names.

    ``whole`` is how many samples both parts of a published set have in the layout that this one
    was read from; None where a set was not published.
    """

    whole: int | None = None
    fingerprint: str
    class_names: tuple[str, ...]
    _rows: Rows

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        chosen = checked_indices(indices, len(self))
        samples, labels = self._read(self._rows[chosen]), self.labels[chosen]
        return torch.from_numpy(samples), torch.from_numpy(labels)

    def subset(self, indices: Indices) -> Self:
        """Give a set of these samples, in this order; nothing is copied but the labels."""
        chosen = checked_indices(indices, len(self))
        part = self._chosen(chosen)
        part.fingerprint = digest_of(of=self.fingerprint, indices=chosen.tolist())
        return part

    def _chosen(self, chosen: Rows) -> Self:
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        part._rows, part.labels = self._rows[chosen], self.labels[chosen]
        return part

    def _read(self, rows: Rows) -> npt.NDArray[np.float32]:
        """The samples in some rows, a copy."""
        raise NotImplementedError  # each kind of set has its own

    def _label(self, labels: Any, class_names: Sequence[str], name: str, count: int) -> None:
        """Takes the labels and classes of `count` samples, all of which are chosen."""
        self.class_names, self.classes = tuple(class_names), len(class_names)
        self.labels = check_labels(labels, count, self.classes, name)
        self._rows = np.arange(count)


def frames_of(data: SampleSet) -> int | None:
    """T of a set's frames, by its first sample; None of static images."""
    return None if data.kind == "image" else int(data.batch([0])[0].shape[1])


def checked_indices(indices: Indices, count: int) -> Rows:
    """Indices as int64 [B], negative ones counted from the end.

    IndexError where they are outside the set, so that iterating over a set ends.
    """
    chosen = np.asarray(indices)
    if chosen.size == 0:
        return np.empty(0, dtype=np.int64)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise ValueError(f"indices={indices!r} must be a flat row of whole numbers")
    outside = chosen[(chosen < -count) | (chosen >= count)]
    if len(outside):
        raise IndexError(f"index {outside[0]} is outside a data set of {count} samples")
    return np.where(chosen < 0, chosen + count, chosen).astype(np.int64)


def whole_label(label: Any, where: str) -> int:
    """A label as an int: any whole number of Python, NumPy or a 0-d tensor; 3.0 is 3."""
    given = checks.plain(label)
    if isinstance(given, bool) or not isinstance(given, Real) or float(given) % 1 != 0:
        raise CorruptData(f"{where} has label {label!r}; a whole number from 0 on is allowed")
    return int(float(given))


def check_labels(labels: Any, count: int, classes: int, name: str) -> Rows:
    """Labels as int64 [count], each of 0..classes - 1; CorruptData names the first that is not."""
    row = np.asarray(labels)
    if row.shape != (count,):
        raise CorruptData(f"{name}: {row.size} labels do not match {count} samples")
    if row.dtype.kind not in "iu":
        row = np.array([whole_label(one, f"{name}: sample {i}") for i, one in enumerate(row)])
    bad = np.flatnonzero((row < 0) | (row >= classes))
    if bad.size:
        raise CorruptData(
            f"{name}: sample {bad[0]} has label {row[bad[0]]}; 0..{classes - 1} is allowed"
        )
    return row.astype(np.int64)


def named_classes(classes: int | Sequence[str] | None, labels: Any) -> tuple[str, ...]:
    """The classes' names: those given, or numbers; as many as the labels need for None.

    CorruptData for a label so large that it is no class, such as a time stamp.
    """
    if isinstance(classes, Sequence | np.ndarray) and not isinstance(classes, str):
        return tuple(map(str, classes))
    if classes is None:
        classes = int(np.max(labels, initial=0)) + 1
        if classes > _MOST_CLASSES:
            raise CorruptData(
                f"sample {int(np.argmax(labels))} has label {classes - 1}: the largest label + 1 "
                f"is the number of classes, and at most {_MOST_CLASSES} are allowed; number them "
                "from 0 on"
            )
    return tuple(str(number) for number in range(checks.whole("classes", classes, 1)))


def stratified(labels: Rows, test_share: float) -> tuple[Rows, Rows]:
    """The fixed split of a set that comes without one: the same share of each class, rounded.

    Gives the rows for training and for testing, each sorted.
    """
    draw = np.random.default_rng(_SPLIT_SEED)
    in_test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = draw.permutation(np.flatnonzero(labels == label))
        in_test[rows[: round(test_share * len(rows))]] = True
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def digest_of(**facts: Any) -> str:
    """sha256 (hex) of JSON values."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
