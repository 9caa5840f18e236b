"""Runs: train, evaluate, store; each once, however many processes ask."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import nn

from snnbd_core import learning, networks
from snnbd_core.experiment import store
from snnbd_core.experiment.provenance import Provenance, code_fingerprint, peak_memory
from snnbd_core.experiment.record import Record
from snnbd_core.experiment.settings import Experiment
from snnbd_core.files import cache_dir, write_atomically
from snnbd_core.learning import History, choose_device
from snnbd_core.metrics import evaluate
from snnbd_core.poisoning import poison

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 20.0  # what a killed run loses at the most, but for the epoch it was in


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

    A stored record is used if it has the same settings, code, data and torch version; otherwise
    the run is done (again) and replaces it. A second process that asks for the same run waits for
    the first and reads. With a trigger, the floor is measured on the clean twin of the same seed.

    Args:
        experiment: what to run.
        fresh: True trains and evaluates again in any case (the clean twin is kept).
        results: the folder for records; default as `results_dir`.
        device: "auto" takes CUDA, MPS or CPU, whichever comes first.
        progress: shows a bar while training.
        keep_network: False does not keep the trained network of a poisoned run in the cache
            (networks of the papers' size take 70 MB each).

    Raises:
        CorruptRecord: the stored file is damaged or edited (not with fresh=True).
        DataNotFound: the data set is not here.
        ValueError: settings that do not fit the data set.
    """
    folder = store.results_dir(results)
    with _locked(folder / ".locks" / f"{experiment.hash}.lock"):
        if not fresh:
            found = store.stored(experiment, folder)
            if found is not None:
                return found
        place = choose_device(device)
        record = _computed(experiment, place, fresh, progress, keep_network)
        _clear(experiment, folder)
        record.write(folder)
        return record


def network(
    experiment: Experiment, *, device: str | torch.device = "auto", progress: bool = True
) -> nn.Module:
    """The trained network of an experiment, in evaluation mode on the CPU.

    It comes from the cache if the same code trained it on the same data, else it is trained.
    """
    return _trained(experiment, choose_device(device), False, progress, True).net


@dataclass(frozen=True)
class _Trained:
    """A trained network with what its training took."""

    net: nn.Module
    history: History
    seconds: float
    peak_memory: int


def _computed(
    experiment: Experiment, place: torch.device, fresh: bool, progress: bool, keep: bool
) -> Record:
    _, test = store.datasets(experiment)
    trained = _trained(experiment, place, fresh, progress, keep)
    clean = None
    if experiment.trigger is not None:
        clean = trained
        if experiment.rate > 0:
            clean = _trained(experiment.clean_twin, place, False, progress, True)
    start = time.perf_counter()
    report = evaluate(
        trained.net,
        test,
        experiment.trigger,
        experiment.target,
        clean_net=None if clean is None else clean.net,
        device=place,
        steps=experiment.frames,
    )
    provenance = Provenance.now(
        dataset=store.data_fingerprint(experiment),
        device=place,
        seed=experiment.seed,
        seconds=trained.seconds + time.perf_counter() - start,
        peak_memory=max(trained.peak_memory, peak_memory(place)),
    )
    return Record(
        experiment=experiment, report=report, history=trained.history, provenance=provenance
    )


def _trained(
    experiment: Experiment, place: torch.device, fresh: bool, progress: bool, keep: bool
) -> _Trained:
    """The network from the cache, or trained; a checkpoint beside it survives a killed process."""
    wanted = experiment.training
    keep = keep or wanted.rate == 0  # clean twins are asked for again, by every floor
    folder = cache_dir() / "networks"
    folder.mkdir(exist_ok=True)
    stem = f"{wanted.hash}-{_made_with(wanted, place)}"
    path, checkpoint = folder / f"{stem}.pt", folder / f"{stem}.checkpoint"
    with _locked(folder / f"{stem}.lock"):
        kept = None if fresh else _restored(path, wanted)
        if kept is not None:
            return kept
        net = _untrained(wanted)
        log.info("training %s-%s", wanted.name, wanted.hash)
        if fresh:
            checkpoint.unlink(missing_ok=True)
        if place.type == "cuda":
            torch.cuda.reset_peak_memory_stats(place)
        history = learning.train(
            net,
            _training_data(wanted),
            epochs=wanted.epochs,
            seed=wanted.seed,
            device=place,
            batch_size=wanted.batch_size,
            learning_rate=wanted.learning_rate,
            loss=wanted.loss,
            steps=wanted.frames,
            checkpoint=checkpoint,
            checkpoint_seconds=CHECKPOINT_SECONDS,
            progress=progress,
        )
        trained = _Trained(net.cpu(), history, sum(history.seconds), peak_memory(place))
        if keep:
            _keep(path, trained)
        checkpoint.unlink(missing_ok=True)
        return trained


def _untrained(experiment: Experiment) -> nn.Module:
    train, _ = store.datasets(experiment)
    net: nn.Module = networks.build(
        experiment.network,
        input_shape=train.input_shape,
        classes=train.classes,
        neuron=experiment.neuron.build,
        seed=experiment.seed,
    )
    return net.eval()


def _training_data(experiment: Experiment) -> Any:
    train, _ = store.datasets(experiment)
    if experiment.rate == 0:
        return train
    return poison(
        train,
        experiment.trigger,
        rate=experiment.rate,
        target=experiment.target,
        seed=experiment.seed,
        include_target=experiment.include_target,
    )


def _made_with(experiment: Experiment, place: torch.device) -> str:
    """What else a trained network depends on: code, data, torch, and the kind of device."""
    data = store.data_fingerprint(experiment).replace("-", "")
    return f"{code_fingerprint()[:8]}{data[:4]}{data[16:20]}-torch{torch.__version__}-{place.type}"


def _keep(path: Path, trained: _Trained) -> None:
    values = {
        "net": trained.net.state_dict(),
        "history": trained.history.to_dict(),
        "seconds": trained.seconds,
        "peak_memory": trained.peak_memory,
    }
    write_atomically(path, lambda file: torch.save(values, file))


def _restored(path: Path, experiment: Experiment) -> _Trained | None:
    """What `_keep` wrote; None without a file, or with a damaged one: a cache can be made again."""
    if not path.exists():
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        net = _untrained(experiment)
        net.load_state_dict(values["net"])
        history = History.from_dict(values["history"])
        return _Trained(net, history, values["seconds"], values["peak_memory"])
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        log.warning("the kept network %s is damaged (%s); training it again", path, error)
        return None


def _clear(experiment: Experiment, folder: Path) -> None:
    """Removes an older record of the hash: its name may differ, and two must not remain."""
    for path in folder.glob(f"*-{experiment.hash}.json"):
        if path.name != f"{experiment.name}-{experiment.hash}.json":
            path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it, even a killed one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield
