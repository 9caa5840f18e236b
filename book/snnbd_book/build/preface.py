"""The moving picture of the preface: made by a chapter, in its cell with the tag `TAG`."""

from __future__ import annotations

from pathlib import Path

import nbformat

from snnbd_book.build.settings import Book, BookError

PICTURE = "attacked.html"
TAG = "front-page"


def write(book: Book, folder: Path) -> None:
    """Writes the picture into the staged book, where the first page asks for it.

    Raises:
        BookError: the page asks for it and no chapter makes it.
    """
    page = folder / f"{book.pages[0]}.md"
    if not page.is_file() or PICTURE not in page.read_text(encoding="utf-8"):
        return
    for path in sorted(folder.glob("notebooks/*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if TAG in cell.metadata.get("tags", ()) and cell.outputs:
                (page.parent / PICTURE).write_text(cell.outputs[0].data["text/html"], "utf-8")
                return
    raise BookError(f"{book.pages[0]} shows {PICTURE}, and no chapter has a cell tagged {TAG!r}")
