"""Maps of defences against attacks, for wide and for narrow screens."""

from __future__ import annotations

import re
from base64 import b64decode

import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_notebook, new_output

from snnbd_book import figures
from snnbd_book.build.stage import with_text_of
from snnbd_book.claims import Sample
from snnbd_core.metrics import Rate

ATTACKS = [f"attack {number}" for number in range(9)]


@pytest.fixture
def cells() -> dict[str, dict[str, Sample]]:
    """Nine attacks by two defences; the last attack has one cell only."""
    most, few = Sample((Rate(9, 10), Rate(8, 10))), Sample((Rate(1, 10), Rate(0, 10)))
    made = {name: {"none": most, "some": few} for name in ATTACKS}
    made[ATTACKS[-1]] = {"none": most}
    return made


def panels(figure: Figure) -> list[list[str]]:
    return [[label.get_text() for label in axes.get_xticklabels()] for axes in figure.axes]


def numbers(figure: Figure) -> int:
    return sum(len(axes.texts) for axes in figure.axes)


def test_a_narrow_map_has_the_same_cells_in_panels_of_a_few_attacks(cells) -> None:
    wide, narrow = figures.draw_map(cells, label="x"), figures.draw_stacked(cells, label="x")
    assert panels(wide) == [ATTACKS]
    assert panels(narrow) == [ATTACKS[:3], ATTACKS[3:6], ATTACKS[6:]]
    assert numbers(wide) == numbers(narrow) == 17
    assert narrow.get_figwidth() < 4 < wide.get_figwidth()


def test_a_page_has_both_and_the_cells_own_words_for_them(cells) -> None:
    page = str(figures.show_map(cells, label="x").data)
    assert page.count("<img") == page.count("<source") == 1
    for data in re.findall(r"base64,([^\"]+)", page):
        assert b64decode(data).startswith(b"\x89PNG")
    said = {"mystnb": {"image": {"alt": 'A "map", {finding}`pale <pale-one>`.'}}}
    source = new_notebook(cells=[new_code_cell("map", metadata=said)])
    shown = new_output("display_data", {"text/html": page})
    executed = new_notebook(cells=[new_code_cell("map", outputs=[shown])])
    whole = with_text_of(source, executed)
    text = whole.cells[0].outputs[0].data["text/html"]
    assert 'alt="A &quot;map&quot;, pale."' in text and 'alt=""' not in text
