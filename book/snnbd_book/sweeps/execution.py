"""Runs experiments on Dask: local processes, or the workers of a scheduler that runs already.

On a cluster the workers and the process that calls `run` must see one results folder
(``$SNNBD_RESULTS`` on a shared file system whose file locks work across machines) and one version
of this package. A worker with one thread (``--nthreads 1``) runs one experiment at a time.

GPUs, one worker each, on a machine with four:

    dask scheduler --host 127.0.0.1 &
    for gpu in 0 1 2 3; do
        CUDA_VISIBLE_DEVICES=$gpu dask worker tcp://localhost:8786 --nthreads 1 &
    done
    snnbd sweep grid.yaml --scheduler tcp://localhost:8786

``$SNNBD_SCHEDULER`` says the same to all sweeps, those of a build of the book included. Dask asks
nobody for a password, and whoever reaches a scheduler runs code on its workers: without TLS it
belongs on the machine itself or on a private network.

Slurm, through dask-jobqueue (a package of its own), one GPU per job:

    cluster = dask_jobqueue.SLURMCluster(
        cores=1, processes=1, memory="16GB", walltime="12:00:00",
        job_extra_directives=["--gres=gpu:1"],
        job_script_prologue=["source .venv/bin/activate", "export SNNBD_RESULTS=$HOME/results"],
    )
    cluster.scale(jobs=32)
    grid = sweeps.load_grid("grid.yaml")
    sweeps.run(grid.experiments(), scheduler=cluster.scheduler_address, console=Console())
"""

from __future__ import annotations

import json
import math
import os
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from distributed import Client, Future, as_completed
from rich.console import Console

from snnbd_book import runs
from snnbd_book.runs import Experiment, Record
from snnbd_book.runs.shelf import Shelf
from snnbd_book.sweeps.display import Display
from snnbd_book.sweeps.frame import to_frame
from snnbd_book.sweeps.workers import client_of, fitting

if TYPE_CHECKING:
    import pandas as pd

_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 0.02


def run(
    experiments: Sequence[Experiment],
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    threads: int = 1,
    results: Path | str | None = None,
    device: str = "auto",
    fresh: bool = False,
    keep_networks: bool = False,
    seconds: float | None = None,
    begin: float | None = None,
    first: Sequence[str] = (),
    console: Console | None = None,
) -> pd.DataFrame:
    """Runs experiments side by side; what has a record already is not run again.

    A run that fails is reported with its traceback and does not stop the others; a run whose
    worker dies goes to another one. Each worker writes its records itself, whole or not at all,
    so at whatever point a sweep is stopped, the next one goes on from there.

    Args:
        experiments: what to run; equal ones are run once.
        scheduler: the address of a Dask scheduler, "tcp://host:8786". Its workers must see the
            same results folder and have the same code. None takes ``$SNNBD_SCHEDULER``, which a
            build of the book sets, whose chapters share their workers; without it, and where
            `workers` is given, local processes are started.
        workers: local processes, at most one per run; default as `fitting` says.
        threads: of torch in each run. With `workers` x `threads` above the number of cores the
            runs only disturb each other.
        results: the folder for records, as the workers see it.
        device: as for `snnbd_book.runs.run`.
        fresh: True runs all again.
        keep_networks: as `keep_network` of `snnbd_book.runs.run`, for all runs. Small
            networks are always kept, 0.7 MB each in the profile quick; the cache may be deleted.
        seconds: None waits for all; otherwise the sweep ends after so many, and what is not done
            by then is no row of the table.
        begin: None begins all; otherwise no run is begun after so many seconds. Those that have
            begun go on to their end; the others are no rows of the table.
        first: names of data sets whose runs come first, in this order.
        console: where to show progress; None shows nothing.

    Returns:
        One row per experiment, see `frame.to_frame`.

    Raises:
        ValueError: no experiments, workers or threads below 1.
        SchedulerUnreachable: no scheduler there.
        CorruptRecord, DataNotFound: as `snnbd_book.runs.stored`.
    """
    items = list({item.hash: item for item in experiments}.values())
    if not items:
        raise ValueError("experiments is empty: nothing to run")
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise ValueError(f"{name}={value!r} must be a whole number >= 1")
    if workers is None:
        scheduler = scheduler or os.environ.get("SNNBD_SCHEDULER") or None
    folder = runs.results_dir(results)
    records: dict[str, Record] = {}
    opened: dict[Path, Shelf] = {}
    for item in () if fresh else items:
        found = runs.stored(item, folder, opened)
        if found is not None:
            records[item.hash] = found
    todo = [item for item in items if item.hash not in records]
    errors: dict[str, str] = {}
    if todo:
        with (
            client_of(
                scheduler, min(workers or fitting(device=device), len(todo)), threads
            ) as client,
            Display(len(items), len(records), console) as display,
        ):
            last = None if begin is None else time.time() + begin
            task = _Task(str(folder), device, threads, fresh, keep_networks, last)
            until = math.inf if seconds is None else time.monotonic() + seconds
            _collect(client, task, _ordered(todo, first), records, errors, display, until)
    done = [item for item in items if item.hash in records or item.hash in errors]
    return to_frame(done, records, errors)


