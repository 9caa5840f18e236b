"""Arrays that took a while to make, stored on disk, checked when opened, read as memory maps.

An entry is two files in ``files.cache_dir()``: ``<name>-<key>.npy`` and, written after it, a
small ``.json`` with its size, its sha256 and its maker's facts. What an entry holds follows from
its key alone, so two processes that make the same entry at once do no harm: each writes under a
temporary name, and the later rename puts equal bytes in place of equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from snnbd_core import files

__all__ = ["UNSIGNED", "Array", "Entry", "Facts", "find", "store"]

_log = logging.getLogger(__name__)

Array = npt.NDArray[Any]
Facts = dict[str, Any]

UNSIGNED = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.uint32))
"""Counts are stored in the first of these that holds the largest."""

# Files checked in this process, as the system knows them: checking 2 GB takes seconds. Nobody
# but the system sets a file's time of status change.
_checked: set[tuple[str, int, int, int]] = set()


@dataclass(frozen=True)
class Entry:
    """One array on disk, and the JSON values that its maker stored beside it."""

    path: Path
    facts: Facts

    def open(self) -> Array:
        """Give the array as a read-only memory map."""
        array: Array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return array


def find(name: str, key: str) -> Entry | None:
    """The entry if it is there and whole; a damaged one counts as missing, and is logged.

    The key is a hex digest of all that the contents depend on; the name is for the reader.
    """
    path = _path(name, key)
    try:
        note = json.loads(_note_path(path).read_text())
        size, digest, facts = note["bytes"], note["sha256"], note["facts"]
        stat = path.stat()
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("the note beside the cached %s is damaged (%s); it is made anew", path, error)
        return None
    stamp = (str(path), stat.st_ino, stat.st_size, stat.st_ctime_ns)
    if stamp not in _checked:
        with path.open("rb") as file:
            whole = stat.st_size == size and _sha256(file) == digest
        if not whole:
            _log.warning("the cached %s is damaged (wrong checksum); it is made anew", path)
            return None
        _checked.add(stamp)
    return Entry(path, facts)


def store(
    name: str,
    key: str,
    shape: Sequence[int],
    dtypes: Sequence[np.dtype[Any]],
    make: Callable[[Facts], Iterator[Array]],
) -> Entry:
    """Write an entry, in place of one of the same name and key.

    ``make`` fills a dict of facts (JSON values) and gives the array in runs of rows. It is called
    for each of the types, narrow to wide, until one holds all values. For errors see ``files``.
    """
    for dtype in dtypes:
        try:
            return _stored(_path(name, key), tuple(shape), dtype, make)
        except _TooNarrowError:
            continue
    raise ValueError(f"{name}: a value is larger than {dtypes[-1]} can hold")


class _TooNarrowError(Exception):
    """A value does not fit the type that is tried."""


def _stored(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    make: Callable[[Facts], Iterator[Array]],
) -> Entry:
    facts: Facts = {}
    note: Facts = {}

    def write(file: BinaryIO) -> None:
        described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(file, {**described, "shape": shape})
        rows = 0
        for run in make(facts):
            if dtype in UNSIGNED and run.size and int(run.max()) > np.iinfo(dtype).max:
                raise _TooNarrowError
            # Written, not stored through a memory map: there a full disk kills the process.
            file.write(np.ascontiguousarray(run, dtype=dtype).tobytes())
            rows += len(run)
        if rows != shape[0]:
            raise AssertionError(f"{path.name}: {rows} rows were made, {shape[0]} promised")
        note["bytes"] = file.tell()
        file.seek(0)
        note["sha256"] = _sha256(file)

    files.write_atomically(path, write, "SNNBD_CACHE")
    text = json.dumps({**note, "facts": facts}).encode()
    files.write_atomically(_note_path(path), lambda file: file.write(text), "SNNBD_CACHE")
    return Entry(path, facts)


def _path(name: str, key: str) -> Path:
    readable = re.sub(r"[^\w.-]", "_", name)
    return files.cache_dir() / f"{readable}-{key[:20]}.npy"


def _note_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _sha256(file: BinaryIO) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any file
