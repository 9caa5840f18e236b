"""A Sphinx extension that sets formulas as MathML when the book is built.

MathML is part of HTML: every current browser and screen reader knows it. The usual MathJax is a
script from another host; without a network, formulas would show as raw TeX.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import latex2mathml.converter
from docutils import nodes
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator


logger = logging.getLogger(__name__)

ENVIRONMENT = re.compile(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL)


def mathml(formula: str, *, block: bool) -> str:
    """A TeX formula as a MathML element; paragraphs of a displayed one become lines.

    Raises:
        ValueError: its braces do not match, or it holds a command that is not known.
    """
    bare = re.sub(r"\\.", "", formula)
    if bare.count("{") != bare.count("}"):
        raise ValueError(f"{formula!r} has braces that do not match: it cannot be set as MathML")
    lines = [line for line in formula.split("\n\n") if line.strip()]
    if len(lines) > 1 or r"\\" in ENVIRONMENT.sub("", formula):
        formula = r"\begin{align*}" + r"\\".join(lines) + r"\end{align*}"
    # Within a formula the two are the same, and the converter knows only one.
    formula = formula.replace("{aligned}", "{align*}").replace("{split}", "{align*}")
    try:
        element = latex2mathml.converter.convert(formula, display="block" if block else "inline")
    except Exception as error:  # its many kinds of errors have no common class
        raise ValueError(f"{formula!r} cannot be set as MathML: {error!r}") from error
    # What the converter does not know it leaves as it stands, alignment marks too.
    if "\\" in element or "<mi>&</mi>" in element:
        raise ValueError(f"{formula!r} holds a command that cannot be set as MathML")
    return _styled(element)


def _styled(element: str) -> str:
    """What the MathML that browsers implement leaves to CSS: alignment of cells, full width."""
    element = re.sub(r'<mtd columnalign="(\w+)"', r'<mtd style="text-align: \1"', element)
    return element.replace(' display="block"', ' display="block" style="flex-grow: 1"')


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(translator.starttag(node, "span", "", CLASS="math notranslate"))
    translator.body.append(_set(node, block=False) + "</span>")
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    # On a phone a long formula moves sideways; with the focus, by the arrow keys too.
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate", tabindex=0))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(_set(node, block=True) + "</div>\n")
    raise nodes.SkipNode


def _set(node: nodes.Element, *, block: bool) -> str:
    try:
        return mathml(node.astext(), block=block)
    except ValueError as error:
        # A warning, not an error: it names the page, and the build stops at warnings anyway.
        logger.warning("%s", error, location=node)
        return html.escape(node.astext())


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
