"""The two ways in which data can fail: it is not there, or it is not what it says it is."""

from __future__ import annotations

__all__ = ["CorruptData", "DataNotFound"]


class DataNotFound(FileNotFoundError):  # noqa: N818 - a name of the public contract
    """A data set is not where it was looked for; names the set, the folder and how to get it."""


class CorruptData(ValueError):  # noqa: N818 - a name of the public contract
    """A file's contents are not what they must be; names the file and the first bad place."""
