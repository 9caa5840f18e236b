"""Reads a NIR file, which is HDF5, into plain arrays, and trusts nothing in it.

Sizes are checked before a value is read. Links, values in other files, filters that would load a
plug-in and values that are neither numbers nor text are refused; metadata are not read. Texts are
read from the file's bytes: HDF5 takes the memory that their lengths say before it looks at them.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnbd_core.exchange.errors import CorruptNetwork, named
from snnbd_core.exchange.structure import GRAPH, Node, Value

__all__ = ["read"]

NEWEST = 1  # major version of the format
DEEPEST, MOST, LONGEST = 16, 10_000, 1_000  # graphs in graphs, groups or edges, letters
FILTERS = {1, 2, 3, 4, 32000}  # deflate, shuffle, fletcher32, szip, lzf: all part of h5py


def read(path: Path, kinds: Collection[str], limit: int) -> Node:
    """The graph in a file.

    Args:
        path: of the file.
        kinds: of nodes that are known.
        limit: bytes that all values together may take.

    Raises:
        CorruptNetwork: values that cannot be trusted.
        OSError, RuntimeError, ValueError, struct.error: no HDF5, or a damaged file.
    """
    with (
        open(path, "rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as raw,
        h5py.File(path, "r") as file,
    ):
        reader = _Reader(raw, kinds, limit)
        version = str(reader.value(file, "version"))
        if not version.split(".")[0].isdecimal() or int(version.split(".")[0]) > NEWEST:
            raise CorruptNetwork(f"version {version!r} of NIR is unknown; known is up to {NEWEST}")
        return reader.node(file, "node", "")


class _Reader:
    def __init__(self, raw: mmap.mmap, kinds: Collection[str], limit: int) -> None:
        self.raw, self.kinds, self.limit, self.left = raw, kinds, limit, limit
        self.seen: set[int] = set()

    def node(self, parent: Any, name: str, path: str) -> Node:
        group = self._group(parent, name)
        kind = str(self.value(group, "type"))
        with named(f"node {path} ({kind})" if path else "the graph"):
            if kind == GRAPH:
                inside, start = self._group(group, "nodes"), f"{path}." if path else ""
                nodes = {key: self.node(inside, key, start + key) for key in inside}
                return Node(kind, nodes=nodes, edges=self._edges(group))
            if kind not in self.kinds:
                known = ", ".join(sorted(self.kinds))
                raise CorruptNetwork(f"its kind is unknown; allowed: {known}")
            skipped = {"type", "metadata"}
            return Node(kind, {key: self.value(group, key) for key in group if key not in skipped})

    def value(self, group: Any, name: str) -> Value:
        data = self._data(group, name)
        if data.dtype.kind in "OS" and not data.ndim:
            return self._texts(data)[0]
        values = np.asarray(data[()]) if data.dtype.kind in "fiub" else np.array(math.nan)
        if not np.isfinite(values).all():
            raise CorruptNetwork(f"its {name} holds NaN, infinite values, or no numbers at all")
        return values

    def _edges(self, group: Any) -> list[tuple[str, str]]:
        data = self._data(group, "edges")
        if data.size and (data.ndim != 2 or data.shape[1] != 2 or len(data) > MOST):
            raise CorruptNetwork(f"its edges {list(data.shape)} must be [E, 2] with E <= {MOST:,}")
        texts = self._texts(data)
        return list(zip(texts[::2], texts[1::2], strict=True))

    def _texts(self, data: Any) -> list[str]:
        """Texts: for each the file holds a length, the place of a heap and a number in it."""
        if data.dtype.kind == "S":  # all of one length, as other writers may have them
            return [text.decode() for text in np.atleast_1d(data[()]).flatten()]
        place = data.id.get_offset()
        if data.size and (place is None or data.id.get_storage_size() != 16 * data.size):
            raise CorruptNetwork("it holds texts that are no strings in one piece")
        rows = range(data.size)
        return [self._text(*struct.unpack_from("<IQI", self.raw, place + 16 * n)) for n in rows]

    def _text(self, length: int, heap: int, number: int) -> str:
        start, index, size = heap, 0, 0
        for _ in range(MOST):
            start += 16 + -(-size // 8) * 8
            index, size = struct.unpack_from("<H6xQ", self.raw, start)
            if index in (0, number):
                break
        if index != number or not 0 < length <= min(size, LONGEST):
            raise CorruptNetwork(f"it holds no text of 1 to {LONGEST:,} letters where it should")
        return self.raw[start + 16 : start + 16 + length].decode()

    def _data(self, group: Any, name: str) -> Any:
        """A dataset that may be read: of a size that fits, and in this file alone."""
        data = _own(group, name)
        if not isinstance(data, h5py.Dataset) or data.shape is None:
            raise CorruptNetwork(f"its {name} holds no value")
        made = data.id.get_create_plist()
        filters = {made.get_filter(number)[0] for number in range(made.get_nfilters())}
        if data.is_virtual or data.external is not None or not filters <= FILTERS:
            raise CorruptNetwork(f"its {name} needs another file or a plug-in to be read")
        # a chunk is unpacked whole, however little of it is a value
        size = data.dtype.itemsize * max(math.prod(data.shape), math.prod(data.chunks or ()))
        self.left -= size
        if self.left < 0:
            raise CorruptNetwork(
                f"its {name} of shape {list(data.shape)} takes {size:,} bytes: allowed is "
                f"limit={self.limit:,} for all values"
            )
        return data

    def _group(self, parent: Any, name: str) -> Any:
        group = _own(parent, name)
        if not isinstance(group, h5py.Group):
            raise CorruptNetwork(f"its {name} is no group")
        place = h5py.h5o.get_info(group.id).addr
        if place in self.seen or len(self.seen) > MOST or group.name.count("/") > 2 * DEEPEST:
            raise CorruptNetwork(f"its {name} lies in itself or too deep, or there are too many")
        self.seen.add(place)
        return group


def _own(group: Any, name: str) -> Any:
    """What a group holds under a name, if it is no link to somewhere else."""
    link = group.get(name, getlink=True)
    if link is None:
        raise CorruptNetwork(f"it has no {name}")
    if not isinstance(link, h5py.HardLink):
        raise CorruptNetwork(f"its {name} is a link to somewhere else, which is not followed")
    return group[name]
