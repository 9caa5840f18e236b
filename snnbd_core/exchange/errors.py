"""What is wrong with a network that somebody sent."""

from __future__ import annotations

__all__ = ["CorruptNetwork"]


class CorruptNetwork(ValueError):  # noqa: N818 - the name is part of the public contract
    """A file holds no network that can be run; the message names the file, the node and its kind.

    Raised for damaged files, for files that ask for too much memory or reach outside themselves,
    and for networks of kinds that are not supported.
    """
