"""Our own splits of sets that were published without one: a recording's name alone decides.

Either a committed list tells it, which has a hash, or a hash of its folder and number.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from importlib import resources
from pathlib import PurePosixPath

import numpy as np

from snnbd_core.data.errors import CorruptData
from snnbd_core.data.samples import Rows
from snnbd_core.data.stores import File

__all__ = ["SHA256", "drawn", "is_tested", "listed", "numbers"]

SHA256 = {"cifar10-dvs": "81a01bc3e83289aa82ecda3ffcf9333734fa0f4299b43ae972651da08d9786ad"}
"""Of each list. An edited list would be another split under the same name."""

_NUMBER = re.compile(r"(\d+)$")


def listed(name: str, files: Sequence[File]) -> tuple[Rows, Rows]:
    """The rows of files for training and for testing, by their folder and the number in their name.

    Raises:
        CorruptData: an edited list, or a file that the whole set does not have.
    """
    test = numbers(name)
    return _rows(files, lambda folder, number: number in test[folder], test)


def drawn(files: Sequence[File], every: int) -> tuple[Rows, Rows]:
    """The rows of files for training and for testing, one of so many for testing (`is_tested`).

    CorruptData for a file whose name ends in no number.
    """
    return _rows(files, lambda folder, number: is_tested(folder, number, every))


def is_tested(folder: str, number: int, every: int) -> bool:
    """Whether a recording is for testing, by its folder and its number from 1 on.

    Of the numbers 1 to `every`, and of each as many after them, one is: the one that the sha256 of
    ``folder/0``, ``folder/1``, ... says. No other recording has a say, so a recording keeps its
    part when others are missing, and each class has its share.
    """
    run, place = divmod(number - 1, every)
    return int(hashlib.sha256(f"{folder}/{run}".encode()).hexdigest(), 16) % every == place


def numbers(name: str) -> dict[str, frozenset[int]]:
    """Folder -> the numbers of its recordings that are for testing."""
    place = resources.files(__package__) / f"{name}.txt"
    text = place.read_bytes()
    if hashlib.sha256(text).hexdigest() != SHA256[name]:
        raise CorruptData(
            f"{place}: is not the list that was published with the book; get it again"
        )
    lines = (line.split() for line in text.decode().splitlines() if not line.startswith("#"))
    return {folder: frozenset(map(int, some)) for folder, *some in lines}


def _rows(
    files: Sequence[File],
    tested: Callable[[str, int], bool],
    folders: Collection[str] | None = None,
) -> tuple[Rows, Rows]:
    """The rows of files for training and for testing; only files in these folders are allowed."""
    in_test = np.zeros(len(files), dtype=bool)
    for row, file in enumerate(files):
        found = _NUMBER.search(PurePosixPath(file.member).stem)
        if folders is not None and file.folder not in folders:
            raise CorruptData(
                f"{file}: the set has no folder {file.folder!r}; allowed: {', '.join(folders)}"
            )
        if found is None:
            raise CorruptData(
                f"{file}: its name ends in no number, by which the split in training and test goes"
            )
        in_test[row] = tested(file.folder, int(found[1]))
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)
