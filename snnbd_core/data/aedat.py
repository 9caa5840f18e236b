"""AEDAT, the files of cameras from Zurich: versions 2 and 3.1 decoded here, 4 by its package."""

from __future__ import annotations

import importlib.util
import struct
import tempfile
from pathlib import Path

import numpy as np

from snnbd_core.data.errors import CorruptData
from snnbd_core.data.events import Events, SensorSize
from snnbd_core.data.recordings import checked

__all__ = ["aedat2_cifar10", "aedat3", "aedat4"]

# Bit 15 of an address marks a special event of the camera (a cable, a clock), which has no pixel.
_SPECIAL = 0x8000

_PACKET = struct.Struct("<hhiiiiii")
_POLARITY = 1
_KINDS = range(13)  # AEDAT 3.1 numbers its events so; the others have no pixel, or no light
_SIZE = 8


def aedat2_cifar10(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode an original CIFAR10-DVS recording (AEDAT 2.0 of a DVS128).

    Decoded here because tonic 1.7 cannot: its ``read_dvs_128`` unpacks two of the three values
    that its own header reader gives. Both axes and the polarity are inverted, as in SpikingJelly's
    reader of this set. Special events (bit 15 of the address) come from no pixel and are left out.
    Checked on synthetic files only; no published one was at hand.
    """
    start = _body(data, "2", name)
    if (len(data) - start) % 8:
        raise CorruptData(f"{name}: byte {len(data)}: cut short within an 8-byte record")
    records = np.frombuffer(data, ">u4", offset=start).reshape(-1, 2).astype(np.int64)
    address, times = records[records[:, 0] & _SPECIAL == 0].T
    x, y = 127 - ((address >> 8) & 0x7F), 127 - ((address >> 1) & 0x7F)
    return checked((x, y, times, 1 - (address & 1)), sensor_size, name)


def aedat4(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode a CIFAR10-DVS recording in tonic's format (AEDAT 4), by the package ``aedat``.

    Checked on synthetic files only; no published one was at hand.

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
        except (KeyboardInterrupt, SystemExit):
            raise
        # the reader does not check its input: a damaged file raises errors of any kind, and panics,
        # which are no Exception
        except BaseException as error:
            raise CorruptData(f"{name}: cannot be decoded from byte 0 on ({error!r})") from error
    t, x, y, p = (raw[field] for field in raw.dtype.names)  # in this order, under other names
    return checked((x, y, t, p), sensor_size, name)


def aedat3(data: bytes, sensor_size: SensorSize, name: str) -> Events:
    """Decode an AEDAT 3.1 file, as DVS128 Gesture comes in.

    After lines of a header come packets of 28 bytes and their events. Of packets of polarity events
    those that are marked valid are taken; special, frame and motion packets are passed over. A
    packet takes the room of ``capacity`` events, as SpikingJelly's reader of this set has it; what
    is not used has no mark. Times are 31 bits and the packet's overflow counter. Checked on
    synthetic files only; no published one was at hand.
    """
    start, found = _body(data, "3", name), []
    while start < len(data):
        kind, size, overflow, capacity = _packet(data, start, name)
        begin, start = start + _PACKET.size, start + _PACKET.size + size * capacity
        if start > len(data):
            raise CorruptData(
                f"{name}: byte {len(data)}: cut short within the packet that begins at byte "
                f"{begin - _PACKET.size}"
            )
        if kind == _POLARITY:
            words = np.frombuffer(data, "<u4", 2 * capacity, begin).reshape(-1, 2)
            words = words[words[:, 0] & 1 == 1].astype(np.int64)
            words[:, 1] |= overflow << 31
            found.append(words)
    address, times = np.concatenate([np.empty((0, 2), np.int64), *found]).T
    x, y, p = address >> 17, (address >> 2) & 0x7FFF, (address >> 1) & 1
    return checked((x, y, times, p), sensor_size, name)


def _packet(data: bytes, start: int, name: str) -> tuple[int, int, int, int]:
    """Kind, bytes an event, overflow counter and capacity of the packet at a byte."""
    if start + _PACKET.size > len(data):
        raise CorruptData(f"{name}: byte {len(data)}: cut short within the header of a packet")
    kind, _, size, _, overflow, capacity, number, _ = _PACKET.unpack_from(data, start)
    sound = kind in _KINDS and size > 0 and overflow >= 0 and 0 <= number <= capacity
    if not sound or (kind == _POLARITY and size != _SIZE):
        raise CorruptData(f"{name}: byte {start}: begins no packet of AEDAT 3.1")
    return kind, size, overflow, capacity


def _body(data: bytes, version: str, name: str) -> int:
    """The byte after the lines of the header, each of which begins with #."""
    first = f"#!AER-DAT{version}"
    if not data.startswith(first.encode()):
        raise CorruptData(f"{name}: byte 0: does not begin with {first} as AEDAT {version} does")
    start = 0
    while data[start : start + 1] == b"#":
        end = data.find(b"\n", start)
        if end < 0:
            raise CorruptData(f"{name}: byte {start}: this line of the header has no end")
        last, start = data[start:end].strip(), end + 1
        if last == b"#!END-HEADER":  # a packet may begin with the byte of a #
            break
    return start
