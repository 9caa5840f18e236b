"""Lays out what Sphinx reads: settings, prose pages, executed chapters, the generated page.

Page paths below the stage equal repository paths, because jupyter-book makes the Binder and Colab
links from them. Only the executed ``.ipynb`` of a chapter is staged: with its ``.md`` beside it
Sphinx would find two sources for one page.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from snnbd_book.build import findings, status
from snnbd_book.build.settings import Book

INJECTED = "injected-parameters"
HIDDEN = "remove-cell"


def stage(book: Book, executed: dict[str, Path], folder: Path, *, only: bool = False) -> None:
    """Makes ``folder`` anew from ``executed`` (page -> executed notebook).

    With ``only``, the table of contents holds the executed pages alone; otherwise the book's own.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy2(book.root / "_config.yml", folder)
    if only:
        root, *rest = executed
        toc: dict[str, object] = {"format": "jb-book", "root": root}
        if rest:
            toc["chapters"] = [{"file": page} for page in rest]
        (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    else:
        shutil.copy2(book.root / "_toc.yml", folder)
    shutil.copytree(book.root / "book", folder / "book")
    notebooks = {page: nbformat.read(path, as_version=4) for page, path in executed.items()}
    (folder / f"{status.PAGE}.md").write_text(status.page(notebooks), encoding="utf-8")
    for page, notebook in notebooks.items():
        target = folder / f"{page}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(clean(notebook), target)


def clean(notebook: NotebookNode) -> NotebookNode:
    """Takes papermill's times and paths out, and hides the cell that it put in."""
    findings.without_roles(notebook)
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        tags = cell.metadata.get("tags", [])
        if INJECTED in tags and HIDDEN not in tags:
            cell.metadata["tags"] = [*tags, HIDDEN]
    return notebook
