"""Makes the records that chapters show.

    python -m benchmarks.record_runs [--real] [--seeds 10] [--to results/recorded]

What they are stands in `snnbd_book.chapters`; those on real recordings (``--real``) need
``$SNNBD_DATA``. A run that has a record in the results folder, of this code and data, is not
repeated.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path

from rich.console import Console

from snnbd_book import sweeps
from snnbd_book.chapters.groups import every
from snnbd_book.runs import Experiment, results_dir, stored
from snnbd_book.runs.store import RECORDED

CHAPTERS = (
    "neuromorphic_triggers",
    "stealthier_triggers",
    "learning_rules",
    "badsnn",
    "detecting_backdoors",
    "removing_backdoors",
)


def main() -> None:
    """Runs what has no record yet, and copies all records where the chapters look for them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--to", type=Path, default=results_dir() / RECORDED)
    given = parser.parse_args()
    profile = "sample" if given.real else "quick"
    found = {
        one.hash: one
        for chapter in CHAPTERS
        for one in wanted(chapter)
        if one.profile == profile and one.seed < given.seeds
    }
    chosen = list(found.values())
    start = time.perf_counter()
    table = sweeps.run(chosen, keep_networks=True, device="cpu", console=Console(stderr=True))
    assert (table["status"] == "done").all(), table["error"].dropna().iloc[0]
    for one in chosen:
        record = stored(one)
        assert record is not None, f"{one.name}-{one.hash} was just run"
        record.write(given.to)
    minutes = (time.perf_counter() - start) / 60
    print(f"{len(chosen)} records in {given.to}, {minutes:.1f} minutes")


def wanted(chapter: str) -> list[Experiment]:
    """The experiments of a chapter's groups in the quick profile, each once."""
    grid = import_module(f"snnbd_book.chapters.{chapter}").grid
    groups = grid("quick", 0)
    return list({one.hash: one for group in groups.values() for one in every(group)}.values())


if __name__ == "__main__":
    main()
