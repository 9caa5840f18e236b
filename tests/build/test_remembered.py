"""What was read of a page is read again when the page or the builder changes, and never else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snnbd_book.build import Book
from snnbd_book.build import remembered as module
from snnbd_book.build.contents import contents
from snnbd_book.build.remembered import remembered

PAGE = '<article id="top"><h1>Title</h1><a href="other.html#place">x</a></article>'


def counted(book: Book, log: Path) -> Callable[[str], int]:
    return remembered(book, _length(log))


def _length(log: Path) -> Callable[[str], int]:
    def length(text: str) -> int:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
        return len(text)

    return length


def test_an_answer_is_given_once_to_each_text(book: Book, tmp_path: Path) -> None:
    log = tmp_path / "asked"
    for _ in range(2):  # as two builds would
        length = counted(book, log)
        assert [length("page"), length("longer"), length("page")] == [4, 6, 4]
    assert log.read_text(encoding="utf-8").split() == ["page", "longer"]


def test_an_edit_of_the_builder_forgets_all(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "asked"
    counted(book, log)("page")
    monkeypatch.setattr(module, "_builder", lambda: "edited")
    counted(book, log)("page")
    assert log.read_text(encoding="utf-8").split() == ["page", "page"]
    assert [path.name for path in (book.build / "remembered").iterdir()] == ["edited"]


def test_what_is_remembered_of_a_page_is_what_was_read(book: Book) -> None:
    first, second = (remembered(book, contents)(PAGE) for _ in range(2))
    assert first == second == contents(PAGE)
    assert first.links == ("other.html#place",)
    assert first.names == {"top"}
