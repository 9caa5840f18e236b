"""From sources to HTML: the one function behind ``make book``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from snnbd_book.build import (
    cache,
    findings,
    leaderboard,
    pdf,
    performance,
    preface,
    repeating,
    reproduction,
)
from snnbd_book.build.check import check
from snnbd_book.build.execute import execute, shared_workers
from snnbd_book.build.pairing import check_pairs
from snnbd_book.build.settings import Book, BookError, Parameters
from snnbd_book.build.stage import keep_times, stage


def build(book: Book, parameters: Parameters, *, only: str | None = None, console: Console) -> Path:
    """Executes the chapters that changed, renders the book and checks it; its first page.

    With ``only``, the one chapter is executed and rendered in a book without the other chapters,
    in a folder of its own, so that the whole book stays as it was built.

    Raises:
        BookError: a pair is out of step, a finding does not hold, a cell failed, Sphinx warned, or
            the book is not whole.
        ValueError: no chapter is called ``only``.
    """
    chapters = book.select(only)
    whole = book.build / "whole"
    if only is None and _is_whole(book, parameters, whole):
        for chapter in chapters:
            console.print(f"{chapter.name}: nothing changed since it was executed")
        console.print("HTML: nothing changed since it was rendered")
        pdf.write(book, console)
        return book.html / "index.html"
    told = findings.told(book)
    if problems := check_pairs(book) + told.problems:
        raise BookError("\n".join(problems))
    pages = None if only is None else [chapter.page for chapter in chapters]
    environment = dict(os.environ)  # before Dask puts its workers' variables there
    with shared_workers() as scheduler:
        reproduction.run_claims(book, parameters, pages, scheduler, console)
        executed = execute(book, chapters, parameters, scheduler, console, environment)
    if only is not None:
        return _single(book, executed, f"{only}.{parameters.profile}", console)
    before = book.build / "stage.before"
    shutil.rmtree(before, ignore_errors=True)
    if book.stage.is_dir():
        book.stage.rename(before)
    stage(book, executed, book.stage)
    reproduction.write(book, parameters, book.stage)
    findings.write(book, book.stage, told)
    preface.write(book, book.stage)
    performance.write(book, book.stage)
    if repeating.PAGE in book.pages:
        repeating.write(book.stage)
    if leaderboard.PAGE in book.pages:
        leaderboard.write(book.stage)
    _render_changed(book, keep_times(before, book.stage), console)
    pdf.write(book, console)
    if problems := check(book):
        raise BookError("the book is not whole:\n" + "\n".join(problems))
    whole.write_text(cache.everything(book, parameters), encoding="utf-8")
    return book.html / "index.html"


def _is_whole(book: Book, parameters: Parameters, mark: Path) -> bool:
    """Whether a build ended well and nothing has changed since, in its sources or its pages."""
    printed = (book.html / pdf.NAME).is_file() or pdf.browser() is None
    return (
        printed
        and mark.is_file()
        and mark.read_text(encoding="utf-8") == cache.everything(book, parameters)
    )


def _render_changed(book: Book, same_files: bool, console: Console) -> None:
    """Renders the pages that changed since the last rendering without a warning, or all.

    All, where files came or went, the builder changed, or the last rendering warned: Sphinx does
    not repeat the warnings of a page that it has read before, so a second call would pass where the
    first one failed.
    """
    mark = book.build / "rendered"
    pages, builder = cache.of_files(book.stage), cache.of_files(Path(__file__).parent)
    last = mark.read_text(encoding="utf-8").split() if mark.is_file() else []
    if book.html.is_dir() and last == [pages, builder]:
        console.print("HTML: nothing changed since it was rendered")
        return
    mark.unlink(missing_ok=True)
    console.print("Rendering the HTML")
    if same_files and last[1:] == [builder]:
        (book.html / pdf.NAME).unlink(missing_ok=True)
    else:
        for old in (book.html, book.build / ".doctrees"):
            shutil.rmtree(old, ignore_errors=True)
    _render(book.stage, book.root, "--warningiserror", "--keep-going")
    mark.write_text(f"{pages} {builder}", encoding="utf-8")


def _single(book: Book, executed: dict[str, Path], name: str, console: Console) -> Path:
    """Renders chapters alone. Their links to other pages lead nowhere, so warnings pass."""
    folder = book.build / "single" / name
    shutil.rmtree(folder, ignore_errors=True)
    stage(book, executed, folder / "stage", only=True)
    console.print("Rendering the HTML of this chapter alone")
    _render(folder / "stage", folder)
    return folder / "_build" / "html" / "index.html"


def _render(stage: Path, output: Path, *options: str) -> None:
    """Runs jupyter-book on a stage; the HTML is then in ``output/_build/html``."""
    tool = Path(sys.executable).parent / "jupyter-book"
    result = subprocess.run(
        [str(tool), "build", str(stage), "--path-output", str(output), "--quiet", *options],
        env=os.environ | {"NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise BookError(f"jupyter-book failed ({result.returncode}):\n{result.stdout}")
