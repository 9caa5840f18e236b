"""Formulas are set when the book is built; what cannot be set is an error, never raw TeX."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from snnbd_book.build.mathml import mathml

SPACE = "{http://www.w3.org/1998/Math/MathML}"


def words(formula: str, *, block: bool = False) -> str:
    return "".join(ElementTree.fromstring(mathml(formula, block=block)).itertext())


def test_a_formula_is_set_with_its_symbols() -> None:
    assert words(r"u_t = \beta u_{t-1}") == "ut=βut\N{MINUS SIGN}1"


@pytest.mark.parametrize(
    "formula",
    ["a &= b \\\\ c &= d", r"\begin{aligned}a &= b\\c &= d\end{aligned}", "a = b\n\nc = d"],
)
def test_lines_of_a_displayed_formula_are_rows(formula: str) -> None:
    root = ElementTree.fromstring(mathml(formula, block=True))
    assert len(root.findall(f".//{SPACE}mtr")) == 2
    assert words(formula, block=True) == "a=bc=d"


def test_cases_within_a_line_are_no_lines_of_the_formula() -> None:
    formula = r"s = \begin{cases} 1 & u > 1 \\ 0 & \text{else} \end{cases}"
    root = ElementTree.fromstring(mathml(formula, block=True))
    assert len(root.findall(f".//{SPACE}mtable")) == 1


@pytest.mark.parametrize("formula", [r"\frobnicate x", "a & b", r"\frac{a"])
def test_a_formula_that_cannot_be_set_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match="MathML"):
        mathml(formula, block=False)
