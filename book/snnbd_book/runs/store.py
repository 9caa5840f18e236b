"""The results folder: where records lie and which of them still hold."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from snnbd_book.runs.record import CorruptRecord, Record
from snnbd_book.runs.settings import Experiment
from snnbd_core import data

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
    folder = results_dir(results)
    paths = sorted(folder.glob(f"*-{experiment.hash}.json"))
    if len(paths) > 1:
        raise ValueError(
            f"hash={experiment.hash!r} has two records, {paths[0].name} and {paths[1].name} in "
            f"{folder}: remove the one that is not {experiment.name}-{experiment.hash}.json"
        )
    if not paths:
        return None
    record = Record.read(paths[0])
    if record.experiment.digest != experiment.digest:
        raise CorruptRecord(
            f"record {paths[0]} cannot be trusted: its experiment has hash "
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
    if record is None or record.provenance.staleness(data_fingerprint(experiment)) is not None:
        return None
    return record


def recorded(experiment: Experiment, results: Path | str | None = None) -> Record:
    """A committed record, whichever code made it: see its provenance.

    These lie in ``recorded/`` of the results folder. They are found by the settings they hold, so
    that fields that came later (and have their default there) do not hide them.

    Raises:
        LookupError: there is none.
        CorruptRecord: a damaged or edited file.
        ValueError: two records of one experiment.
    """
    return _recorded(experiment, results)[1]


def recorded_file(experiment: Experiment, results: Path | str | None = None) -> Path:
    """The file of a committed record; fields that came later may have changed the hash in its name.

    Raises:
        As `recorded`.
    """
    return _recorded(experiment, results)[0]


def kept(experiments: Iterable[Experiment], results: Path | str | None = None) -> dict[str, Record]:
    """The committed records of some experiments by their hash, whichever code made them.

    Experiments without one are left out, and those whose data set is not what it was then.

    Raises:
        CorruptRecord, ValueError: as `recorded`.
        DataNotFound: the data set of a record is not here, so nobody can tell.
    """
    found = {}
    for one in experiments:
        try:
            record = recorded(one, results)
        except LookupError:
            continue
        if record.provenance.dataset == data_fingerprint(one):
            found[one.hash] = record
    return found


def all_recorded(results: Path | str | None = None) -> list[Record]:
    """All committed records, of long runs and those that chapters keep, by their files' names.

    Raises:
        CorruptRecord: a damaged or edited file.
    """
    return [record for _, record in _read_all(results_dir(results) / RECORDED)]


def datasets(experiment: Experiment) -> tuple[Any, Any]:
    """(train, test) of an experiment; the split is the same for all seeds."""
    train, test = _load(experiment.data, experiment.frames, experiment.binning, _data_roots())
    if experiment.samples is not None:
        if experiment.samples > len(train):
            raise ValueError(
                f"samples={experiment.samples} is more than {experiment.data} has for training: "
                f"allowed is 1..{len(train)}"
            )
        rows = np.random.default_rng(0).permutation(len(train))[: experiment.samples]
        train = train.subset(np.sort(rows))
    return train, test


def test_sets(experiment: Experiment) -> tuple[Any, Any]:
    """The test set in two: `held_out` samples of each class for the defender, and the rest.

    The seed draws them. Without any, the first is None and the second the whole test set.

    Raises:
        ValueError: a class has no sample left to report on.
    """
    _, test = datasets(experiment)
    if experiment.held_out == 0:
        return None, test
    labels = np.asarray(test.labels)
    draw = np.random.default_rng([experiment.seed, experiment.held_out])
    rows = []
    for label in range(test.classes):
        of_class = np.flatnonzero(labels == label)
        if len(of_class) <= experiment.held_out:
            raise ValueError(
                f"held_out={experiment.held_out} leaves nothing of class {label} of "
                f"{experiment.data}: allowed is at most {len(of_class) - 1}"
            )
        rows.append(draw.permutation(of_class)[: experiment.held_out])
    held = np.sort(np.concatenate(rows))
    return test.subset(held), test.subset(np.setdiff1d(np.arange(len(labels)), held))


def data_fingerprint(experiment: Experiment) -> str:
    """16 hex digits each of the training and the test set as a whole."""
    train, test = _load(experiment.data, experiment.frames, experiment.binning, _data_roots())
    return f"{train.fingerprint[:16]}-{test.fingerprint[:16]}"


@functools.lru_cache(maxsize=4)
def _load(name: str, frames: int, binning: Any, roots: str) -> tuple[Any, Any]:
    """Data sets kept open; `roots` is there so that another folder is not taken for the same."""
    return data.load(name, frames=frames, binning=binning, seed=0)


def _recorded(experiment: Experiment, results: Path | str | None) -> tuple[Path, Record]:
    folder = results_dir(results) / RECORDED
    found = [
        (path, record)
        for path, record in _read_all(folder)
        if record.experiment.digest == experiment.digest
    ]
    if len(found) > 1:
        names = " and ".join(path.name for path, _ in found)
        raise ValueError(f"hash={experiment.hash!r} has two records in {folder}: {names}")
    if not found:
        raise LookupError(f"no record of {experiment.name}-{experiment.hash} in {folder}")
    return found[0]


def _data_roots() -> str:
    return "|".join(os.environ.get(name, "") for name in ("SNNBD_DATA", "SNNBD_CACHE"))


def _read_all(folder: Path) -> list[tuple[Path, Record]]:
    return _read_cached(folder, tuple(_stamp(path) for path in sorted(folder.glob("*.json"))))


@functools.lru_cache(maxsize=2)
def _read_cached(folder: Path, stamps: tuple[tuple[str, int], ...]) -> list[tuple[Path, Record]]:
    """The records of a folder, read once for as long as no file changes."""
    return [(folder / name, Record.read(folder / name)) for name, _ in stamps]


def _stamp(path: Path) -> tuple[str, int]:
    return path.name, path.stat().st_mtime_ns
