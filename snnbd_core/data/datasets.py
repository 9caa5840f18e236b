"""The two kinds of data set: recordings as frames of counts, and static images.

Both are map-style torch data sets; ``batch`` is the fast path, since the numbers stay small
integers on disk and become float32 a batch at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from snnbd_core.data import cache
from snnbd_core.data.binning import Binning, bin_events, check_binning
from snnbd_core.data.errors import CorruptData
from snnbd_core.data.events import Events, SensorSize
from snnbd_core.data.recordings import Recordings

Labels = npt.NDArray[np.int64]
Indices = Sequence[int] | npt.NDArray[Any] | Tensor

_BINNED_AT_ONCE = 256


class FrameDataset(Dataset[tuple[Tensor, int]]):
    """Recordings of an event camera, cut to T frames of integer counts.

    Attributes:
        name: the data set's name, as given to ``load``.
        split: "train" or "test".
        labels: int64 [N].
        classes: how many classes there are.
        class_names: their names.
        frames: T.
        sensor_size: (W, H, 2) in pixels, as in tonic.
        input_shape: (2, H, W); channel 0 counts OFF, channel 1 ON events.
        binning: the rule, "number" or "time" (see ``binning.bin_events``).
        fingerprint: sha256 of all events, labels and settings; independent of where they lie.
    """

    def __init__(
        self,
        name: str,
        split: str,
        recordings: Recordings,
        labels: npt.ArrayLike,
        class_names: Sequence[str],
        frames: int = 16,
        binning: Binning = "number",
    ) -> None:
        """Bin all recordings, or find them binned in the cache.

        Raises:
            ValueError: a bad setting, or a recording with fewer events than frames (named).
            CorruptData: a recording that is not sound, or labels that do not match.
        """
        check_binning(frames, binning)
        self.name, self.split = name, split
        self.labels = _check_labels(labels, len(recordings), len(class_names), f"{name} {split}")
        self.class_names = tuple(class_names)
        self.classes = len(self.class_names)
        self.frames, self.binning = frames, binning
        self.sensor_size: SensorSize = recordings.sensor_size
        width, height, _ = self.sensor_size
        self.input_shape = (2, height, width)
        self._recordings = recordings
        self._entry = _binned(f"{name}-{split}", recordings, frames, binning)
        self._array: cache.Array | None = None
        self._rows = np.arange(len(recordings))
        self.fingerprint = _fingerprint(
            name=name,
            split=split,
            events=self._entry.facts["events_sha256"],
            labels=self.labels.tolist(),
            frames=frames,
            binning=binning,
            sensor_size=self.sensor_size,
        )

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Give frames, float32 [T, 2, H, W], and label."""
        frames, labels = self.batch([index])
        return frames[0], int(labels[0])

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Give float32 [B, T, 2, H, W] and int64 [B] for the samples asked for."""
        chosen = _check_indices(indices, len(self))
        counts = self._counts()[self._rows[chosen]]
        frames = torch.from_numpy(counts.astype(np.float32))
        return frames, torch.from_numpy(self.labels[chosen])

    def events(self, index: int) -> Events:
        """Give the raw recording, a fresh structured array of ``EVENT_DTYPE``."""
        (chosen,) = _check_indices([index], len(self))
        return self._recordings.read(int(self._rows[chosen]))

    def bin(self, events: Events) -> Tensor:
        """Cut a recording to frames, float32 [T, 2, H, W], by the rule of this data set."""
        counts = bin_events(events, self.frames, self.sensor_size, self.binning)
        return torch.from_numpy(counts.astype(np.float32))

    def subset(self, indices: Indices) -> FrameDataset:
        """Give a data set of these samples, in this order; nothing is copied but the labels."""
        return _subset(self, _check_indices(indices, len(self)))

    def _counts(self) -> cache.Array:
        if self._array is None:
            self._array = self._entry.open()
        return self._array

    def __getstate__(self) -> dict[str, Any]:
        # A memory map would be pickled as all its contents; a worker opens its own.
        return {**self.__dict__, "_array": None}

    def __repr__(self) -> str:
        shape = (self.frames, *self.input_shape)
        return (
            f"FrameDataset({self.name!r}, {self.split}: {len(self)} recordings, "
            f"{self.classes} classes, frames {shape} by {self.binning})"
        )


class ImageDataset(Dataset[tuple[Tensor, int]]):
    """Static images.

    Attributes:
        name, split, labels, classes, class_names: as in ``FrameDataset``.
        input_shape: (C, H, W).
        fingerprint: sha256 of all pixels and labels.
    """

    def __init__(
        self,
        name: str,
        split: str,
        images: npt.NDArray[np.uint8],
        labels: npt.ArrayLike,
        class_names: Sequence[str],
        white: int = 255,
    ) -> None:
        """Take images [N, C, H, W] of whole numbers 0..``white``.

        Raises:
            CorruptData: labels that do not match.
        """
        self.name, self.split = name, split
        self.labels = _check_labels(labels, len(images), len(class_names), f"{name} {split}")
        self.class_names = tuple(class_names)
        self.classes = len(self.class_names)
        self.input_shape: tuple[int, int, int] = images.shape[1:]
        self._images, self._white = images, white
        self._rows = np.arange(len(images))
        self.fingerprint = _fingerprint(
            name=name,
            split=split,
            shape=images.shape,
            images=hashlib.sha256(images.tobytes()).hexdigest(),
            labels=self.labels.tolist(),
            white=white,
        )

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Give image, float32 [C, H, W] in 0..1, and label."""
        images, labels = self.batch([index])
        return images[0], int(labels[0])

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Give float32 [B, C, H, W] in 0..1 and int64 [B] for the samples asked for."""
        chosen = _check_indices(indices, len(self))
        images = self._images[self._rows[chosen]].astype(np.float32) / np.float32(self._white)
        return torch.from_numpy(images), torch.from_numpy(self.labels[chosen])

    def subset(self, indices: Indices) -> ImageDataset:
        """Give a data set of these samples, in this order; nothing is copied but the labels."""
        return _subset(self, _check_indices(indices, len(self)))

    def __repr__(self) -> str:
        return (
            f"ImageDataset({self.name!r}, {self.split}: {len(self)} images, "
            f"{self.classes} classes, {self.input_shape})"
        )


_Kind = TypeVar("_Kind", FrameDataset, ImageDataset)


def _subset(dataset: _Kind, chosen: npt.NDArray[np.int64]) -> _Kind:
    part = object.__new__(type(dataset))
    part.__dict__.update(dataset.__dict__)
    part._rows = dataset._rows[chosen]
    part.labels = dataset.labels[chosen]
    part.fingerprint = _fingerprint(of=dataset.fingerprint, indices=chosen.tolist())
    return part


def _binned(name: str, recordings: Recordings, frames: int, binning: Binning) -> cache.Entry:
    """Give the cached counts [N, T, 2, H, W] of all recordings, in the narrowest unsigned type."""
    width, height, _ = recordings.sensor_size
    shape = (len(recordings), frames, 2, height, width)

    def make(facts: cache.Facts) -> Iterator[cache.Array]:
        digest = hashlib.sha256()
        counts: npt.NDArray[np.uint32] | None = None
        # Silent where there is no terminal, and for what takes about a second.
        bar = tqdm(
            range(0, len(recordings), _BINNED_AT_ONCE),
            desc=f"binning {name}",
            disable=True if len(recordings) < 4000 else None,
            leave=False,
        )
        for start in bar:
            rows = range(start, min(start + _BINNED_AT_ONCE, len(recordings)))
            for row in rows:
                events = recordings.read(row)
                digest.update(len(events).to_bytes(8, "little") + events.tobytes())
                binned = _bin_named(recordings, row, events, frames, binning)
                if counts is None:  # only now is it known that so many frames can be cut
                    counts = np.empty((_BINNED_AT_ONCE, *shape[1:]), dtype=np.uint32)
                counts[row - start] = binned
            if counts is not None:
                yield counts[: len(rows)]
        facts["events_sha256"] = digest.hexdigest()

    name = f"{name}-T{frames}-{binning}"
    key = _fingerprint(recordings=recordings.key, frames=frames, binning=binning)
    return cache.find(name, key) or cache.store(name, key, shape, cache.UNSIGNED, make)


def _bin_named(
    recordings: Recordings, row: int, events: Events, frames: int, binning: Binning
) -> npt.NDArray[np.int64]:
    try:
        return bin_events(events, frames, recordings.sensor_size, binning)
    except ValueError as error:
        raise ValueError(f"{recordings.name(row)}: {error}") from error


def _check_labels(labels: npt.ArrayLike, count: int, classes: int, name: str) -> Labels:
    out = np.asarray(labels, dtype=np.int64)
    if out.shape != (count,):
        raise CorruptData(f"{name}: {out.size} labels do not match {count} samples")
    bad = np.flatnonzero((out < 0) | (out >= classes))
    if bad.size:
        raise CorruptData(
            f"{name}: sample {bad[0]} has label {out[bad[0]]}; 0..{classes - 1} is allowed"
        )
    return out


def _check_indices(indices: Indices, count: int) -> npt.NDArray[np.int64]:
    chosen = np.asarray(indices)
    if chosen.size == 0:
        return np.empty(0, dtype=np.int64)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise ValueError(f"indices={indices!r} must be a flat row of whole numbers")
    if chosen.min() < -count or chosen.max() >= count:
        worst = chosen.max() if chosen.max() >= count else chosen.min()
        raise IndexError(f"index {worst} is outside a data set of {count} samples")
    return np.where(chosen < 0, chosen + count, chosen).astype(np.int64)


def _fingerprint(**facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
