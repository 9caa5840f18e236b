"""Splits of sets that were published without: lists by name, committed, with their hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import PurePosixPath

import numpy as np

from snnbd_core.data.errors import CorruptData
from snnbd_core.data.samples import Rows
from snnbd_core.data.stores import File

__all__ = ["SHA256", "listed", "numbers"]

SHA256 = {"cifar10-dvs": "81a01bc3e83289aa82ecda3ffcf9333734fa0f4299b43ae972651da08d9786ad"}
"""Of each list. An edited list would be another split under the same name."""

_NUMBER = re.compile(r"(\d+)$")


def listed(name: str, files: Sequence[File]) -> tuple[Rows, Rows]:
    """The rows of files for training and for testing, by their folder and the number in their name.

    Raises:
        CorruptData: an edited list, or a file that the whole set does not have.
    """
    test = numbers(name)
    in_test = np.zeros(len(files), dtype=bool)
    for row, file in enumerate(files):
        found = _NUMBER.search(PurePosixPath(file.member).stem)
        if file.folder not in test or found is None:
            raise CorruptData(
                f"{file}: its name ends in no number, by which the split in training and test goes"
            )
        in_test[row] = int(found[1]) in test[file.folder]
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


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
