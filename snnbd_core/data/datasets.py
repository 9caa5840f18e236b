"""The two kinds of stored sets: recordings as frames of counts, and static images.

Counts and pixels stay small integers, and become float32 a batch at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from snnbd_core import checks
from snnbd_core.data import cache
from snnbd_core.data.events import (
    Binning,
    Events,
    SensorSize,
    bin_events,
    check_binning,
    check_sensor_size,
)
from snnbd_core.data.recordings import ListedRecordings, Recordings
from snnbd_core.data.samples import Rows, StoredSet, checked_indices, digest_of, named_classes

__all__ = ["FrameDataset", "ImageDataset", "from_events"]

_BINNED_AT_ONCE = 64


class FrameDataset(StoredSet):
    """Recordings of an event camera, cut to T frames of integer counts.

    Anybody's recordings make one, read as the set asks for them::

        class Mine:                                  # or sb.data.from_events(...), in memory
            sensor_size = (128, 128, 2)
            key = hashlib.sha256(all_my_bytes).hexdigest()   # names the cached frames

            def __len__(self): return len(paths)
            def name(self, index): return str(paths[index])
            def read(self, index): return structured_array(paths[index])  # x, y, t, p

        train = sb.data.FrameDataset("mine", "train", Mine(), labels, ("left", "right"), frames=16)
        frames, label = train[0]                     # float32 [16, 2, 128, 128]

    Attributes:
        name: the data set's name, as given to ``load``.
        split: "train" or "test".
        labels, classes, class_names: int64 [N], how many classes there are, and their names.
        frames: how many frames each has, T.
        sensor_size: (W, H, 2) in pixels, as in tonic.
        input_shape: (2, H, W); channel 0 counts OFF, channel 1 ON events.
        binning: the rule, "number" or "time" (see ``bin_events``).
        kind, spaces: "frames"; a trigger may change frames or events.
        fingerprint: sha256 of all events, labels and settings; independent of where they lie.
    """

    kind = "frames"
    spaces = ("frames", "events")

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
        self.frames, self.binning = check_binning(frames, binning), binning
        self.name, self.split = name, split
        self._label(labels, class_names, f"{name} {split}", len(recordings))
        self.sensor_size: SensorSize = check_sensor_size(recordings.sensor_size)
        width, height, _ = self.sensor_size
        self.input_shape = (2, height, width)
        self._recordings = recordings
        self._entry = _binned(f"{name}-{split}", recordings, self.frames, binning)
        self.fingerprint = digest_of(
            name=name,
            split=split,
            events=self._entry.facts["events_sha256"],
            labels=self.labels.tolist(),
            frames=self.frames,
            binning=binning,
            sensor_size=self.sensor_size,
        )

    def events(self, index: int) -> Events:
        """Give the raw recording, a fresh structured array of ``EVENT_DTYPE``."""
        (row,) = self._rows[checked_indices([index], len(self))]
        return self._recordings.read(int(row))

    def bin(self, events: Events) -> Tensor:
        """Cut a recording to frames, float32 [T, 2, H, W], by the rule of this data set."""
        counts = bin_events(events, self.frames, self.sensor_size, self.binning)
        return torch.from_numpy(counts.astype(np.float32))

    @cached_property
    def _counts(self) -> cache.Array:
        return np.asarray(self._entry.open())  # rows of a memory map take longer to cut out

    def _read(self, rows: Rows) -> npt.NDArray[np.float32]:
        samples = np.empty((len(rows), *self._counts.shape[1:]), dtype=np.float32)
        for place, row in enumerate(rows.tolist()):  # faster than all rows and then their type
            samples[place] = self._counts[row]
        return samples

    def __getstate__(self) -> dict[str, Any]:
        # A memory map would be pickled as all its contents; a worker opens its own.
        return {name: value for name, value in self.__dict__.items() if name != "_counts"}

    def __repr__(self) -> str:
        shape = (self.frames, *self.input_shape)
        return (
            f"FrameDataset({self.name!r}, {self.split}: {len(self)} recordings, "
            f"{self.classes} classes, frames {shape} by {self.binning})"
        )


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


def from_events(
    recordings: Sequence[Events],
    labels: Sequence[int] | npt.ArrayLike,
    sensor_size: SensorSize,
    frames: int = 16,
    *,
    binning: Binning = "number",
    classes: int | Sequence[str] | None = None,
    name: str = "own",
    split: str = "train",
) -> FrameDataset:
    """Make a data set of recordings that are in memory::

        recordings = [np.array([(3, 5, 0, 1), (4, 5, 90, 0)], dtype=sb.data.EVENT_DTYPE), ...]
        train = sb.data.from_events(recordings, labels, sensor_size=(128, 128, 2), frames=16)

    Args:
        recordings: structured arrays with the fields x, y (pixels), t (microseconds, never
            falling) and p (0 or 1), of any integer types; as tonic's sets give them.
        labels: N whole numbers from 0 on.
        sensor_size: (W, H, 2) in pixels.
        frames, binning: see ``bin_events``.
        classes: their number or names; the largest label + 1 when None.
        name, split: for messages and the cache. The frames are cached under the sha256 of all
            events, so other recordings never meet them.

    Raises:
        ValueError: a bad setting, or naming the recording and its first bad event.
        CorruptData: labels that do not match.
    """
    names = named_classes(classes, labels)
    listed = ListedRecordings.checked(recordings, sensor_size, name)
    return FrameDataset(name, split, listed, labels, names, frames, binning)


def _binned(name: str, recordings: Recordings, frames: int, binning: Binning) -> cache.Entry:
    """The cached counts [N, T, 2, H, W] of all recordings, in the narrowest unsigned type."""
    width, height, _ = recordings.sensor_size
    count = len(recordings)

    def counts(row: int, events: Events) -> npt.NDArray[np.uint32]:
        try:
            binned = bin_events(events, frames, recordings.sensor_size, binning)
        except ValueError as error:
            raise ValueError(f"{recordings.name(row)}: {error}") from error
        return binned.astype(np.uint32)

    def make(facts: cache.Facts) -> Iterator[cache.Array]:
        digest = hashlib.sha256()
        # Silent where there is no terminal, and for what takes about a second.
        silent = True if count < 4000 else None
        starts = range(0, count, _BINNED_AT_ONCE)
        for start in tqdm(starts, desc=f"binning {name}", disable=silent, leave=False):
            rows = range(count)[start : start + _BINNED_AT_ONCE]
            found = [recordings.read(row) for row in rows]
            for events in found:
                digest.update(len(events).to_bytes(8, "little") + events.tobytes())
            yield np.stack([counts(row, events) for row, events in zip(rows, found, strict=True)])
        facts["events_sha256"] = digest.hexdigest()

    entry = f"{name}-T{frames}-{binning}"
    key = digest_of(recordings=recordings.key, frames=frames, binning=binning)
    shape = (count, frames, 2, height, width)
    return cache.find(entry, key) or cache.store(entry, key, shape, cache.UNSIGNED, make)


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
