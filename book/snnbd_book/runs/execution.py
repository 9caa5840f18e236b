"""Runs: train, evaluate, store; each once, however many processes ask."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from snnbd_book.runs import computing, store, training, trigger_cache
from snnbd_book.runs.locking import locked
from snnbd_book.runs.provenance import Provenance
from snnbd_book.runs.record import Record
from snnbd_book.runs.resolving import resolve
from snnbd_book.runs.settings import Experiment
from snnbd_book.runs.shelf import Shelf
from snnbd_book.runs.training import Place
from snnbd_core.attacks import Dynamic, Generated
from snnbd_core.kernels import memory
from snnbd_core.learning import Task, choose_device
from snnbd_core.triggers import Trigger


def run(
    experiment: Experiment,
    fresh: bool = False,
    *,
    results: Path | str | None = None,
    device: str | torch.device = "auto",
    progress: bool = True,
    keep_network: bool = True,
) -> Record:
    """The record of an experiment: the stored one, or that of a run.

    A stored record, committed or of this machine, is used if it has the same settings, code, data
    and torch version; otherwise the run is done and its record stored. A second process that asks
    for the same run waits for the first and reads. With a trigger, the floor is measured on the
    clean twin of the same seed.

    Args:
        experiment: what to run.
        fresh: True trains and evaluates again in any case (the clean twin is not trained again).
        results: the folder for records; default as `results_dir`.
        device: "auto" takes CUDA, MPS or CPU, whichever comes first.
        progress: shows a bar while training.
        keep_network: False does not store the trained network of a poisoned run in the cache
            (networks of the papers' size take 70 MB each), unless it takes less than 1 MiB, or is
            repaired, probed or deployed at other thresholds, which is done to one network in many
            ways.

    Raises:
        CorruptRecord: the stored line is damaged or edited (not with fresh=True).
        DataNotFound: the data set is not here.
        ValueError: settings that do not fit the data set.
    """
    folder = store.results_dir(results)
    with locked(folder / ".locks" / f"{experiment.hash}.lock"):
        found = None if fresh else store.stored(experiment, folder)
        if found is not None:
            return found
        memory.keep()
        given = resolve(experiment)
        place = Place(choose_device(device), fresh, progress)
        done = computing.compute(given, place, keep_network)
        record = Record(
            experiment=experiment,
            report=done.report,
            history=done.history,
            provenance=Provenance.now(
                experiment,
                dataset=given.fingerprint,
                device=place.device,
                seconds=done.seconds,
                peak_memory=done.peak_memory,
                precision=done.history.precision,
            ),
        )
        Shelf.of(experiment, folder).put(record)
        return record


def network(
    experiment: Experiment, *, device: str | torch.device = "auto", progress: bool = True
) -> nn.Module:
    """The network that an experiment's report is about, in evaluation mode on the CPU.

    Its training comes from the cache if the same code did it on the same data, else it is done.
    A defence is done anew; `inference_threshold` and `inference_beta` are not set.
    """
    given, place = resolve(experiment), Place(choose_device(device), progress=progress)
    return computing.repaired(given, training.trained(given, place).net, place).cpu()


def fitted_trigger(
    experiment: Experiment, *, device: str | torch.device = "auto", progress: bool = True
) -> Trigger:
    """The trigger as it is put into samples: of one that is learnt, what was learnt."""
    given, place = resolve(experiment), Place(choose_device(device), progress=progress)
    if isinstance(experiment.trigger, Dynamic | Generated):
        return computing.ready(given, training.trained(given, place))
    return trigger_cache.fitted(given)


def task(
    experiment: Experiment, *, device: str | torch.device = "auto", progress: bool = True
) -> Task:
    """What the experiment's rule is given to train on, for a look at a part of its training."""
    given, place = resolve(experiment).training, Place(choose_device(device), progress=progress)
    return training.task(given, place, training.source(given, place))
