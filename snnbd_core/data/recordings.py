"""A row of recordings that can be read one by one, wherever they lie and in whatever format."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from snnbd_core.data.cache import Entry
from snnbd_core.data.errors import CorruptData
from snnbd_core.data.events import Events, SensorSize, check_events, parse_bin
from snnbd_core.data.samples import Rows
from snnbd_core.data.stores import File, digests

__all__ = [
    "CachedRecordings",
    "CutRecordings",
    "FileRecordings",
    "Found",
    "ListedRecordings",
    "Reader",
    "Recordings",
    "checked",
]

Reader = Callable[[bytes, SensorSize, str], Events]
"""Decodes and checks the bytes of a file; CorruptData says its name, the last argument."""

# Floats up to here hold whole numbers exactly, and 1000 times as many milliseconds fit into int64.
_LARGEST = 2.0**52

_WIDE = np.dtype([(field, np.int64) for field in ("x", "y", "t", "p")])


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
class Found:
    """A set of recordings that was found.

    Attributes:
        class_names: of the set.
        parts, labels: those of train, then of test.
        whole: how many recordings the whole set has, where its layouts differ in that.
    """

    class_names: Sequence[str]
    parts: Sequence[Recordings]
    labels: Sequence[Sequence[int]]
    whole: int | None = None


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
class CutRecordings:
    """Stretches of longer files; times are counted from a stretch's start.

    Attributes:
        files: the long ones.
        cuts: (file, first microsecond, the one after the last) of each recording.
        reader, sensor_size: as in `FileRecordings`.
        most: bytes that a file may have.
    """

    files: Sequence[File]
    cuts: Sequence[tuple[int, int, int]]
    reader: Reader
    sensor_size: SensorSize
    most: int

    @cached_property
    def _digests(self) -> list[str]:
        return digests(self.files)

    @cached_property
    def key(self) -> str:
        """Digest of the files' bytes and the cuts."""
        lines = [self.reader.__name__, str(self.sensor_size), *self._digests]
        lines += [str(tuple(cut)) for cut in self.cuts]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.cuts)

    def name(self, index: int) -> str:
        file, start, stop = self.cuts[index]
        return f"{self.files[file]}, {start}..{stop} us"

    def read(self, index: int) -> Events:
        file, start, stop = self.cuts[index]
        told = self._digests[file]
        whole = _decoded(self.files[file], told, self.reader, self.sensor_size, self.most)
        first, last = np.searchsorted(whole["t"], [start, stop])
        if first == last:
            raise CorruptData(f"{self.name(index)}: holds no event of this stretch")
        events = whole[first:last].copy()
        events["t"] -= start
        return events


@functools.lru_cache(maxsize=1)
def _decoded(file: File, digest: str, reader: Reader, sensor_size: SensorSize, most: int) -> Events:
    """A long file in memory; its recordings are read one after the other.

    The digest of its bytes is asked for so that a file that was replaced is read anew.
    """
    return reader(file.read(most), sensor_size, str(file))


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


def five_bytes(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode a recording of N-MNIST or N-Caltech101 (see ``events.parse_bin``)."""
    return parse_bin(data, sensor_size, name)


def gesture_npy(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode a gesture in tonic's format: an array [N, 4] of x, y, p and t in milliseconds.

    Checked on synthetic files only; no published one was at hand.
    """
    if not data.startswith(b"\x93NUMPY"):
        raise CorruptData(f"{name}: byte 0: is no numeric .npy array, which begins with \\x93NUMPY")
    try:
        table = np.load(io.BytesIO(data), allow_pickle=False)
    # a damaged header can also ask for more memory than there is
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise CorruptData(f"{name}: is no numeric .npy array ({error})") from error
    if table.ndim != 2 or table.shape[1] != 4 or table.dtype.kind not in "iuf":
        raise CorruptData(f"{name}: has shape {table.shape}; rows of x, y, p, t are needed")
    fractions = ~np.isfinite(table).all(axis=1) | (table[:, :3] % 1 != 0).any(axis=1)
    beyond = (np.abs(table) > _LARGEST).any(axis=1)
    for bad, words in ((fractions, "not whole numbers"), (beyond, "out of range")):
        if bad.any():
            row = int(bad.argmax())
            raise CorruptData(f"{name}: record {row} is {table[row].tolist()}, {words}")
    x, y, p, t = table.T
    return checked((x, y, t * 1000.0, p), sensor_size, name)


def checked(columns: Sequence[npt.ArrayLike], sensor_size: SensorSize, name: str) -> Events:
    """Events of x, y, t and p, checked before ``EVENT_DTYPE`` narrows them and they might wrap."""
    events = np.empty(np.shape(columns[0]), dtype=_WIDE)
    for field, column in zip(_WIDE.names or (), columns, strict=True):
        events[field] = column
    try:
        return check_events(events, sensor_size)
    except ValueError as error:
        raise CorruptData(f"{name}: {error}") from error
