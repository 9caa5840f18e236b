"""Makes the records that chapters keep: what a build would be too short for, or has no data for.

    python -m benchmarks.record_runs [--real] [--seeds 10] [--to results/recorded]

What they are stands in the chapters: those of the quick profile as `recorded_ones`, those on real
recordings (``--real``, with ``$SNNBD_DATA``) as `real_ones`. The cells that say so are executed,
those that run are not. A run that has a record in the results folder, of this code and data, is
not repeated.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import jupytext
from rich.console import Console

from snnbd_book import sweeps
from snnbd_book.runs import Experiment, results_dir, stored
from snnbd_book.runs.store import RECORDED

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CHAPTERS = {
    "recorded_ones": (
        "03_stealthier_triggers",
        "05_badsnn",
        "06_detecting_backdoors",
        "07_removing_backdoors",
    ),
    "real_ones": ("06_detecting_backdoors", "07_removing_backdoors"),
}


def main() -> None:
    """Runs what has no record yet, and copies all records where the chapter looks for them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--to", type=Path, default=results_dir() / RECORDED)
    given = parser.parse_args()
    name = "real_ones" if given.real else "recorded_ones"
    chosen = [
        one for chapter in CHAPTERS[name] for one in wanted(chapter, name) if one.seed < given.seeds
    ]
    start = time.perf_counter()
    table = sweeps.run(chosen, keep_networks=True, device="cpu", console=Console(stderr=True))
    assert (table["status"] == "done").all(), table["error"].dropna().iloc[0]
    for one in chosen:
        record = stored(one)
        assert record is not None, f"{one.name}-{one.hash} was just run"
        record.write(given.to)
    minutes = (time.perf_counter() - start) / 60
    print(f"{len(chosen)} records in {given.to}, {minutes:.1f} minutes")


def wanted(chapter: str, name: str) -> list[Experiment]:
    """The experiments whose records a chapter keeps under a name, each once."""
    scope: dict[str, Any] = {}
    for cell in jupytext.read(NOTEBOOKS / f"{chapter}.md").cells:
        if cell.cell_type == "code" and "colab" not in cell.metadata.get("tags", []):
            exec(cell.source, scope)
            if name in scope:
                return list({one.hash: one for one in scope[name]}.values())
    raise LookupError(f"{chapter} does not define {name}")


if __name__ == "__main__":
    main()
