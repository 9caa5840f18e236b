"""A Sphinx extension: what a page says of itself where it is linked: title, first words, a card."""

from __future__ import annotations

import html
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes

from snnbd_book.build import cards

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_CARDS = "_images/cards"
_LENGTH = 200  # what search engines and messengers show


def add_tags(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Adds ``description`` and the Open Graph tags to a page that was written from a source."""
    if doctree is None:
        return
    words = first_words(doctree)
    title = re.sub(r"<[^>]*>", "", html.unescape(str(context.get("title", page))))
    book = str(app.config.html_title or app.config.project)
    card = f"{_CARDS}/{page.replace('/', '-')}.png"
    cards.draw(title, book, cards.attacked_frame(), Path(app.outdir) / card)
    address = str(app.config.html_baseurl).rstrip("/")
    named = {"description": words, "twitter:card": "summary_large_image"}
    properties = {
        "og:type": "article",
        "og:site_name": book,
        "og:title": title,
        "og:description": words,
        "og:url": f"{address}/{page}.html",
        "og:image": f"{address}/{card}",
        "og:image:width": str(cards.WIDTH),
        "og:image:height": str(cards.HEIGHT),
        "og:image:alt": cards.ALT,
    }
    tags = [_tag("name", name, content) for name, content in named.items()]
    tags += [_tag("property", name, content) for name, content in properties.items()]
    context["metatags"] = "\n".join((context.get("metatags", ""), *tags))


def first_words(doctree: nodes.document) -> str:
    """The first paragraph of running text, cut between words."""
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section):
            return textwrap.shorten(paragraph.astext(), _LENGTH, placeholder=" ...")
    return ""


def _tag(kind: str, name: str, content: str) -> str:
    return f'<meta {kind}="{name}" content="{html.escape(content, quote=True)}" />'


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", add_tags)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
