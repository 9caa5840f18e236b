"""Chapters take their numbers from records: no cell measures a network itself without a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import jupytext
import pytest
from IPython.core.inputtransformer2 import TransformerManager

# Whatever gives a result of a network; solutions, which are text in the chapter, may call them.
MEASURING = {
    "evaluate",
    "predict",
    "pgd",
    "inspect",
    "score",
    "compare",
    "measure",
    "isolate",
    "repair",
    "accuracy",
}


def calls(source: str) -> set[str]:
    """All that a cell calls, as it is written there: "runs.run", "judge.score"."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def measured(source: str) -> set[str]:
    """Calls that give a result of a network."""
    return {call for call in calls(source) if call.rpartition(".")[2] in MEASURING}


def compares(source: str) -> bool:
    """Whether a cell asserts something, as those that hold their code against the library do."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    return any(isinstance(node, ast.Assert) for node in ast.walk(tree))


def test_no_chapter_measures_a_network_itself(project: Path) -> None:
    chapters = sorted((project / "notebooks").glob("*.md"))
    assert chapters
    for chapter in chapters:
        for cell in jupytext.read(chapter).cells:
            if cell.cell_type == "code":
                source = re.sub(r"\A---\n.*?\n---\n", "", cell.source, flags=re.DOTALL)
                found = set() if compares(source) else measured(source)
                assert not found, f"{chapter.name} measures by {found}: take it from a record"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("report = sb.evaluate(net, test)", {"sb.evaluate"}),
        ("[judge.score(net, data) for data in sets]", {"judge.score"}),
        ("%matplotlib inline\nfigures.draw_rates(records)", set()),
        ("runs.run(experiment).report.clean_accuracy", set()),
    ],
)
def test_a_cell_that_measures_is_seen(source: str, found: set[str]) -> None:
    assert measured(source) == found
