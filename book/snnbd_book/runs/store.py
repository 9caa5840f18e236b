"""The results folder: where records lie and which of them still hold.

Committed records lie in ``recorded/`` of the folder, those of this machine beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from snnbd_book.runs import lineage
from snnbd_book.runs.provenance import Carried, git_state
from snnbd_book.runs.record import Record
from snnbd_book.runs.resolving import resolve
from snnbd_book.runs.settings import Experiment
from snnbd_book.runs.shelf import Shelf
from snnbd_core.data import DataNotFound

CHANGES_NO_NUMBER = True

RECORDED = "recorded"


def results_dir(results: Path | str | None = None) -> Path:
    """The argument, else ``$SNNBD_RESULTS``, else ``results`` in the project, see `project_dir`."""
    chosen = results or os.environ.get("SNNBD_RESULTS")
    if chosen:
        return Path(chosen).expanduser().resolve()
    return project_dir() / "results"


def project_dir() -> Path:
    """The nearest folder upwards from the working directory that holds a ``pyproject.toml``.

    Without one, as on a machine where only the package is installed, the working directory.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    return here


def stored(
    experiment: Experiment,
    results: Path | str | None = None,
    opened: dict[Path, Shelf] | None = None,
) -> Record | None:
    """The record that is what a run would give now: of this machine, or a committed one.

    Args:
        experiment: whose.
        results: the folder for records; default as `results_dir`.
        opened: as for `Shelf.of`.

    Raises:
        CorruptRecord: its line is damaged or edited.
        ValueError: two lines with this experiment's hash.
        DataNotFound: the data set is not here, so nobody can tell.
    """
    folder = results_dir(results)
    for place in (folder, folder / RECORDED):
        record = Shelf.of(experiment, place, opened).find(experiment)
        if record is None:
            continue
        if record.provenance.staleness(experiment, resolve(experiment).fingerprint) is None:
            return record
    return None


def recorded(experiment: Experiment, results: Path | str | None = None) -> Record:
    """A committed record, whichever code made it: see its provenance.

    Raises:
        LookupError: there is none.
        CorruptRecord, ValueError: as `stored`.
    """
    folder = results_dir(results) / RECORDED
    record = Shelf.of(experiment, folder).find(experiment)
    if record is None:
        raise LookupError(f"no record of {experiment.name}-{experiment.hash} in {folder}")
    return record


def at_hand(
    experiment: Experiment,
    results: Path | str | None = None,
    opened: dict[Path, Shelf] | None = None,
) -> Record | None:
    """The record that the book shows: a committed one, whichever code made it, else `stored`.

    `verify` proves committed records, and ``snnbd stale`` lists those of older code. One of
    another data set than the one here is passed over.

    Args:
        experiment, results, opened: as for `stored`.

    Raises:
        CorruptRecord, ValueError, DataNotFound: as `stored`.
    """
    folder = results_dir(results)
    record = Shelf.of(experiment, folder / RECORDED, opened).find(experiment)
    if record is not None and _of_this_data(record):
        return record
    return stored(experiment, folder, opened)


def recorded_of(
    experiments: Iterable[Experiment], results: Path | str | None = None
) -> dict[str, Record]:
    """The records of some experiments that are `at_hand`, by hash."""
    opened: dict[Path, Shelf] = {}
    found = {wanted.hash: at_hand(wanted, results, opened) for wanted in experiments}
    return {hash_: record for hash_, record in found.items() if record is not None}


def _of_this_data(record: Record) -> bool:
    """Whether the record's data set is the one here, or there is none to compare with."""
    try:
        return record.provenance.dataset == resolve(record.experiment).fingerprint
    except DataNotFound:
        return True


def all_recorded(results: Path | str | None = None) -> list[Record]:
    """All committed records, sorted by their keys within each data set.

    Raises:
        CorruptRecord, ValueError: as `Shelf.all`.
    """
    return records_in(results_dir(results) / RECORDED)


def records_in(folder: Path) -> list[Record]:
    """All records that lie in a folder itself, see `all_recorded`."""
    return [record for path in sorted(folder.glob("*.jsonl")) for record in Shelf(path).all()]


def commit(records: Iterable[Record], results: Path | str | None = None) -> None:
    """Puts records among the committed ones, in place of older ones of the same experiments."""
    folder = results_dir(results) / RECORDED
    by_path: dict[Path, list[Record]] = {}
    for record in records:
        by_path.setdefault(Shelf.of(record.experiment, folder).path, []).append(record)
    for path, group in by_path.items():
        Shelf(path).put(*group)


def carry_over(since: str, why: str, results: Path | str | None = None) -> list[Record]:
    """Says in committed records of older code that they hold under the code of today too.

    For code that was moved or renamed and computes the same: nothing is run here. Whoever carries
    records over has compared some of them with new runs, and says so in `why`.

    Args:
        since: the commit that made the records, or its first digits.
        why: what was done to the code, and how it was checked.
        results: the folder for records; default as `results_dir`.

    Returns:
        The records that were carried over: those of that commit that are stale.
    """
    found = [
        replace(
            record,
            provenance=replace(
                record.provenance,
                carried=Carried(
                    code=lineage.fingerprint(record.experiment), commit=git_state()[0], why=why
                ),
            ),
        )
        for record in all_recorded(results)
        if (record.provenance.commit or "").startswith(since)
        and record.provenance.staleness(record.experiment, None)
    ]
    commit(found, results)
    return found
