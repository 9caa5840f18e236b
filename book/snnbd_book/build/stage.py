"""Lays out what Sphinx reads: settings, prose pages, executed chapters, the generated page.

Page paths below the stage equal repository paths, because jupyter-book makes the Binder and Colab
links from them. Only the executed ``.ipynb`` of a chapter is staged: with its ``.md`` beside it
Sphinx would find two sources for one page.
"""

from __future__ import annotations

import copy
import filecmp
import html
import os
import shutil
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from snnbd_book.build import findings, pdf, status
from snnbd_book.build.settings import Book

INJECTED = "injected-parameters"


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
    notebooks = {
        page: with_text_of(
            nbformat.read(book.root / f"{page}.ipynb", as_version=4),
            nbformat.read(path, as_version=4),
        )
        for page, path in executed.items()
    }
    (folder / f"{status.PAGE}.md").write_text(status.page(notebooks), encoding="utf-8")
    for page, notebook in notebooks.items():
        target = folder / f"{page}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        notebook.metadata.pop("papermill", None)  # times and paths
        nbformat.write(notebook, target)


def keep_times(before: Path, now: Path) -> bool:
    """Gives files that did not change the times they had, by which Sphinx tells what to read.

    The page that mentions the PDF is left out: the builder writes a link into it afterwards.

    Args:
        before: the last stage; may be missing.
        now: the new stage.

    Returns:
        Whether both hold files of the same names.
    """
    files = {path.relative_to(now) for path in now.rglob("*") if path.is_file()}
    for name in files - {Path(f"{pdf.LINKED_FROM}.md")}:
        old, new = before / name, now / name
        if old.is_file() and filecmp.cmp(old, new, shallow=False):
            times = old.stat()
            os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
    return files == {path.relative_to(before) for path in before.rglob("*") if path.is_file()}


def with_text_of(source: NotebookNode, executed: NotebookNode) -> NotebookNode:
    """An executed chapter with the text, captions and tags that its source has now.

    The code of both is the same, see `cache.key`: a chapter whose text alone changed is not
    executed again.
    """
    outputs = (
        cell.outputs
        for cell in executed.cells
        if cell.cell_type == "code" and INJECTED not in cell.metadata.get("tags", [])
    )
    whole: NotebookNode = copy.deepcopy(source)
    whole.metadata = executed.metadata
    for cell in whole.cells:
        if cell.cell_type == "code":
            cell.outputs = next(outputs)
    findings.without_roles(whole)
    for cell in whole.cells:
        _described(cell)
    return whole


def _described(cell: NotebookNode) -> None:
    """Puts a cell's alternative text into pictures that it shows as HTML."""
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    for output in cell.get("outputs", ()) if alt else ():
        shown = output.get("data", {})
        if "text/html" in shown:
            text = "".join(shown["text/html"])
            shown["text/html"] = text.replace('alt=""', f'alt="{html.escape(alt)}"')
