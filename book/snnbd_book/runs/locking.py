"""Locks between processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

CHANGES_NO_NUMBER = True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it, even a killed one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield
