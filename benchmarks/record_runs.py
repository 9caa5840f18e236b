"""Makes the records that chapters show.

    python -m benchmarks.record_runs [--real] [--seeds 10] [--leaderboard]

What they are stands in `snnbd_book.chapters`; those on real recordings (``--real``) need
``$SNNBD_DATA``. A run that has a record is not repeated: ``snnbd reproduce`` does that. With
``--leaderboard`` also those of its cells that no chapter shows.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module

from snnbd_book import sweeps
from snnbd_book.chapters.groups import every
from snnbd_book.leaderboard import SETS, cells
from snnbd_book.runs import Experiment, at_hand, commit

CHAPTERS = (
    "neuromorphic_triggers",
    "stealthier_triggers",
    "learning_rules",
    "badsnn",
    "poison_in_the_data",
    "a_backdoor_in_the_network",
    "a_trigger_at_the_input",
    "removing_backdoors",
    "triggers_in_time",
    "low_bits",
    "adversarial_robustness",
)


def main() -> None:
    """Runs what has no record yet, and puts the records among the committed ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--leaderboard", action="store_true")
    given = parser.parse_args()
    profile = "sample" if given.real else "quick"
    every_one = [one for chapter in CHAPTERS for one in wanted(chapter)]
    every_one += of_leaderboard() if given.leaderboard else []
    found = {
        one.hash: one for one in every_one if one.profile == profile and one.seed < given.seeds
    }
    chosen = list(found.values())
    start = time.perf_counter()
    missing = [one for one in chosen if at_hand(one) is None]
    commit(sweeps.records(missing, device="cpu").values())
    minutes = (time.perf_counter() - start) / 60
    print(f"{len(missing)} of {len(chosen)} runs in {minutes:.1f} minutes")


def wanted(chapter: str) -> list[Experiment]:
    """The experiments of a chapter's groups in the quick profile, each once."""
    grid = import_module(f"snnbd_book.chapters.{chapter}").grid
    groups = grid("quick", 0)
    return list({one.hash: one for group in groups.values() for one in every(group)}.values())


def of_leaderboard() -> list[Experiment]:
    """The experiments behind all cells of the leaderboard."""
    every_cell = [one for data in SETS for one in cells(data)]
    return [run for one in every_cell for run in (*one.before, *one.runs, *one.clean)]


if __name__ == "__main__":
    main()
