"""What is wrong with a network that somebody sent."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

FAULTS = (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError, struct.error)

__all__ = ["CorruptNetwork", "named"]


class CorruptNetwork(ValueError):  # noqa: N818 - the name is part of the public contract
    """A file holds no network that can be run; the message names the file, the node and its kind.

    So are damaged files, files that ask for too much memory or reach outside themselves, and
    networks of kinds that are not supported.
    """


@contextmanager
def named(what: str) -> Iterator[None]:
    """Names in the message of an error what is read or built inside the block."""
    try:
        yield
    except CorruptNetwork as error:
        raise CorruptNetwork(f"{what}: {error}") from error
    except KeyError as error:
        raise CorruptNetwork(f"{what} has no {error}") from error
    except FAULTS as error:
        raise CorruptNetwork(f"{what} cannot be read: {error}") from error
