"""A small book of two chapters in a folder of its own, with this project's settings."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from snnbd_book.build import Book, pdf, write_pairs
from snnbd_book.build.pairing import COLAB_TAGS, colab_cell

TOC = {
    "format": "jb-book",
    "root": "book/intro",
    "parts": [
        {
            "caption": "Chapters",
            "chapters": [{"file": "notebooks/01_one"}, {"file": "notebooks/02_two"}],
        },
        {"caption": "Reference", "chapters": [{"file": "book/built"}]},
    ],
}
INTRO = "# A small book\n\nSee {doc}`../notebooks/01_one`, and $\\beta = 1$.\n"
PARAMETERS = 'PROFILE = "quick"\nSEED = 0\nDEVICE = "auto"'
PICTURE = """\
---
mystnb:
  image:
    alt: A line that rises from 1 to 3.
  figure:
    caption: A rising line.
    name: fig-{name}
---
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(2, 1))
axes.plot([1, 2, 3]);"""

Chapter = Callable[..., str]


def code(source: str) -> str:
    return f"```{{code-cell}} ipython3\n{source}\n```\n"


@pytest.fixture(scope="session")
def browser() -> str:
    """The browser that prints the book, for tests that need one."""
    found = pdf.browser()
    if found is None:
        pytest.skip(f"no browser: looked for {', '.join(pdf.BROWSERS)}")
    return found


@pytest.fixture(scope="session")
def devtools() -> ModuleType:
    """The module ``devtools.py`` beside this file, which is in no package."""
    spec = importlib.util.spec_from_file_location(
        "devtools", Path(__file__).with_name("devtools.py")
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def chapter() -> Chapter:
    """Makes the text of a chapter: ``chapter(book, *cells)``."""

    def make(book: Book, *cells: str, parameters: str = PARAMETERS) -> str:
        parts = [
            "---\nkernelspec:\n  display_name: Python 3\n  name: python3\n---\n",
            "# A chapter\n\nWords.\n",
            code(f":tags: [{', '.join(COLAB_TAGS)}]\n\n{colab_cell(book)}"),
            code(f":tags: [parameters]\n\n{parameters}"),
            *[code(cell) for cell in cells],
        ]
        return "\n".join(parts)

    return make


@pytest.fixture
def empty_book(tmp_path: Path, project: Path) -> Book:
    """Settings and a preface, without chapters."""
    root = tmp_path / "a book"
    (root / "book").mkdir(parents=True)
    (root / "notebooks").mkdir()
    shutil.copy(project / "_config.yml", root)
    shutil.copy(project / "constraints.txt", root)
    shutil.copy(project / "book" / "references.bib", root / "book")
    shutil.copytree(project / "book" / "_static", root / "book" / "_static")
    (root / "_toc.yml").write_text(yaml.safe_dump(TOC), encoding="utf-8")
    (root / "book" / "intro.md").write_text(INTRO, encoding="utf-8")
    return Book(root)


@pytest.fixture
def book(empty_book: Book, chapter: Chapter) -> Book:
    """The small book, its two chapters paired."""
    for name in ("01_one", "02_two"):
        cells = (PICTURE.format(name=name), "print(PROFILE, SEED, DEVICE)")
        text = chapter(empty_book, *cells)
        (empty_book.root / "notebooks" / f"{name}.md").write_text(text, encoding="utf-8")
    write_pairs(empty_book)
    return empty_book


@pytest.fixture
def rewrite(chapter: Chapter) -> Callable[..., None]:
    """Puts other cells into a chapter: ``rewrite(book, name, *cells)``, and pairs it."""

    def apply(book: Book, name: str, *cells: str, parameters: str = PARAMETERS) -> None:
        text = chapter(book, *cells, parameters=parameters)
        (book.root / "notebooks" / f"{name}.md").write_text(text, encoding="utf-8")
        write_pairs(book)

    return apply
