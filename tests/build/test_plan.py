"""The page on sweeps: its example is a grid, its costs follow from the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from snnbd_book import claims
from snnbd_book.build import plan
from snnbd_book.runs import Experiment, Record, run
from snnbd_book.sweeps import load_grid
from snnbd_book.verify import costs


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


def test_the_papers_own_rows_have_the_time_of_their_multiplications() -> None:
    """GTSRB of BadSNN: VGG-16, which takes 313.4 million multiplications on 32 x 32."""
    paper = claims.load("miah2026")
    page = plan.page([], claims=paper.claims)
    wanted = claims.experiments(paper, "paper")
    trained = [run for run in costs.trainings(wanted).values() if run.data == "gtsrb"]
    samples = 39_209 * 75 * 3 + 12_630 * 4
    hours = len(trained) * 4 * samples * 313.4e6 / 3600 / 10e12
    row = f"| gtsrb | vgg16, 4, 75 | {len(trained)} | "
    time = f"{hours:.1f}\N{NO-BREAK SPACE}hours |"
    assert row in page and time in page.split(row)[1].splitlines()[0]
