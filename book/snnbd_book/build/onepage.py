"""The built pages as one HTML document for print: nothing folded, nothing to click."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from snnbd_book.build.remembered import remembered
from snnbd_book.build.settings import Book

STYLE = "book/_static/print.css"
# Spans that change nothing on paper: each would be an element of the PDF.
_PLAIN = ".highlight :is(.n, .p, .w), code .pre, .sig .pre"
# What only works in a browser: buttons, sliders, marks that appear under the pointer, and tables of
# so many runs that a reader sorts them and does not read them through.
_SCREEN = "script, style, noscript, button, input, .headerlink, .controls, label:has(input)"
_SCREEN += ", table.runs, .snnbd-stills output, details.hide > summary, .sd-summary-state-marker"
_WIDE = 8  # columns of a table that is set smaller
_LONG = 24  # letters of a word that may be broken where a table needs the room

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>{style}</style></head><body>
<header><h1>{title}</h1><p>{author}</p><p>{address}</p></header>
<nav id="contents"><h2>Contents</h2>{contents}</nav>
{articles}</body></html>
"""
# A named page carries the running head; the name also makes each page of the book start afresh.
_HEAD = '@page {name} {{ @top-right {{ content: "{title}"; }} }} #{name} {{ page: {name}; }}\n'


class Article(NamedTuple):
    """A page for print: its name and title, those of its sections, and its HTML."""

    name: str
    title: str
    sections: tuple[tuple[str, str], ...]
    text: str


def one_page(book: Book, folder: Path, numbers: Mapping[str, int] | None = None) -> str:
    """All pages of the built book in reading order, for a file in ``folder``.

    ``numbers`` are page numbers for the contents, by the names that its lines lead to.
    """
    printed = remembered(book, _article)
    articles = []
    for page in book.pages:
        path = book.html / f"{page}.html"
        place = Path(os.path.relpath(path.parent, folder)).as_posix()
        text = path.read_text(encoding="utf-8")
        articles.append(printed(text, page, tuple(book.pages), book.address, place))
    style = (book.root / STYLE).read_text(encoding="utf-8")
    style += (book.html / "_static" / "pygments.css").read_text(encoding="utf-8")
    heads = (_HEAD.format(name=one.name, title=_quoted(one.title)) for one in articles)
    return _PAGE.format(
        title=html.escape(str(book.config["title"])),
        author=html.escape(str(book.config["author"])),
        address=html.escape(book.address),
        style=style + "".join(heads),
        contents=_contents(articles, numbers or {}),
        articles="\n".join(article.text for article in articles),
    )


def _article(text: str, page: str, pages: tuple[str, ...], address: str, place: str) -> Article:
    """The article of a page of the book at an address; pictures are looked for from ``place``."""
    article = BeautifulSoup(text, "html.parser").find("article")
    if not isinstance(article, Tag):
        raise ValueError(f"{page}: the page has no article")
    for tag in article.select(_SCREEN):
        tag.decompose()
    for tag in article.select(_PLAIN):
        tag.unwrap()
    for tag in article.find_all("details"):
        tag["open"] = ""
    for tag in article.select("details.hide"):
        tag.name = "div"  # one without its summary; as details it would be given another
    for table in article.find_all("table"):
        _mark(table)
    for image in article.find_all("img", src=True):
        if not str(image["src"]).startswith("data:"):
            image["src"] = quote(normpath(PurePosixPath(place) / unquote(str(image["src"]))))
    _name(article, page)
    _link(article, page, pages, address)
    sections = [
        (str(section["id"]), section_heading.get_text())
        for section in article.find_all("section", id=True)
        if (section_heading := section.find("h2", recursive=False))
    ]
    heading = article.h1.get_text() if article.h1 is not None else ""
    return Article(str(article["id"]), heading, tuple(sections), str(article))


def _mark(table: Tag) -> None:
    """Says to the style what needs care: many columns, and cells with words that may be broken."""
    first = table.find("tr")
    if first is not None and len(first.find_all(["th", "td"])) >= _WIDE:
        _add_class(table, "wide")
    for cell in table.find_all("td"):
        if any(len(word) > _LONG for word in cell.get_text(" ").split()):
            _add_class(cell, "long")


def _add_class(tag: Tag, name: str) -> None:
    tag["class"] = " ".join([*tag.get_attribute_list("class"), name])


def _name(article: Tag, page: str) -> None:
    """Names that are unique in the whole book: those of a page follow the page's own."""
    for tag in article.find_all(id=True):
        tag["id"] = _anchor(page, str(tag["id"]))
    article["id"] = _anchor(page)


def _anchor(page: str, name: str = "") -> str:
    slug = page.replace("/", "-")
    return f"{slug}--{name}" if name else slug


def _link(article: Tag, page: str, pages: tuple[str, ...], address: str) -> None:
    """Links between pages become links within the document, others of the book its address."""
    for link in article.find_all("a", href=True):
        target = urlsplit(str(link["href"]))
        if target.scheme or target.netloc:
            continue
        path = normpath(PurePosixPath(page).parent / unquote(target.path)) if target.path else page
        other = path.removesuffix(".html")
        if link.find("img") is not None:
            link.unwrap()  # a picture that leads to itself
        elif other in pages:
            link["href"] = f"#{_anchor(other, unquote(target.fragment))}"
        else:
            link["href"] = address + quote(path)


def _contents(articles: list[Article], numbers: Mapping[str, int]) -> str:
    return f"<ul>{''.join(_entries(articles, numbers))}</ul>"


def _entries(articles: list[Article], numbers: Mapping[str, int]) -> Iterator[str]:
    for article in articles:
        inner = "".join(f"<li>{_entry(*section, numbers)}</li>" for section in article.sections)
        title = article.title or article.name
        yield f"<li>{_entry(article.name, title, numbers)}<ul>{inner}</ul></li>"


def _entry(name: str, heading: str, numbers: Mapping[str, int]) -> str:
    number = f"<span>{numbers.get(name, '')}</span>"
    return f'<a href="#{html.escape(name)}">{html.escape(heading)}{number}</a>'


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", " ")
