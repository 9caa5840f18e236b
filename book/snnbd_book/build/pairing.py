"""Each chapter twice: ``.md`` (MyST, edited by people) and ``.ipynb`` (opened by Binder and Colab).

The ``.md`` is the source and the ``.ipynb`` is made from it, always with the same bytes: no
outputs, no counts, no versions, and cell ids that depend on the cell's text alone, so that a
change in one cell is a change in one place of the ``.ipynb``.
"""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from snnbd_book.build.settings import CHAPTER_FOLDER, Book, BookError, Parameters

METADATA = {
    "jupytext": {"formats": "md:myst,ipynb"},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

COLAB_TAGS = ["colab", "remove-cell"]
COLAB_CELL = """\
# On Google Colab only: install the library from the repository. Elsewhere this does nothing.
import sys

if "google.colab" in sys.modules:
    %pip install --quiet "snnbd[sweep] @ git+{repository}@{branch}"
"""


def colab_cell(book: Book) -> str:
    """The code that every chapter starts with, for this book's repository."""
    return COLAB_CELL.format(repository=book.repository, branch=book.branch).strip()


def notebook_of(text: Path) -> str:
    """The ``.ipynb`` that belongs to a ``.md``, as it must stand in the file.

    Raises:
        BookError: jupytext cannot read the text.
    """
    try:
        notebook = jupytext.read(text, fmt="md:myst")
    except Exception as error:  # jupytext raises whatever its YAML and MyST parsers do
        raise BookError(f"{text} is not a MyST notebook: {error}") from error
    notebook.metadata = NotebookNode(METADATA)
    notebook.nbformat_minor = 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def texts(book: Book) -> list[Path]:
    """The chapters' sources, whether the table of contents names them or not."""
    return sorted((book.root / CHAPTER_FOLDER).glob("*.md"))


def write_pairs(book: Book) -> list[Path]:
    """Writes the ``.ipynb`` of every ``.md`` where it differs; the files written."""
    written = []
    for text in texts(book):
        content = notebook_of(text)
        target = text.with_suffix(".ipynb")
        if not target.is_file() or target.read_text(encoding="utf-8") != content:
            target.write_text(content, encoding="utf-8")
            written.append(target)
    return written


def check_pairs(book: Book) -> list[str]:
    """What is wrong with the pairs and with the cells every chapter must have; empty if nothing."""
    problems = []
    sources = texts(book)
    for text in sources:
        target = text.with_suffix(".ipynb")
        name = target.relative_to(book.root)
        if not target.is_file():
            problems.append(f"{name} is missing: run `snnbd pair`")
        elif target.read_text(encoding="utf-8") != notebook_of(text):
            problems.append(f"{name} is not what {text.name} says: run `snnbd pair`")
        problems += [
            f"{text.relative_to(book.root)}: {problem}"
            for problem in _missing_cells(nbformat.reads(notebook_of(text), as_version=4), book)
        ]
    known = {text.stem for text in sources}
    for notebook in sorted((book.root / CHAPTER_FOLDER).glob("*.ipynb")):
        if notebook.stem not in known:
            problems.append(f"{notebook.relative_to(book.root)} has no .md beside it")
    return problems


def _missing_cells(notebook: NotebookNode, book: Book) -> list[str]:
    problems = []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    expected = colab_cell(book)
    if not code or code[0].source != expected or code[0].metadata.get("tags") != COLAB_TAGS:
        problems.append(
            f"the first code cell must have the tags {COLAB_TAGS} and the text\n{expected}"
        )
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        problems.append(f"must have one cell with the tag 'parameters', has {len(tagged)}")
    elif missing := sorted(Parameters().values.keys() - _assigned(tagged[0].source)):
        problems.append(f"the parameters cell does not set {', '.join(missing)}")
    return problems


def _assigned(source: str) -> set[str]:
    return {
        target.id
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
