"""Is the built book whole? Looks at the HTML as a reader's browser would, without a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from snnbd_book.build.contents import Contents, contents
from snnbd_book.build.remembered import remembered
from snnbd_book.build.settings import Book

_PLACE = re.compile(r"\b0x[0-9a-f]{9,}\b")


def check(book: Book) -> list[str]:
    """What is wrong with the built book, one line each; empty if it is whole."""
    problems: list[str] = []
    chapters = {chapter.page for chapter in book.chapters}
    read_text = remembered(book, contents)
    read = cache(lambda path: read_text(path.read_text(encoding="utf-8")))
    for page in book.pages:
        path = book.html / f"{page}.html"
        if not path.is_file():
            problems.append(f"{page}: there is no {path.relative_to(book.root)}")
            continue
        held = read(path)
        found = [
            *held.problems,
            *_pictures(held, path),
            *_links(held, path, read),
            *_machine(path, book),
        ]
        if page in chapters:
            found += _chapter(held, page, book)
        problems += [f"{page}: {problem}" for problem in found]
    return problems


def _pictures(page: Contents, path: Path) -> Iterator[str]:
    for source in page.pictures:
        if not (path.parent / unquote(source)).is_file():
            yield f"the picture {source} is missing"


def _links(page: Contents, path: Path, read: Callable[[Path], Contents]) -> Iterator[str]:
    for link in page.links:
        target = urlsplit(link)
        if target.scheme or target.netloc:
            continue
        other = path if not target.path else (path.parent / unquote(target.path)).resolve()
        if not other.is_file():
            yield f"the link {link} leads nowhere"
        elif (
            target.fragment
            and other.suffix == ".html"
            and unquote(target.fragment) not in read(other).names
        ):
            yield f"the link {link} names a place that is not on that page"


def _machine(path: Path, book: Book) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if str(book.root.resolve()) in text:
        yield "shows a path of the machine that built it"
    if found := _PLACE.search(text):
        yield f"shows a place in the memory of the machine that built it: {found[0]}"


def _chapter(chapter: Contents, page: str, book: Book) -> Iterator[str]:
    place = f"{book.repository.removeprefix('https://github.com/')}/{book.branch}"
    owner_name, _, branch = place.rpartition("/")
    wanted = {
        "Binder": f"https://mybinder.org/v2/gh/{place}?urlpath=lab/tree/{page}.ipynb",
        "Colab": "https://colab.research.google.com/github/"
        f"{owner_name}/blob/{branch}/{page}.ipynb",
    }
    links = {unquote(link) for link in chapter.links}
    for name, address in wanted.items():
        if address not in links:
            yield f"has no {name} button for {address}"
    for code in chapter.cells:
        if "google.colab" in code or code.strip().startswith("# Parameters"):
            yield f"shows a cell that should be hidden: {code.strip()[:60]!r}"
    if not chapter.has_output:
        yield "shows no output: was it executed?"
