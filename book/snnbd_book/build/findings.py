"""Findings in the book: tested before it is built, marked in its text, listed on a page.

As a Sphinx extension it gives the role ``{finding}`a sentence <name>` ``: the sentence, and behind
it a mark that leads to its test.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxRole

from snnbd_book.build.settings import Book
from snnbd_book.chapters.findings import Outcome, evaluated, problems
from snnbd_book.claims.finding import Finding, Sentence, load_findings, plain, sentences
from snnbd_book.claims.pages import breakable

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from sphinx.application import Sphinx

PAGE = "book/findings"
LONG = 400  # letters of a test that is shown unfolded
_HEAD = """# Findings

What this book says of its own runs, sentence by sentence, with the test that each rests on. All are
tested when the book is built, over the records that its figures show, and a sentence that does not
hold stops the build. Behind a mean or another function stands its value; behind a test *for each*
member of a group, the values of all. {doc}`intervals` says what `lower` and `upper` are. The tests
stand in `claims/findings`.

"""


def stated(book: Book) -> list[Sentence]:
    """The findings that all pages state, in the order of the book."""
    found = []
    for page in book.pages:
        source = book.root / f"{page}.md"
        if source.is_file():
            found += sentences(page, source.read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Told:
    """A book's sentences that state a result, the tests they name, and what became of each."""

    stated: Sequence[Sentence]
    findings: Mapping[str, Finding]
    outcomes: Mapping[str, Outcome]

    @property
    def problems(self) -> list[str]:
        """What is wrong, one line each; empty if all hold."""
        return problems(self.stated, self.findings, self.outcomes)


def told(book: Book) -> Told:
    """Tests a book's findings over its records."""
    findings = load_findings(book.root / "claims")
    return Told(stated(book), findings, evaluated(findings.values()))


def write(book: Book, folder: Path, told: Told) -> None:
    """Writes the page into the staged book, if its table of contents has it."""
    if PAGE in book.pages:
        titles = {one.page: _title(book.root / f"{one.page}.md") for one in told.stated}
        text = page(told.stated, told.findings, told.outcomes, titles)
        (folder / PAGE).with_suffix(".md").write_text(text, encoding="utf-8")


def page(
    stated: Iterable[Sentence],
    findings: Mapping[str, Finding],
    outcomes: Mapping[str, Outcome],
    titles: Mapping[str, str],
) -> str:
    """MyST text: for each page, under its title, its sentences, each with its test."""
    lines, at = [_HEAD], ""
    seen: set[str] = set()
    for one in stated:
        if one.page != at:
            lines += [f"## {{doc}}`{titles[one.page]} </{one.page}>`", ""]
            at = one.page
        place = "" if one.finding in seen else f'<span id="{one.finding}"></span>'
        seen.add(one.finding)
        lines += [f"- {place}{one.text}", "", *_test(outcomes[one.finding].shown), ""]
        for claim, verdict in findings[one.finding].claims.items():
            lines += [f"  {{doc}}`reproduction`, {claim.replace('/', ', ')}: *{verdict}*.", ""]
    return "\n".join(lines)


def _title(path: Path) -> str:
    """The first heading of a page; a link without words would stand in the contents as a path."""
    found = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else path.stem


def _test(shown: str) -> list[str]:
    """A test with its values as they are, with no typographic quotes; a long one is folded."""
    text = breakable(html.escape(shown))
    if len(shown) > LONG:
        told = f'<details class="test"><summary>its test, with all values</summary>{text}</details>'
    else:
        told = f'<p class="test">{text}</p>'
    return ["  ```{raw} html", f"  {told}", "  ```"]


def without_roles(notebook: NotebookNode) -> None:
    """Puts sentences in the place of roles in alternative texts, where Sphinx reads none."""
    for cell in notebook.cells:
        image = cell.metadata.get("mystnb", {}).get("image", {})
        if "alt" in image:
            image["alt"] = plain(image["alt"])


class Role(SphinxRole):
    """The sentence as it stands, with a mark that leads to its test."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        found = re.fullmatch(r"(?P<text>.*?)\s*<(?P<id>[a-z0-9-]+)>", self.text, re.DOTALL)
        if found is None:
            message = self.inliner.reporter.error(f"finding {self.text!r} names no test: <name>")
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        sentence: Any = nodes.inline(self.rawtext, "", classes=["finding"])
        inner, messages = self.inliner.parse(found["text"], self.lineno, self, sentence)
        sentence += inner
        page = "../" * self.env.docname.count("/") + f"{PAGE}.html"
        words = found["id"].replace("-", " ")
        mark = (
            f'<a class="finding-mark" href="{page}#{found["id"]}" '
            f'title="Tested at each build: how" aria-label="Its test: {words}">&#10003;</a>'
        )
        return [sentence, nodes.raw("", mark, format="html")], messages


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("finding", Role())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
