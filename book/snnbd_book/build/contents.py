"""What a rendered page holds, as far as `check` asks: read once from its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag

# The alternative text that myst-nb falls back on is the picture's hash.
HASH = re.compile(r"^(_images/|\.\./)*[0-9a-f]{16,}(\.\w+)?$")
# What a browser fetches by itself, and the kinds of links among it.
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
FETCHED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect"}
# What sphinx and myst-nb leave in a page when a reference, a glued value or a citation fails.
LEFTOVERS = ("problematic", "system-message", "pasted-missing")


@dataclass(frozen=True)
class Contents:
    """A page's contents.

    Attributes:
        problems: what is wrong with it whatever else the book holds, a line each.
        pictures: addresses of the pictures that are files.
        links: addresses that its links name.
        names: the places on it that a link may name.
        cells: the code that it shows.
        has_output: whether it shows what a cell put out.
    """

    problems: tuple[str, ...]
    pictures: tuple[str, ...]
    links: tuple[str, ...]
    names: frozenset[str]
    cells: tuple[str, ...]
    has_output: bool


def contents(page: str) -> Contents:
    """Reads the text of a page."""
    soup = BeautifulSoup(page, "html.parser")
    article = soup.find("article") or soup  # the page's own, without the theme's frame
    images = article.find_all("img")
    sources = [str(image.get("src", "")) for image in images]
    return Contents(
        problems=(*_text(article), *_alternatives(images), *_foreign(soup)),
        pictures=tuple(source for source in sources if not source.startswith("data:")),
        links=tuple(str(link["href"]) for link in soup.find_all("a", href=True)),
        names=frozenset(
            str(tag[key])
            for key in ("id", "name")
            for tag in soup.find_all(lambda tag, key=key: tag.has_attr(key))
        ),
        cells=tuple(cell.get_text() for cell in article.find_all(class_="cell_input")),
        has_output=article.find(class_="cell_output") is not None,
    )


def _text(article: Tag) -> Iterator[str]:
    text, heading = article.get_text(), article.find("h1")
    if heading is None or not heading.get_text(strip=True).strip("#"):
        yield "has no title"
    for tag in article.find_all(class_=LEFTOVERS):
        yield f"a reference failed: {tag.get_text(' ', strip=True)[:80]!r}"
    if article.find(class_="stderr"):
        yield "a cell wrote to stderr"
    if article.find(class_="traceback") or "Traceback (most recent call last)" in text:
        yield "a cell shows a traceback"
    if "{glue" in text:
        yield "a glue directive was not understood"
    for formula in article.find_all(class_="math"):
        if formula.find("math") is None:
            yield f"a formula is not set: {formula.text[:60]!r}"


def _alternatives(images: list[Tag]) -> Iterator[str]:
    for image in images:
        source, text = str(image.get("src", "")), str(image.get("alt", "")).strip()
        if not text or HASH.match(text) or text == source:
            yield f"the picture {source[:60]} has no alternative text (alt={text[:40]!r})"


def _foreign(soup: BeautifulSoup) -> Iterator[str]:
    """What a browser would fetch from another host as soon as it opens the page."""
    for name, key in FETCHED.items():
        for tag in soup.find_all(name, attrs={key: True}):
            fetched = name != "link" or FETCHED_LINKS & set(tag.get("rel") or ())
            host = urlsplit(str(tag[key])).netloc
            if fetched and host:
                yield f"asks {host} for {tag[key]}"
