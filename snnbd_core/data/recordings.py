"""A row of recordings that can be read one by one, wherever they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np

from snnbd_core.data.cache import Entry
from snnbd_core.data.events import Events, SensorSize, check_events
from snnbd_core.data.samples import Rows
from snnbd_core.data.stores import File, digests

__all__ = ["CachedRecordings", "FileRecordings", "ListedRecordings", "Reader", "Recordings"]

Reader = Callable[[bytes, SensorSize, str], Events]


class Recordings(Protocol):
    """What a data set needs of its recordings."""

    @property
    def sensor_size(self) -> SensorSize:
        """(W, H, 2) in pixels."""

    @property
    def key(self) -> str:
        """Hex digest of all that the recordings are made from: equal keys, equal events."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Give the recording's name for messages."""

    def read(self, index: int) -> Events:
        """Give recording ``index`` as a fresh structured array."""


@dataclass(frozen=True)
class FileRecordings:
    """One file each; the reader decodes and checks a file's bytes."""

    files: Sequence[File]
    reader: Reader
    sensor_size: SensorSize

    @cached_property
    def key(self) -> str:
        """Digest of the files' bytes, read at each load: sizes and times can lie."""
        lines = [self.reader.__name__, str(self.sensor_size), *digests(self.files)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        return str(self.files[index])

    def read(self, index: int) -> Events:
        return self.reader(self.files[index].read(), self.sensor_size, self.name(index))


@dataclass(frozen=True)
class ListedRecordings:
    """All in memory, as arrays of ``EVENT_DTYPE``; the label is for messages."""

    arrays: Sequence[Events]
    sensor_size: SensorSize
    label: str

    @classmethod
    def checked(cls, arrays: Sequence[Events], sensor_size: SensorSize, label: str) -> Self:
        """Take recordings of any integer types; ValueError names the first bad one."""
        sound = []
        for row, events in enumerate(arrays):
            try:
                sound.append(check_events(events, sensor_size))
            except ValueError as error:
                raise ValueError(f"{label}: recording {row}: {error}") from error
        return cls(sound, sensor_size, label)

    @cached_property
    def key(self) -> str:
        """sha256 of all events, each recording's length before them."""
        digest = hashlib.sha256(str(self.sensor_size).encode())
        for events in self.arrays:
            digest.update(len(events).to_bytes(8, "little") + events.tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.arrays)

    def name(self, index: int) -> str:
        return f"{self.label}, recording {index}"

    def read(self, index: int) -> Events:
        return self.arrays[index].copy()


@dataclass(frozen=True)
class CachedRecordings:
    """All in one cached array of events, one after the other.

    Attributes:
        entry: the array.
        offsets: [N + 1], recording i is ``offsets[i]:offsets[i + 1]``.
        rows: which of them, in this order.
        sensor_size, key: as in `Recordings`.
    """

    entry: Entry
    offsets: Rows
    rows: Rows
    sensor_size: SensorSize
    key: str

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        return f"{self.entry.path.name}, recording {self.rows[index]}"

    def read(self, index: int) -> Events:
        row = self.rows[index]
        return np.array(self.entry.open()[self.offsets[row] : self.offsets[row + 1]])
