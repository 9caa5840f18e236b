"""An executed chapter is used again exactly as long as nothing it depends on has changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode, v4

import snnbd_core
from snnbd_book.build import Book, Parameters
from snnbd_book.build import cache as stored_chapters
from snnbd_book.build.stage import with_text_of

Rewrite = Callable[..., None]


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the library's folder, so that a test may change a file in it."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "__init__.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(snnbd_core, "__file__", str(folder / "__init__.py"))
    return folder


def keys(book: Book, parameters: Parameters | None = None) -> list[str]:
    return [stored_chapters.key(chapter, parameters or Parameters()) for chapter in book.chapters]


def test_the_key_does_not_depend_on_the_folder(book: Book, tmp_path: Path) -> None:
    copy = shutil.copytree(book.root, tmp_path / "elsewhere")
    assert keys(Book(copy)) == keys(book)


def test_a_change_in_one_chapter_changes_its_key_alone(book: Book, rewrite: Rewrite) -> None:
    before = keys(book)
    rewrite(book, "02_two", "print('other')")
    assert [old == new for old, new in zip(before, keys(book), strict=True)] == [True, False]


@pytest.mark.parametrize(
    "parameters", [Parameters("sample"), Parameters(seed=1), Parameters(device="cpu")]
)
def test_other_parameters_have_another_key(book: Book, parameters: Parameters) -> None:
    assert set(keys(book)).isdisjoint(keys(book, parameters))


def test_a_change_of_text_alone_changes_no_key(book: Book) -> None:
    before = keys(book)
    for chapter in book.chapters:
        notebook = nbformat.read(chapter.notebook, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source += " Another sentence."
            elif "mystnb" in cell.metadata:
                cell.metadata["mystnb"] = {"figure": {"caption": "Another."}}
        nbformat.write(notebook, chapter.notebook)
    assert keys(book) == before


def test_executed_code_is_put_under_the_text_and_captions_of_today() -> None:
    def notebook(text: str, caption: str, code: tuple[str, ...]) -> NotebookNode:
        cells = [v4.new_markdown_cell(text)]
        cells += [v4.new_code_cell(source, metadata={"c": caption}) for source in code]
        return v4.new_notebook(cells=cells)

    executed = notebook("old", "old", ("SEED = 0", "SEED = 1", "SEED + 1"))
    executed.cells[2].metadata["tags"] = ["injected-parameters"]
    executed.cells[3].outputs = [v4.new_output("stream", text="2")]
    executed.metadata["papermill"] = {"duration": 3}
    whole = with_text_of(notebook("new", "new", ("SEED = 0", "SEED + 1")), executed)
    assert [cell.source for cell in whole.cells] == ["new", "SEED = 0", "SEED + 1"]
    assert whole.cells[2].outputs[0]["text"] == "2"
    assert whole.cells[2].metadata["c"] == "new"
    assert whole.metadata["papermill"] == {"duration": 3}


@pytest.mark.parametrize("name", ["__init__.py", "deeper/new.py", "data.bin"])
def test_a_change_in_the_library_changes_every_key(book: Book, library: Path, name: str) -> None:
    before = keys(book)
    (library / name).parent.mkdir(exist_ok=True)
    (library / name).write_text("x = 2\n", encoding="utf-8")
    assert set(before).isdisjoint(keys(book))


@pytest.mark.parametrize(
    "name", ["constraints.txt", "claims/poster.yaml", "results/recorded/a.jsonl"]
)
def test_a_change_in_pins_claims_or_recorded_results_changes_every_key(
    book: Book, name: str
) -> None:
    before = keys(book)
    path = book.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed", encoding="utf-8")
    assert set(before).isdisjoint(keys(book))


@pytest.mark.parametrize(
    "name",
    [
        "book/intro.md",
        "notebooks/01_one.md",
        "results/run.jsonl",
        "_config.yml",
        "_build/html/book/intro.html",
    ],
)
def test_any_change_of_source_record_or_page_is_a_change_of_the_whole(
    book: Book, name: str
) -> None:
    before = stored_chapters.everything(book, Parameters())
    assert stored_chapters.everything(book, Parameters()) == before
    assert stored_chapters.everything(book, Parameters(seed=1)) != before
    path = book.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("\nMore.\n")
    assert stored_chapters.everything(book, Parameters()) != before


def test_compiled_files_and_results_of_local_runs_change_no_key(book: Book, library: Path) -> None:
    before = keys(book)
    (library / "a.pyc").write_bytes(b"compiled")
    (book.root / "results").mkdir()
    (book.root / "results" / "run.jsonl").write_text("{}", encoding="utf-8")
    assert keys(book) == before


def test_another_version_of_a_package_changes_every_key(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(book)
    monkeypatch.setattr(stored_chapters, "installed_versions", lambda: {"torch": "0.0"})
    assert set(before).isdisjoint(keys(book))


def test_the_data_folder_matters_only_where_it_is_read(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SNNBD_DATA", raising=False)
    quick, sample = keys(book), keys(book, Parameters("sample"))
    monkeypatch.setenv("SNNBD_DATA", "elsewhere")
    assert keys(book) == quick
    assert set(sample).isdisjoint(keys(book, Parameters("sample")))


def test_only_older_copies_of_the_same_run_are_dropped(book: Book) -> None:
    (chapter, other) = book.chapters
    kept = [
        stored_chapters.stored(book, chapter, Parameters()),
        stored_chapters.stored(book, chapter, Parameters("sample")),
        stored_chapters.stored(book, other, Parameters()),
    ]
    old = kept[0].with_name("01_one.quick.0.auto.0123456789abcdef.ipynb")
    kept[0].parent.mkdir(parents=True)
    for path in [*kept, old]:
        path.write_text("{}", encoding="utf-8")
    stored_chapters.drop_older(kept[0])
    assert sorted(kept[0].parent.iterdir()) == sorted(kept)
