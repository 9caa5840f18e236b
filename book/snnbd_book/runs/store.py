"""The results folder: where records lie and which of them still hold."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from snnbd_book.runs.provenance import Carried, code_fingerprint, git_state
from snnbd_book.runs.record import CorruptRecord, Record
from snnbd_book.runs.resolving import resolve
from snnbd_book.runs.settings import Experiment

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


def find(experiment: Experiment, results: Path | str | None = None) -> Record | None:
    """The record that lies in the results folder, fresh or stale; None if there is none.

    Raises:
        CorruptRecord: a damaged or edited file, or one of another experiment under this name.
        ValueError: two files with this experiment's hash.
    """
    path = _path(experiment, results_dir(results))
    if path is None:
        return None
    record = _parsed(path, path.read_bytes())
    if record.experiment.digest != experiment.digest:
        raise CorruptRecord(
            f"record {path} cannot be trusted: its experiment has hash "
            f"{record.experiment.hash}. Restore its name, or remove it"
        )
    return record


def stored(experiment: Experiment, results: Path | str | None = None) -> Record | None:
    """The record in the results folder if it is what a run would give now, else None.

    Raises:
        CorruptRecord, ValueError: as `find`.
        DataNotFound: the data set is not here, so nobody can tell.
    """
    record = find(experiment, results)
    if record is None:
        return None
    return None if record.provenance.staleness(resolve(experiment).fingerprint) else record


def recorded(experiment: Experiment, results: Path | str | None = None) -> Record:
    """A committed record, whichever code made it: see its provenance.

    These lie in ``recorded/`` of the results folder.

    Raises:
        LookupError: there is none.
        CorruptRecord: a damaged or edited file.
        ValueError: two records of one experiment.
    """
    folder = results_dir(results) / RECORDED
    record = find(experiment, folder)
    if record is None:
        raise LookupError(f"no record of {experiment.name}-{experiment.hash} in {folder}")
    return record


def recorded_of(
    experiments: Iterable[Experiment], results: Path | str | None = None
) -> dict[str, Record]:
    """The committed records of some experiments by their hash, whichever code made them.

    Experiments without one are left out, and those whose data set is not what it was then.

    Raises:
        CorruptRecord, ValueError: as `recorded`.
        DataNotFound: the data set of a record is not here, so nobody can tell.
    """
    found = {}
    for one in experiments:
        record = find(one, results_dir(results) / RECORDED)
        if record and record.provenance.dataset == resolve(one).fingerprint:
            found[one.hash] = record
    return found


def all_recorded(results: Path | str | None = None) -> list[Record]:
    """All committed records, of long runs and those that chapters need, by their files' names.

    Raises:
        CorruptRecord: a damaged or edited file.
    """
    paths = sorted((results_dir(results) / RECORDED).glob("*.json"))
    return [_parsed(path, path.read_bytes()) for path in paths]


def carry_over(since: str, why: str, results: Path | str | None = None) -> list[Path]:
    """Says in committed records of older code that they hold under the code of today too.

    For code that was moved or renamed and computes the same: nothing is run here. Whoever carries
    records over has compared some of them with new runs, and says so in `why`.

    Args:
        since: fingerprint of the code under which the records hold, see `Provenance.holds_under`.
        why: what was done to the code, and how it was checked.
        results: the folder for records; default as `results_dir`.

    Returns:
        The files that were written.
    """
    carried = Carried(code=code_fingerprint(), commit=git_state()[0], why=why)
    return [
        replace(record, provenance=replace(record.provenance, carried=carried)).write(
            results_dir(results) / RECORDED
        )
        for record in all_recorded(results)
        if record.provenance.holds_under == since
    ]


def _path(experiment: Experiment, folder: Path) -> Path | None:
    """The one file of a folder with the experiment's hash, if there is one."""
    paths = sorted(folder.glob(f"*-{experiment.hash}.json"))
    if len(paths) > 1:
        raise ValueError(
            f"hash={experiment.hash!r} has two records, {paths[0].name} and {paths[1].name} in "
            f"{folder}: remove the one that is not {experiment.name}-{experiment.hash}.json"
        )
    return paths[0] if paths else None


@functools.lru_cache(maxsize=4096)
def _parsed(path: Path, content: bytes) -> Record:
    """The record in a file's bytes, parsed once for as long as they stay the same."""
    return Record.parse(path, content)
