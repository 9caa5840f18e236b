"""The moving picture of the first page."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from snnbd_book.build import Book, BookError, preface

ASKS = "# A book\n\n```{raw} html\n:file: attacked.html\n```\n"


@pytest.fixture
def staged(empty_book: Book, tmp_path: Path) -> Path:
    """A stage whose first page asks for the picture, and a chapter that makes none."""
    folder = tmp_path / "stage"
    (folder / "book").mkdir(parents=True)
    (folder / "notebooks").mkdir()
    (folder / "book" / "intro.md").write_text(ASKS, encoding="utf-8")
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), folder / "notebooks" / "01_one.ipynb")
    return folder


def test_the_first_page_shows_what_a_chapter_made(empty_book: Book, staged: Path) -> None:
    made = new_output("execute_result", data={"text/html": "<img alt='moves'>"})
    cell = new_code_cell("draw()", metadata={"tags": ["front-page"]}, outputs=[made])
    nbformat.write(new_notebook(cells=[cell]), staged / "notebooks" / "02_two.ipynb")
    preface.write(empty_book, staged)
    assert (staged / "book" / "attacked.html").read_text(encoding="utf-8") == "<img alt='moves'>"


def test_a_picture_that_no_chapter_makes_is_missed(empty_book: Book, staged: Path) -> None:
    with pytest.raises(BookError, match="no chapter has a cell tagged 'front-page'"):
        preface.write(empty_book, staged)


def test_a_first_page_without_the_picture_needs_none(empty_book: Book, staged: Path) -> None:
    (staged / "book" / "intro.md").write_text("# A book\n", encoding="utf-8")
    preface.write(empty_book, staged)
    assert not (staged / "book" / "attacked.html").exists()
