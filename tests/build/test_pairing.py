"""Chapters as text and as notebook: same content, no outputs, the cells every chapter needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from snnbd_book.build import Book, BookError, check_pairs, write_pairs
from snnbd_book.build.pairing import colab_cell, notebook_of

Rewrite = Callable[..., None]


def ids(path: Path) -> list[str]:
    return [cell["id"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def test_the_chapters_of_this_book_and_their_notebooks_agree(project: Path) -> None:
    assert check_pairs(Book(project)) == []


def test_a_notebook_holds_the_cells_that_jupytext_reads_from_the_text(book: Book) -> None:
    text = book.root / "notebooks" / "01_one.md"
    notebook = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    expected = [(cell.cell_type, cell.source) for cell in jupytext.read(text).cells]
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == expected


def test_pairing_again_changes_nothing(book: Book) -> None:
    before = (book.root / "notebooks" / "01_one.ipynb").read_bytes()
    assert write_pairs(book) == []
    assert (book.root / "notebooks" / "01_one.ipynb").read_bytes() == before


def test_changing_one_cell_changes_one_id(book: Book, rewrite: Rewrite) -> None:
    path = book.root / "notebooks" / "01_one.ipynb"
    rewrite(book, "01_one", "a = 1", "b = 2", "c = 3")
    before = ids(path)
    rewrite(book, "01_one", "a = 1", "b = 20", "c = 3")
    assert [old == new for old, new in zip(before, ids(path), strict=True)].count(False) == 1


def test_two_equal_cells_have_different_ids(book: Book, rewrite: Rewrite) -> None:
    rewrite(book, "01_one", "a = 1", "a = 1")
    found = ids(book.root / "notebooks" / "01_one.ipynb")
    assert len(set(found)) == len(found)


def test_a_notebook_with_outputs_is_out_of_step(book: Book) -> None:
    path = book.root / "notebooks" / "01_one.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="hello")]
    nbformat.write(notebook, path)
    assert [line.split(":")[0] for line in check_pairs(book)] == [
        "notebooks/01_one.ipynb is not what 01_one.md says"
    ]


def test_a_text_that_changed_without_its_notebook_is_out_of_step(book: Book) -> None:
    path = book.root / "notebooks" / "02_two.md"
    path.write_text(path.read_text(encoding="utf-8") + "\nMore.\n", encoding="utf-8")
    assert len(check_pairs(book)) == 1
    assert write_pairs(book) == [path.with_suffix(".ipynb")]
    assert check_pairs(book) == []


def test_a_missing_and_a_stray_notebook_are_named(book: Book) -> None:
    (book.root / "notebooks" / "01_one.ipynb").rename(book.root / "notebooks" / "09_stray.ipynb")
    first, second = check_pairs(book)
    assert first.startswith("notebooks/01_one.ipynb is missing")
    assert second == "notebooks/09_stray.ipynb has no .md beside it"


def test_a_chapter_must_start_with_the_colab_cell(book: Book) -> None:
    path = book.root / "notebooks" / "01_one.md"
    path.write_text(path.read_text(encoding="utf-8").replace("@main", "@other"), encoding="utf-8")
    write_pairs(book)
    (problem,) = check_pairs(book)
    assert problem.startswith("notebooks/01_one.md: the first code cell must have the tags")
    assert colab_cell(book) in problem


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ('PROFILE = "quick"', "the parameters cell does not set DEVICE, SEED"),
        ("```\n\n```{code-cell} ipython3\n:tags: [parameters]\n\nSEED = 1", "must have one cell"),
    ],
)
def test_a_chapter_must_set_its_parameters_in_one_cell(
    book: Book, rewrite: Rewrite, parameters: str, message: str
) -> None:
    rewrite(book, "01_one", parameters=parameters)
    (problem,) = check_pairs(book)
    assert message in problem


def test_a_text_that_is_no_notebook_is_named(book: Book) -> None:
    path = book.root / "notebooks" / "01_one.md"
    path.write_text("---\nkernelspec: [\n---\n", encoding="utf-8")
    with pytest.raises(BookError, match=r"01_one.md is not a MyST notebook"):
        notebook_of(path)


def run_colab_cell(book: Book, monkeypatch: pytest.MonkeyPatch, *, colab: bool) -> list[Any]:
    class Shell:
        def run_line_magic(self, name: str, line: str) -> None:
            calls.append((name, line))

    calls: list[Any] = []
    if colab:
        monkeypatch.setitem(__import__("sys").modules, "google.colab", object())
    source = TransformerManager().transform_cell(colab_cell(book))
    exec(compile(source, "colab", "exec"), {"get_ipython": Shell})
    return calls


def test_the_colab_cell_installs_the_library_from_the_repository_and_pins_nothing(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((name, line),) = run_colab_cell(book, monkeypatch, colab=True)
    assert name == "pip"
    assert line == f'install --quiet "snnbd[sweep] @ git+{book.repository}@main"'


def test_the_colab_cell_does_nothing_elsewhere(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_colab_cell(book, monkeypatch, colab=False) == []
