"""A row of recordings that can be read one by one, wherever they lie and in whatever format."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from snnbd_core.data.cache import Entry
from snnbd_core.data.errors import CorruptData
from snnbd_core.data.events import Events, SensorSize, check_events, parse_bin
from snnbd_core.data.samples import Rows
from snnbd_core.data.stores import File, digests

__all__ = ["CachedRecordings", "FileRecordings", "ListedRecordings", "Reader", "Recordings"]

Reader = Callable[[bytes, SensorSize, str], Events]
"""Decodes and checks the bytes of a file; CorruptData says its name, the last argument."""

# Floats up to here hold whole numbers exactly, and 1000 times as many milliseconds fit into int64.
_LARGEST = 2.0**52

# Bit 15 of an address marks a special event of the camera (a cable, a clock), which has no pixel.
_SPECIAL = 0x8000

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
    return _checked((x, y, t * 1000.0, p), sensor_size, name)


def aedat2_cifar10(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode an original CIFAR10-DVS recording (AEDAT 2.0 of a DVS128).

    Decoded here because tonic 1.7 cannot: its ``read_dvs_128`` unpacks two of the three values
    that its own header reader gives. Both axes and the polarity are inverted, as in SpikingJelly's
    reader of this set. Special events (bit 15 of the address) come from no pixel and are left out.
    Checked on synthetic files only; no published one was at hand.
    """
    if not data.startswith(b"#!AER-DAT2"):
        raise CorruptData(f"{name}: byte 0: does not begin with #!AER-DAT2 as AEDAT 2.0 does")
    start = 0
    while data[start : start + 1] == b"#":
        end = data.find(b"\n", start)
        if end < 0:
            raise CorruptData(f"{name}: byte {start}: this line of the header has no end")
        start = end + 1
    if (len(data) - start) % 8:
        raise CorruptData(f"{name}: byte {len(data)}: cut short within an 8-byte record")
    records = np.frombuffer(data, ">u4", offset=start).reshape(-1, 2).astype(np.int64)
    address, times = records[records[:, 0] & _SPECIAL == 0].T
    x, y = 127 - ((address >> 8) & 0x7F), 127 - ((address >> 1) & 0x7F)
    return _checked((x, y, times, 1 - (address & 1)), sensor_size, name)


def aedat4(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode a CIFAR10-DVS recording in tonic's format (AEDAT 4), by the package ``aedat``.

    Not checked on any real file: none was at hand.

    Raises:
        ModuleNotFoundError: naming the package, when it is not installed.
    """
    if importlib.util.find_spec("aedat") is None:
        raise ModuleNotFoundError(
            f"{name}: reading .aedat4 files needs the package aedat (pip install aedat)",
            name="aedat",
        )
    import tonic.io  # slow to import

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.aedat4"  # the reader takes a path only
        path.write_bytes(data)
        try:
            raw = tonic.io.read_aedat4(str(path))
        # the reader does not check its input, and a damaged file raises errors of any kind
        except Exception as error:
            raise CorruptData(f"{name}: cannot be decoded from byte 0 on ({error!r})") from error
    t, x, y, p = (raw[field] for field in raw.dtype.names)  # in this order, under other names
    return _checked((x, y, t, p), sensor_size, name)


def _checked(columns: Sequence[npt.ArrayLike], sensor_size: SensorSize, name: str) -> Events:
    """Events of x, y, t and p, checked before ``EVENT_DTYPE`` narrows them and they might wrap."""
    events = np.empty(np.shape(columns[0]), dtype=_WIDE)
    for field, column in zip(_WIDE.names or (), columns, strict=True):
        events[field] = column
    try:
        return check_events(events, sensor_size)
    except ValueError as error:
        raise CorruptData(f"{name}: {error}") from error
