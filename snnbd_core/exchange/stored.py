"""Reads a NIR file, which is HDF5, into plain arrays, and trusts nothing in it.

Sizes are checked before a value is read. Links, data kept in other files, filters that would load a
plug-in, and values that are neither numbers nor text are refused; metadata are not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snnbd_core.exchange.errors import CorruptNetwork

__all__ = ["GRAPH", "Node", "Value", "read"]

Value = np.ndarray | str
GRAPH = "NIRGraph"
NEWEST = 1  # major version of the format
DEEPEST, MOST, LONGEST = 16, 10_000, 1_000  # sub-graphs, nodes or edges, letters of a name
FILTERS = {1, 2, 3, 4, 32000}  # deflate, shuffle, fletcher32, szip, lzf: all part of h5py

_PAIR = ("kernel_size", "stride", "padding")
_CONVOLUTION = ("weight", "bias", "stride", "padding", "dilation", "groups")
FIELDS = {
    "Affine": ("weight", "bias"),
    "AvgPool2d": _PAIR,
    "Conv1d": _CONVOLUTION,
    "Conv2d": _CONVOLUTION,
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
    "Flatten": ("start_dim", "end_dim"),
    "I": ("r",),
    "IF": ("r", "v_threshold"),
    "Input": ("shape",),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "Linear": ("weight",),
    "Output": ("shape",),
    "Scale": ("scale",),
    "SumPool2d": _PAIR,
    "Threshold": ("threshold",),
}
OPTIONAL = {
    "Conv1d": ("input_shape",),
    "Conv2d": ("input_shape",),
    "CubaLIF": ("v_reset", "w_in"),
    "Flatten": ("input_type",),
    "IF": ("v_reset",),
    "LIF": ("v_reset",),
}


@dataclass(frozen=True)
class Node:
    """A node as it is stored.

    Attributes:
        kind: NIR's name of it.
        fields: its values by name.
        nodes, edges: of a sub-graph, whose kind is `GRAPH`.
    """

    kind: str
    fields: dict[str, Value] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)


def read(path: Path, limit: int) -> Node:
    """The graph in a file.

    Args:
        path: of the file.
        limit: bytes that all values together may take.

    Raises:
        FileNotFoundError: no such file.
        CorruptNetwork: anything but a sound NIR file.
    """
    import h5py

    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r} is no file")
    try:
        with h5py.File(path, "r") as file:
            reader = _Reader(limit)
            version = reader.text(file, "version")
            major = version.split(".")[0]
            if not major.isdecimal() or int(major) > NEWEST:
                raise CorruptNetwork(
                    f"it is of version {version!r}: allowed is up to {NEWEST}.x of the NIR format"
                )
            return reader.node(file, "node", "", 0)
    except CorruptNetwork:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise CorruptNetwork(
            f"it is no HDF5 file, or damaged or cut off ({type(error).__name__}: {error})"
        ) from error


class _Reader:
    def __init__(self, limit: int) -> None:
        self.limit, self.left = limit, limit
        self.seen: set[int] = set()

    def node(self, parent: Any, name: str, path: str, depth: int) -> Node:
        group = self._group(parent, name)
        with _named(path or "graph"):
            kind = self.text(group, "type")
            if kind != GRAPH and kind not in FIELDS:
                raise CorruptNetwork(
                    f"its kind {kind!r} is unknown; allowed: {', '.join((GRAPH, *FIELDS))}"
                )
        if kind == GRAPH:
            if depth > DEEPEST:
                raise CorruptNetwork(f"sub-graph {path!r} lies more than {DEEPEST} graphs deep")
            inside, start = self._group(group, "nodes"), f"{path}." if path else ""
            nodes = {key: self.node(inside, key, start + key, depth + 1) for key in inside}
            return Node(kind, nodes=nodes, edges=self._edges(group))
        with _named(f"{path} ({kind})"):
            optional = [key for key in OPTIONAL.get(kind, ()) if key in group]
            fields = {key: self._value(group, key) for key in (*FIELDS[kind], *optional)}
        return Node(kind, fields)

    def text(self, group: Any, name: str) -> str:
        value = self._value(group, name)
        if not isinstance(value, str):
            raise CorruptNetwork(f"its {name} is no text")
        return value

    def _edges(self, group: Any) -> list[tuple[str, str]]:
        data = self._data(group, "edges")
        if data.size and (data.ndim != 2 or data.shape[1] != 2 or len(data) > MOST):
            raise CorruptNetwork(
                f"its edges have the shape {list(data.shape)}: allowed is [E, 2] with E <= {MOST:,}"
            )
        # one at a time: all of them may point to one long text
        return [(_text(data[row, 0]), _text(data[row, 1])) for row in range(len(data))]

    def _value(self, group: Any, name: str) -> Value:
        data = self._data(group, name)
        if data.dtype.kind in "OS":
            if data.ndim:
                raise CorruptNetwork(f"its {name} is a list of texts: allowed is one")
            return _text(data[()])
        if data.dtype.kind not in "fiub":
            raise CorruptNetwork(f"its {name} holds {data.dtype}: allowed are numbers and text")
        values = np.asarray(data[()])
        if not np.isfinite(values).all():
            raise CorruptNetwork(f"its {name} holds NaN or infinite values")
        return values

    def _data(self, group: Any, name: str) -> Any:
        """A dataset that may be read: of a size that fits, and in this file alone."""
        import h5py

        data = self._own(group, name)
        if not isinstance(data, h5py.Dataset) or data.shape is None:
            raise CorruptNetwork(f"its {name} holds no value")
        outside = data.is_virtual or data.external is not None
        stored = data.id.get_create_plist()
        filters = {stored.get_filter(number)[0] for number in range(stored.get_nfilters())}
        if outside or not filters <= FILTERS:
            raise CorruptNetwork(f"its {name} needs another file or program to be read")
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
        import h5py

        group = self._own(parent, name)
        if not isinstance(group, h5py.Group):
            raise CorruptNetwork(f"its {name} is no group")
        place = h5py.h5o.get_info(group.id).addr
        if place in self.seen or len(self.seen) > MOST:
            raise CorruptNetwork(f"its group {name!r} lies in itself, or it has too many nodes")
        self.seen.add(place)
        return group

    def _own(self, group: Any, name: str) -> Any:
        """What a group holds under a name, if it is no link to somewhere else."""
        import h5py

        link = group.get(name, getlink=True) if len(name) <= LONGEST else None
        if link is None:
            raise CorruptNetwork(f"it has no {name[:LONGEST]!r}")
        if not isinstance(link, h5py.HardLink):
            raise CorruptNetwork(f"its {name} is a link to somewhere else, which is not followed")
        return group[name]


@contextmanager
def _named(node: str) -> Iterator[None]:
    """Names the node in the message of an error inside the block."""
    try:
        yield
    except CorruptNetwork as error:
        raise CorruptNetwork(f"node {node}: {error}") from error


def _text(value: Any) -> str:
    text = value.decode() if isinstance(value, bytes) else value
    if not isinstance(text, str) or len(text) > LONGEST:
        raise CorruptNetwork(f"it holds a name that is no text of up to {LONGEST} letters")
    return text
