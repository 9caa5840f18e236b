"""Answers about the text of built pages, kept from build to build: reading them all takes long."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from joblib import Memory

from snnbd_book.build.cache import of_files
from snnbd_book.build.settings import Book

F = TypeVar("F", bound=Callable[..., object])

_KEPT = 300  # answers, some five of each page; the oldest go


def remembered(book: Book, function: F) -> F:
    """The function, asked again only for arguments that it was never given before.

    It must answer from its arguments alone. An edit of the builder forgets all answers.
    """
    folder = book.build / "remembered"
    place = folder / _builder()
    for older in folder.glob("*"):
        if older != place:
            shutil.rmtree(older, ignore_errors=True)
    memory = Memory(place, verbose=0)
    memory.reduce_size(items_limit=_KEPT)
    kept: F = memory.cache(function)
    return kept


def _builder() -> str:
    """Hash of the builder's code."""
    return of_files(Path(__file__).parent)[:16]
