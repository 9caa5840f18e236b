"""What can be wrong with data: it is not there, or its contents are damaged."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CorruptData", "DataNotFound", "missing"]


class DataNotFound(FileNotFoundError):  # noqa: N818 - a name of the public contract
    """A data set was not found; the message names it, the folder and how to get it."""


class CorruptData(ValueError):  # noqa: N818 - a name of the public contract
    """The contents of a file are damaged; the message names the file and the first bad record."""


def missing(name: str, root: Path, what: str) -> DataNotFound:
    """The error for a set that a folder does not hold; `what` ends in how to get it."""
    how = "or pass root=, or set $SNNBD_DATA, to the folder that holds it"
    return DataNotFound(f"{name}: {root} holds neither {what}, {how}")
