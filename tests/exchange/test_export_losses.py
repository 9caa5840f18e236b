"""The table of what exports lose is that which the frameworks that are installed give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import export_losses

pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks' own code


@pytest.fixture(scope="module")
def told() -> dict:
    return json.loads(export_losses.OUT.read_text(encoding="utf-8"))


def test_the_table_is_what_is_measured(told: dict) -> None:
    if told["versions"] != export_losses.versions():
        pytest.skip(f"the table is of other versions: {told['versions']}")
    assert told["rows"] == export_losses.measured()


def test_a_soft_reset_comes_back_hard_or_not_at_all_and_ours_loses_nothing_but_gradients(
    told: dict,
) -> None:
    rows = told["rows"]
    assert "answers change" in rows["reset by subtraction"]["snnTorch"]
    assert rows["reset by subtraction"]["SpikingJelly"].startswith("not written")
    lost = {row for row, cells in rows.items() if cells["snnbd"] not in ("kept", "has none")}
    assert lost == {"surrogate gradient"}


def test_the_results_lie_where_the_book_reads_them(project: Path) -> None:
    assert project / "benchmarks" / "results" / "export_losses.json" == export_losses.OUT
