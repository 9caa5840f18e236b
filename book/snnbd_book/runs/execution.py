"""Runs: train, evaluate, store; each once, however many processes ask."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnbd_book.runs import store, training, trigger_cache
from snnbd_book.runs.probing import probed
from snnbd_book.runs.provenance import Provenance, peak_memory
from snnbd_book.runs.record import Record
from snnbd_book.runs.resolving import Resolved, resolve
from snnbd_book.runs.settings import Experiment
from snnbd_book.runs.training import Outcome, Place
from snnbd_core.attacks import Dynamic, Generated
from snnbd_core.kernels import memory
from snnbd_core.learning import Task, choose_device
from snnbd_core.metrics import evaluate
from snnbd_core.view import override


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
            (networks of the papers' size take 70 MB each), unless it takes less than 1 MiB, or is
            repaired, probed or deployed at other thresholds, which is done to one network in many
            ways.

    Raises:
        CorruptRecord: the stored file is damaged or edited (not with fresh=True).
        DataNotFound: the data set is not here.
        ValueError: settings that do not fit the data set.
    """
    folder = store.results_dir(results)
    with training.locked(folder / ".locks" / f"{experiment.hash}.lock"):
        found = None if fresh else store.find(experiment, folder)
        given = resolve(experiment)
        if found is not None and found.provenance.staleness(given.fingerprint) is None:
            return found
        memory.keep()
        record = _computed(given, Place(choose_device(device), fresh, progress), keep_network)
        _clear(experiment, folder)
        record.write(folder)
        return record


def network(
    experiment: Experiment, *, device: str | torch.device = "auto", progress: bool = True
) -> nn.Module:
    """The network that an experiment's report is about, in evaluation mode on the CPU.

    Its training comes from the cache if the same code did it on the same data, else it is done.
    A defence is done anew; `inference_threshold` and `inference_beta` are not set.
    """
    given, place = resolve(experiment), Place(choose_device(device), progress=progress)
    return _repaired(given, training.trained(given, place).net, place).cpu()


def fitted_trigger(
    experiment: Experiment, *, device: str | torch.device = "auto", progress: bool = True
) -> Any:
    """The trigger as it is put into samples: of one that is learnt, what was learnt."""
    given, place = resolve(experiment), Place(choose_device(device), progress=progress)
    if isinstance(experiment.trigger, Dynamic | Generated):
        return _ready(given, training.trained(given, place))
    return trigger_cache.fitted(given)


def task(
    experiment: Experiment, *, device: str | torch.device = "auto", progress: bool = True
) -> Task:
    """What the experiment's rule is given to train on, for a look at a part of its training."""
    given, place = resolve(experiment).training, Place(choose_device(device), progress=progress)
    return training.task(given, place, training.source(given, place))


def _computed(given: Resolved, place: Place, keep: bool) -> Record:
    experiment = given.experiment
    done = training.trained(given, place, keep or _asked_again(experiment))
    trigger, clean = None, None
    if experiment.trigger is not None:
        trigger = _ready(given, done)
        clean = done.net
        if experiment.attacks:
            clean = training.trained(given.clean_twin, replace(place, fresh=False)).net
    start = time.perf_counter()
    net = _repaired(given, done.net, place)
    nets = [net] if clean is None or clean is done.net else [net, clean]
    with _as_deployed(experiment, nets):
        report = evaluate(
            net,
            given.test,
            trigger,
            experiment.target,
            clean_net=clean,
            device=place.device,
            steps=experiment.frames,
        )
        extra = trigger_cache.stealth_of(given, trigger) | dict(done.figures)
        extra |= _measured(given, net, trigger, place)
        extra |= probed(given, net, trigger, partial(training.poisoned, given), place.device)
    provenance = Provenance.now(
        dataset=given.fingerprint,
        device=place.device,
        seed=experiment.seed,
        seconds=done.seconds + time.perf_counter() - start,
        peak_memory=max(done.peak_memory, peak_memory(place.device)),
    )
    return Record(
        experiment=experiment,
        report=replace(report, extra=extra),
        history=done.history,
        provenance=provenance,
    )


def _asked_again(experiment: Experiment) -> bool:
    """Whether its network is likely wanted in other ways: repaired, probed, deployed otherwise."""
    handled = experiment.defence is not None or experiment.probe is not None
    return handled or experiment.deployed_otherwise


def _ready(given: Resolved, done: Outcome) -> Any:
    """The experiment's trigger as it is put into test samples."""
    trigger = given.experiment.trigger
    if isinstance(trigger, Generated):
        return trigger_cache.against(given, done.net)
    if done.trigger is None:
        return trigger_cache.fitted(given)
    return trigger.restored(done.trigger.state_dict(), given.train.input_shape)


def _repaired(given: Resolved, net: nn.Module, place: Place) -> nn.Module:
    """The network after the experiment's defence; the network itself where there is none."""
    experiment = given.experiment
    if experiment.defence is None:
        return net
    repaired: nn.Module = experiment.defence.repair(
        net, given.defender, seed=experiment.seed, device=place.device, steps=experiment.frames
    )
    return repaired


@contextmanager
def _as_deployed(experiment: Experiment, nets: Sequence[nn.Module]) -> Iterator[None]:
    """The networks with the neurons' settings of the inference, where the experiment has some."""
    settings = {
        name: value
        for name, value in (
            ("threshold", experiment.inference_threshold),
            ("beta", experiment.inference_beta),
        )
        if value is not None
    }
    with ExitStack() as stack:
        for net in nets if settings else ():
            stack.enter_context(override(net, **settings))
        yield


def _measured(given: Resolved, net: nn.Module, trigger: Any, place: Place) -> dict[str, Any]:
    """What the rule measures besides the report, if anything."""
    experiment = given.experiment
    if not experiment.rule.figures:
        return {}
    begin = training.source(given.training, replace(place, progress=False))
    target, frames = experiment.target, experiment.frames
    return experiment.rule.measure(net, begin, given.test, trigger, target, frames, place.device)


def _clear(experiment: Experiment, folder: Path) -> None:
    """Removes an older record of the hash: its name may differ, and two must not remain."""
    for path in folder.glob(f"*-{experiment.hash}.json"):
        if path.name != f"{experiment.name}-{experiment.hash}.json":
            path.unlink()
