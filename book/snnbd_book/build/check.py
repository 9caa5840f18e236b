"""Is the built book whole? Looks at the HTML as a reader's browser would, without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from snnbd_book.build.settings import Book

# The alternative text that myst-nb falls back on is the picture's hash.
HASH = re.compile(r"^(_images/|\.\./)*[0-9a-f]{16,}(\.\w+)?$")
# What a browser fetches by itself, and the kinds of links among it.
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
FETCHED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect"}
# What sphinx and myst-nb leave in a page when a reference, a glued value or a citation fails.
LEFTOVERS = ("problematic", "system-message", "pasted-missing")


def check(book: Book) -> list[str]:
    """What is wrong with the built book, one line each; empty if it is whole."""
    problems: list[str] = []
    chapters = {chapter.page for chapter in book.chapters}
    for page in book.pages:
        path = book.html / f"{page}.html"
        if not path.is_file():
            problems.append(f"{page}: there is no {path.relative_to(book.root)}")
            continue
        soup = _read(path)
        found = [
            *_text(soup),
            *_pictures(soup, path),
            *_links(soup, path),
            *_foreign(soup),
            *_machine(path, book),
        ]
        if page in chapters:
            found += _chapter(soup, page, book)
        problems += [f"{page}: {problem}" for problem in found]
    return problems


@cache
def _parse(page: str) -> BeautifulSoup:
    return BeautifulSoup(page, "html.parser")


def _read(path: Path) -> BeautifulSoup:
    return _parse(path.read_text(encoding="utf-8"))


def _article(soup: BeautifulSoup) -> Tag:
    """The page's own content, without the theme's frame."""
    return soup.find("article") or soup


def _text(soup: BeautifulSoup) -> Iterator[str]:
    article = _article(soup)
    heading = article.find("h1")
    if heading is None or not heading.get_text(strip=True).strip("#"):
        yield "has no title"
    for name in LEFTOVERS:
        for tag in article.find_all(class_=name):
            yield f"a reference failed: {tag.get_text(' ', strip=True)[:80]!r}"
    if article.find(class_="stderr"):
        yield "a cell wrote to stderr"
    if article.find(class_="traceback") or "Traceback (most recent call last)" in article.text:
        yield "a cell shows a traceback"
    if "{glue" in article.text:
        yield "a glue directive was not understood"
    for formula in article.find_all(class_="math"):
        if formula.find("math") is None:
            yield f"a formula is not set: {formula.text[:60]!r}"


def _pictures(soup: BeautifulSoup, path: Path) -> Iterator[str]:
    for image in _article(soup).find_all("img"):
        source, text = str(image.get("src", "")), str(image.get("alt", "")).strip()
        if not text or HASH.match(text) or text == source:
            yield f"the picture {source[:60]} has no alternative text (alt={text[:40]!r})"
        if not source.startswith("data:") and not (path.parent / unquote(source)).is_file():
            yield f"the picture {source} is missing"


def _foreign(soup: BeautifulSoup) -> Iterator[str]:
    """What a browser would fetch from another host as soon as it opens the page."""
    for name, key in FETCHED.items():
        for tag in soup.find_all(name, attrs={key: True}):
            fetched = name != "link" or FETCHED_LINKS & set(tag.get("rel") or ())
            host = urlsplit(str(tag[key])).netloc
            if fetched and host:
                yield f"asks {host} for {tag[key]}"


def _links(soup: BeautifulSoup, path: Path) -> Iterator[str]:
    for link in soup.find_all("a", href=True):
        target = urlsplit(str(link["href"]))
        if target.scheme or target.netloc:
            continue
        other = path if not target.path else (path.parent / unquote(target.path)).resolve()
        if not other.is_file():
            yield f"the link {link['href']} leads nowhere"
        elif target.fragment and other.suffix == ".html":
            name = unquote(target.fragment)
            if name not in _anchors(other.read_text(encoding="utf-8")):
                yield f"the link {link['href']} names a place that is not on that page"


@cache
def _anchors(page: str) -> frozenset[str]:
    named = _parse(page).find_all(lambda tag: tag.has_attr("id") or tag.has_attr("name"))
    return frozenset(str(tag[key]) for tag in named for key in ("id", "name") if tag.has_attr(key))


def _machine(path: Path, book: Book) -> Iterator[str]:
    if str(book.root.resolve()) in path.read_text(encoding="utf-8"):
        yield "shows a path of the machine that built it"


def _chapter(soup: BeautifulSoup, page: str, book: Book) -> Iterator[str]:
    place = f"{book.repository.removeprefix('https://github.com/')}/{book.branch}"
    owner_name, _, branch = place.rpartition("/")
    wanted = {
        "Binder": f"https://mybinder.org/v2/gh/{place}?urlpath=lab/tree/{page}.ipynb",
        "Colab": "https://colab.research.google.com/github/"
        f"{owner_name}/blob/{branch}/{page}.ipynb",
    }
    links = {unquote(str(link["href"])) for link in soup.find_all("a", href=True)}
    for name, address in wanted.items():
        if address not in links:
            yield f"has no {name} button for {address}"
    for cell in _article(soup).find_all(class_="cell_input"):
        code = cell.get_text()
        if "google.colab" in code or code.strip().startswith("# Parameters"):
            yield f"shows a cell that should be hidden: {code.strip()[:60]!r}"
    if not _article(soup).find(class_="cell_output"):
        yield "shows no output: was it executed?"
