"""A cell of the leaderboard with its records, and the figures that come of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

from snnbd_book.claims import Sample
from snnbd_book.claims.pairs import effectiveness, separation
from snnbd_book.leaderboard.cells import KINDS, Cell
from snnbd_book.runs import Experiment, Record, results_dir
from snnbd_book.runs.shelf import Shelf
from snnbd_book.runs.store import RECORDED

__all__ = ["MISSING", "NOT_FOR", "Find", "Row", "committed", "row_of"]

Find = Callable[[Experiment], Record | None]
MISSING = "not run"
NOT_FOR = "does not apply"
_SEEDS = 3  # fewer of the book's own runs are no result


def _of(group: str, name: str) -> cached_property[Sample | None]:
    """A figure of the records in an attribute of a row; None where none of them has it."""

    def figure(row: Row) -> Sample | None:
        records: tuple[Record, ...] = getattr(row, group)
        if all(one.report.figure(name) is None for one in records):
            return None
        return Sample.of(records, name)

    return cached_property(figure)


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard; a figure that was not measured is None.

    Attributes:
        cell: which attack and which defence.
        records, before, clean: the records of the cell's runs, one for each seed.
        success, accuracy: after the repair where there is one.
        success_before, accuracy_before: without it.
        floor: what a clean network, unrepaired, answers to the trigger; of ABL, one it trained.
        accused: share of the networks that a detector accuses at its own threshold.
        false_alarms: the same of networks that nobody attacked.
        detection_area: of a detector of inputs or samples, within each network.
    """

    cell: Cell
    records: tuple[Record, ...] = ()
    before: tuple[Record, ...] = ()
    clean: tuple[Record, ...] = ()

    @property
    def note(self) -> str:
        """Why there are no figures; empty where there are."""
        if self.records:
            return ""
        return MISSING if self.cell.runs else NOT_FOR

    success = _of("records", "attack_success_rate")
    success_before = _of("before", "attack_success_rate")
    accuracy = _of("records", "clean_accuracy")
    accuracy_before = _of("before", "clean_accuracy")
    floor = _of("records", "floor")
    accused = _of("records", "alarm")
    false_alarms = _of("clean", "alarm")
    detection_area = _of("records", "detection_area")

    @cached_property
    def rating(self) -> Sample | None:
        """DER of a repair."""
        return effectiveness(self.before, self.records) if self.before else None

    @cached_property
    def area(self) -> Sample | None:
        """How well a detector's scores tell attacked from clean: networks, inputs or samples."""
        if self.cell.kind == "network":
            return separation(self.clean, self.records) if self.clean and self.records else None
        return self.detection_area

    @property
    def seconds(self) -> float | None:
        """Wall time of a whole run, training included, the mean over the seeds."""
        if not self.records:
            return None
        return sum(one.provenance.seconds for one in self.records) / len(self.records)

    @property
    def hashes(self) -> tuple[str, ...]:
        """Of all records behind the figures: the runs, then those before, then the clean ones."""
        return tuple(one.experiment.hash for one in (*self.records, *self.before, *self.clean))

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types: figures as {"value", "low", "high"}, shares in 0..1, None if unknown."""
        cell = self.cell
        return {
            "data": cell.data,
            "attack": cell.attack,
            "defence": cell.defence,
            "kind": KINDS[cell.kind],
            "note": self.note or None,
            "why": cell.why or None,
            **{name: _plain(getattr(self, name)) for name in FIGURES},
            "seconds": self.seconds,
            "seeds": [one.experiment.seed for one in self.records],
            "rate": self.records[0].experiment.rate if self.records else None,
            "records": [one.key for one in self.records],
            "records_before": [one.key for one in self.before],
            "records_clean": [one.key for one in self.clean],
        }


FIGURES = (
    "success",
    "success_before",
    "floor",
    "accuracy",
    "accuracy_before",
    "rating",
    "area",
    "accused",
    "false_alarms",
)


def committed(results: Path | str | None = None) -> Find:
    """Finds committed records, whichever code made them; each file is read once.

    Args:
        results: the folder for records; default as `results_dir`.
    """
    folder = results_dir(results) / RECORDED
    opened: dict[Path, Shelf] = {}
    return lambda wanted: Shelf.of(wanted, folder, opened).find(wanted)


def row_of(cell: Cell, find: Find) -> Row:
    """The row of a cell: of its first seeds that have records, at least three of the book's own.

    Args:
        cell: which.
        find: gives a run's record, or None.
    """
    found = _first(cell.runs, find)
    if len(found) < min(_SEEDS, max(1, len(cell.runs))):
        return Row(cell)
    before = _first(cell.before[: len(found)], find)
    complete = len(before) == len(found)
    clean = _first(cell.clean, find)
    enough = len(clean) >= min(_SEEDS, len(cell.clean))
    return Row(cell, found, before if complete else (), clean if enough else ())


def _first(runs: Sequence[Experiment], find: Find) -> tuple[Record, ...]:
    return tuple(one for one in takewhile(lambda one: one is not None, map(find, runs)) if one)


def _plain(sample: Sample | None) -> dict[str, float] | None:
    if sample is None:
        return None
    low, high = sample.interval
    return {"value": sample.mean, "low": low, "high": high}
