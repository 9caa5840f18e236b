"""The page on sweeps: its example is a grid, its costs follow from the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from snnbd_book.build import plan
from snnbd_book.runs import Experiment, Record, run
from snnbd_book.sweeps import load_grid


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    one = Experiment(samples=32, epochs=1)
    return run(one, results=tmp_path_factory.mktemp("results"), progress=False)


def test_the_example_on_the_page_is_a_grid_of_so_many_runs(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(plan.GRID, encoding="utf-8")
    runs = load_grid(path).experiments()
    assert f"These are {len(runs)} runs." in plan.page([])


def test_the_full_grid_is_the_product_of_its_axes_at_the_mean_time(record: Record) -> None:
    timed = [
        replace(
            record,
            experiment=replace(record.experiment, seed=seed),
            provenance=replace(record.provenance, seconds=seconds, device="a device"),
        )
        for seed, seconds in enumerate((2.0, 6.0))
    ]
    page = plan.page([SimpleNamespace(records=timed)])
    # 5 x 6 x 5 x 3 x 3 x 4 x 3 x 5 runs of 4 s are 90 hours
    assert "are **81,000 runs**" in page
    assert "| quick | a device | 2 | 4.0 | 90 |" in page
