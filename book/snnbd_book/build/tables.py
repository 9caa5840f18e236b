"""Tables that code makes are numbered as tables, with their caption on top.

MyST-NB puts whatever a cell shows into a figure. One whose name begins with "tab-" holds a table:
it becomes a node of its own here, which Sphinx counts among the tables.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

NAMED = "tab-"


class TableOfCode(nodes.General, nodes.Element):
    """Caption and output of a cell that makes a table."""


class AsTables(SphinxTransform):
    """Turns figures into `TableOfCode`, before Sphinx collects labels and numbers."""

    default_priority = 700

    def apply(self, **settings: Any) -> None:
        for figure in list(self.document.findall(nodes.figure)):
            if any(name.startswith(NAMED) for name in figure["names"]):
                table = TableOfCode("", ids=figure["ids"], names=figure["names"])
                caption = next(each for each in figure if isinstance(each, nodes.caption))
                figure.remove(caption)
                table += [caption, nodes.raw("", "</figcaption>", format="html"), *figure]
                self.document.ids |= dict.fromkeys(figure["ids"], table)
                figure.replace_self(table)


def visit(self: HTML5Translator, node: TableOfCode) -> None:
    self.body.append(self.starttag(node, "figure", CLASS="table") + "<figcaption>")


def depart(self: HTML5Translator, node: TableOfCode) -> None:
    self.body.append("</figure>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_enumerable_node(TableOfCode, "table", html=(visit, depart))
    app.add_transform(AsTables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
