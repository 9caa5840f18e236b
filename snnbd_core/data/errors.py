"""What can be wrong with data: it is not there, or its contents are damaged."""

from __future__ import annotations

__all__ = ["CorruptData", "DataNotFound"]


class DataNotFound(FileNotFoundError):  # noqa: N818 - a name of the public contract
    """A data set was not found; the message names it, the folder and how to get it."""


class CorruptData(ValueError):  # noqa: N818 - a name of the public contract
    """The contents of a file are damaged; the message names the file and the first bad record."""
