"""A Sphinx extension: a chapter's first use of a term leads to the glossary and tells its meaning.

The link's title is the first sentence of the definition, which a screen reader reads too and the
book's style shows when the link has the focus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes

from snnbd_book.build.settings import CHAPTER_FOLDER

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Text in these stays as it is: headings, code, what is a link already, what stands on buttons.
_CLOSED = (
    nodes.title,
    nodes.literal,
    nodes.literal_block,
    nodes.reference,
    nodes.caption,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.rubric,
    nodes.citation,
    nodes.footnote,
    nodes.table,
    addnodes.pending_xref,
)


@dataclass(frozen=True)
class Term:
    """A term, the first sentence of its definition, and the page and place where it stands."""

    name: str
    meaning: str
    page: str
    place: str


def glossary(app: Sphinx) -> dict[str, Term]:
    """The terms of all glossaries of the book, by their names in small letters."""
    pages = {page for page, _, kind in _objects(app) if kind == "term"}
    terms: dict[str, Term] = {}
    for page in sorted(pages):
        for item in app.env.get_doctree(page).findall(nodes.definition_list_item):
            for entry in item.findall(nodes.term):
                definition = next(item.findall(nodes.definition), None)
                if entry["ids"] and definition is not None and entry["ids"][0].startswith("term-"):
                    term = Term(
                        entry.astext(), first_sentence(definition.astext()), page, entry["ids"][0]
                    )
                    terms[term.name.lower()] = term
    return terms


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence, on one line."""
    line = " ".join(text.split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", line, maxsplit=1)[0]


def pattern(names: list[str]) -> re.Pattern[str]:
    """Finds any of the names, the longer ones first, as a word of its own or its plural.

    A part of a compound, "anti-backdoor" or "clip-floor-shift", is none.
    """
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    # A line of the source may end within a name.
    choices = "|".join(r"\s+".join(map(re.escape, name.split())) for name in longest_first)
    return re.compile(rf"(?<![\w-])({choices})(?:e?s)?(?![\w-])", re.IGNORECASE)


def link_terms(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Links the first use of each term in a chapter."""
    if not page.startswith(f"{CHAPTER_FOLDER}/"):
        return
    other = app.config.terms_of_another_sense.get(page, [])
    left = {name: term for name, term in glossary(app).items() if name not in other}
    for text in list(_running_text(doctree)):
        if not left:
            return
        pieces = _pieces(text.astext(), left, app, page)
        if len(pieces) > 1:
            text.parent.replace(text, pieces)


def _objects(app: Sphinx) -> Iterator[tuple[str, str, str]]:
    for name, _, kind, page, _, _ in app.env.get_domain("std").get_objects():
        yield page, name, kind


def _running_text(doctree: nodes.document) -> Iterator[nodes.Text]:
    for paragraph in doctree.findall(nodes.paragraph):
        for text in paragraph.findall(nodes.Text):
            if not _closed(text):
                yield text


def _closed(node: nodes.Node) -> bool:
    above = node.parent
    while above is not None:
        if isinstance(above, _CLOSED):
            return True
        above = above.parent
    return False


def _pieces(text: str, left: dict[str, Term], app: Sphinx, page: str) -> list[nodes.Node]:
    """The text with links in it; the terms that were found are taken out of ``left``."""
    pieces: list[nodes.Node] = []
    done = 0
    for found in pattern(list(left)).finditer(text):
        term = left.pop(" ".join(found[1].lower().split()), None)
        if term is None:
            continue  # used twice in the same text
        pieces.append(nodes.Text(text[done : found.start()]))
        pieces.append(_link(term, found[0], app, page))
        done = found.end()
    return [*pieces, nodes.Text(text[done:])]


def _link(term: Term, words: str, app: Sphinx, page: str) -> nodes.reference:
    address = f"{app.builder.get_relative_uri(page, term.page)}#{term.place}"
    link = nodes.reference("", words, internal=True, refuri=address, reftitle=term.meaning)
    link["classes"].append("term")
    return link


def setup(app: Sphinx) -> dict[str, Any]:
    # page -> terms that mean something else in that chapter
    app.add_config_value("terms_of_another_sense", {}, "html")
    app.connect("doctree-resolved", link_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