def records(experiments: Sequence[Experiment], *, device: str = "auto") -> dict[str, Record]:
    """The records that the book shows of some experiments, by hash, see `runs.at_hand`.

    What has none is run, side by side.

    Args:
        experiments: in any number, also none.
        device: as for `run`.

    Raises:
        RuntimeError: a run failed; has its traceback.
        CorruptRecord, DataNotFound, SchedulerUnreachable: as `run`.
    """
    found = runs.recorded_of(experiments)
    missing = [item for item in experiments if item.hash not in found]
    if missing:
        errors = run(missing, device=device, keep_networks=True)["error"].dropna()
        if len(errors):
            raise RuntimeError(f"a run failed:\n{errors.iloc[0]}")
        found |= runs.recorded_of(missing)
    return found


def _ordered(todo: Sequence[Experiment], first: Sequence[str] = ()) -> list[Experiment]:
    """One run for each training first, so that as few workers as can be wait for another's network.

    Networks that others begin with come before those, clean ones before attacked ones; and runs on
    the sets named `first` before all others.
    """
    places = {name: place for place, name in enumerate(first)}
    seen: Counter[str] = Counter()
    ranks = {}
    for item in todo:
        wanted = item.training.hash
        place = places.get(item.data, len(places))
        ranks[item.hash] = (place, seen[wanted], _depth(item), item.attacks)
        seen[wanted] += 1
    return sorted(todo, key=lambda item: ranks[item.hash])


def _depth(item: Experiment) -> int:
    """How many networks have to be trained one after the other before this one's training."""
    trained = item.training
    source = trained.rule.source(trained)
    return 0 if source is None else 1 + _depth(source)


class _Task:
    """What a worker does with one experiment; sent to it as text, not as live objects.

    After the moment `last`, in seconds since 1970, it does nothing and gives None.
    """

    def __init__(
        self,
        folder: str,
        device: str,
        threads: int,
        fresh: bool,
        keep: bool,
        last: float | None,
    ) -> None:
        self.folder, self.device, self.threads = folder, device, threads
        self.fresh, self.keep, self.last = fresh, keep, last

    def __call__(self, text: str) -> str | None:
        if self.last is not None and time.time() > self.last:
            return None
        torch.set_num_threads(self.threads)
        record = runs.run(
            Experiment.from_json(text),
            self.fresh,
            results=self.folder,
            device=self.device,
            progress=False,
            keep_network=self.keep,
        )
        return json.dumps(record.to_dict())


def _collect(
    client: Client,
    task: _Task,
    todo: Sequence[Experiment],
    records: dict[str, Record],
    errors: dict[str, str],
    display: Display,
    until: float,
) -> None:
    """Submits all runs and takes their records and errors as they come, up to a time."""
    found = len(records)
    # Another sweep may ask the same scheduler for the same run: each has names of its own.
    futures = {
        client.submit(
            task, item.to_json(), key=f"run-{item.hash}-{client.id}", pure=False, retries=0
        ): item
        for item in todo
    }
    waiting = as_completed(futures, loop=client.loop)
    last = ""
    try:
        while waiting.count() and time.monotonic() < until:
            done = _next(waiting)
            if done is not None:
                item = futures[done]
                error = _taken(done, item, records, errors)
                if error is not None:
                    last = f"{item.name}-{item.hash}: {error.strip().splitlines()[-1]}"
            running = _running(client) if waiting.count() else 0
            counts = {
                "found": found,
                "waiting": max(waiting.count() - running, 0),
                "running": running,
                "done": len(records) - found,
                "failed": len(errors),
            }
            if done is not None and (item.hash in records or item.hash in errors):
                name = f"{item.name}-{item.hash} (seed {item.seed})"
                display.finished(name, counts, errors.get(item.hash))
            display.show(counts, last)
    finally:
        if waiting.count():
            client.cancel(list(futures), force=True)


def _taken(
    future: Future[str | None],
    item: Experiment,
    records: dict[str, Record],
    errors: dict[str, str],
) -> str | None:
    """Keeps a finished run's record, if it was begun in time, or its error, which is returned."""
    if future.status == "finished":
        text = future.result()
        if text is not None:
            records[item.hash] = Record.from_dict(json.loads(text))
        return None
    error = future.exception()
    told = "".join(traceback.format_exception(error)) if error else f"the run was {future.status}"
    errors[item.hash] = told
    return told


def _next(waiting: as_completed) -> Future[str | None] | None:
    """The next run that ended, or None after a short while without any."""
    deadline = time.monotonic() + _LOOK_SECONDS
    while not waiting.has_ready():
        if time.monotonic() > deadline:
            return None
        time.sleep(_PAUSE_SECONDS)
    future: Future[str | None] = next(waiting)
    return future


def _running(client: Client) -> int:
    """Runs of this sweep that a worker has begun; a scheduler may have others' as well."""
    of_workers = client.processing().values()
    return sum(str(key).endswith(client.id) for keys in of_workers for key in keys)
