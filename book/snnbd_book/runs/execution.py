"""Runs: train, evaluate, store; each once, however many processes ask."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import nn

from snnbd_book.runs import store, trigger_cache
from snnbd_book.runs.probing import probed
from snnbd_book.runs.provenance import Provenance, peak_memory
from snnbd_book.runs.record import Record
from snnbd_book.runs.settings import Experiment
from snnbd_book.runs.trigger_cache import made_with
from snnbd_core import networks
from snnbd_core.files import cache_dir, write_atomically
from snnbd_core.kernels import memory
from snnbd_core.learning import History, Task, choose_device
from snnbd_core.metrics import Rate, evaluate, revived
from snnbd_core.metrics import migration_rates as migration
from snnbd_core.neurons import override
from snnbd_core.poisoning import poison

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 20.0  # what a killed run loses at the most, but for the epoch it was in
SMALL = 2**20  # bytes; weights that take less are kept in any case


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
    with _locked(folder / ".locks" / f"{experiment.hash}.lock"):
        if not fresh:
            found = store.stored(experiment, folder)
            if found is not None:
                return found
        memory.keep()
        place = choose_device(device)
        record = _computed(experiment, place, fresh, progress, keep_network)
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
    place = choose_device(device)
    net = _trained(experiment, place, False, progress, True).net
    return _repaired(experiment, net, place).cpu()


def fitted_trigger(
    experiment: Experiment, *, device: str | torch.device = "auto", progress: bool = True
) -> Any:
    """The trigger as it is put into samples: of one that is learnt, what was learnt."""
    if hasattr(experiment.trigger, "learn") or hasattr(experiment.trigger, "against"):
        return _ready(
            experiment, _trained(experiment, choose_device(device), False, progress, True)
        )
    return trigger_cache.fitted(experiment)


def task(
    experiment: Experiment, *, device: str | torch.device = "auto", progress: bool = True
) -> Task:
    """What the experiment's rule is given to train on, for a look at a part of its training."""
    wanted, place = experiment.training, choose_device(device)
    return _task(wanted, place, progress, _source(wanted, place, progress), None)


@dataclass(frozen=True)
class _Trained:
    """A trained network with what its training took, and what came of it besides."""

    net: nn.Module
    history: History
    seconds: float
    peak_memory: int
    trigger: Any = None
    figures: Mapping[str, Any] = field(default_factory=dict)


def _computed(
    experiment: Experiment, place: torch.device, fresh: bool, progress: bool, keep: bool
) -> Record:
    defender, test = store.test_sets(experiment)
    keep = keep or _asked_again(experiment)
    trained = _trained(experiment, place, fresh, progress, keep)
    trigger, clean = None, None
    if experiment.trigger is not None:
        trigger = _ready(experiment, trained)
        clean = trained
        if experiment.attacks:
            clean = _trained(experiment.clean_twin, place, False, progress, True)
    start = time.perf_counter()
    net = _repaired(experiment, trained.net, place, defender)
    nets = [net] if clean is None or clean is trained else [net, clean.net]
    with _as_deployed(experiment, nets):
        report = evaluate(
            net,
            test,
            trigger,
            experiment.target,
            clean_net=None if clean is None else clean.net,
            device=place,
            steps=experiment.frames,
        )
        extra = trigger_cache.stealth_of(experiment, test, trigger) | dict(trained.figures)
        extra |= _measured(experiment, net, test, trigger, place)
        extra |= probed(
            experiment, net, defender=defender, test=test, trigger=trigger,
            poisoned=partial(_poisoned, experiment), device=place,
        )  # fmt: skip
    provenance = Provenance.now(
        dataset=store.data_fingerprint(experiment),
        device=place,
        seed=experiment.seed,
        seconds=trained.seconds + time.perf_counter() - start,
        peak_memory=max(trained.peak_memory, peak_memory(place)),
    )
    return Record(
        experiment=experiment,
        report=replace(report, extra=extra),
        history=trained.history,
        provenance=provenance,
    )


def _asked_again(experiment: Experiment) -> bool:
    """Whether its network is likely wanted in other ways: repaired, probed, deployed otherwise."""
    handled = experiment.defence is not None or experiment.probe is not None
    return handled or experiment.deployed_otherwise


def _ready(experiment: Experiment, trained: _Trained) -> Any:
    """The experiment's trigger as it is put into test samples."""
    if hasattr(experiment.trigger, "against"):
        return trigger_cache.against(experiment, trained.net)
    if trained.trigger is None:
        return trigger_cache.fitted(experiment)
    train, _ = store.datasets(experiment)
    return experiment.trigger.restored(trained.trigger.state_dict(), train.input_shape)


def _repaired(
    experiment: Experiment, net: nn.Module, place: torch.device, defender: Any = None
) -> nn.Module:
    """The network after the experiment's defence; the network itself where there is none."""
    if experiment.defence is None:
        return net
    if defender is None:
        defender, _ = store.test_sets(experiment)
    repaired: nn.Module = experiment.defence.repair(
        net, defender, seed=experiment.seed, device=place, steps=experiment.frames
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


def _measured(
    experiment: Experiment, net: nn.Module, test: Any, trigger: Any, place: torch.device
) -> dict[str, Any]:
    """What the rule measures besides the report; of one with a source and figures, migration."""
    rule = experiment.rule
    migrates = hasattr(rule, "source") and hasattr(rule, "figures")
    measure = getattr(rule, "measure", migration.compare if migrates else None)
    if measure is None:
        return {}
    source: Any = _source(experiment.training, place, False)
    figures: dict[str, Any] = measure(
        net, source, test, trigger, experiment.target,
        experiment.frames, place,
    )  # fmt: skip
    return figures


def _trained(
    experiment: Experiment, place: torch.device, fresh: bool, progress: bool, keep: bool
) -> _Trained:
    """The network from the cache, or trained; a checkpoint beside it survives a killed process."""
    wanted = experiment.training
    keep = keep or not wanted.attacks  # clean twins are asked for again, by every floor
    folder = cache_dir() / "networks"
    folder.mkdir(exist_ok=True)
    stem = f"{wanted.hash}-{made_with(wanted)}-{place.type}"
    path, checkpoint = folder / f"{stem}.pt", folder / f"{stem}.checkpoint"
    with _locked(folder / f"{stem}.lock"):
        kept = None if fresh else _restored(path, wanted)
        if kept is not None:
            return kept
        source = _source(wanted, place, progress)
        log.info("training %s-%s", wanted.name, wanted.hash)
        if fresh:
            checkpoint.unlink(missing_ok=True)
        if place.type == "cuda":
            torch.cuda.reset_peak_memory_stats(place)
        start = time.perf_counter()
        given = _task(wanted, place, progress, source, checkpoint)
        fitted = wanted.trigger.learn(given) if _learnt(wanted) else wanted.rule.fit(given)
        trained = _Trained(
            fitted.net.cpu().eval(),
            fitted.history,
            time.perf_counter() - start,
            peak_memory(place),
            fitted.trigger,
            fitted.figures,
        )
        if keep or _size(trained.net) < SMALL:
            _keep(path, trained)
        checkpoint.unlink(missing_ok=True)
        return trained


def _source(experiment: Experiment, place: torch.device, progress: bool) -> nn.Module | None:
    """The trained network that the experiment's rule starts from, if it starts from one."""
    wanted = getattr(experiment.rule, "source", lambda _: None)(experiment)
    if wanted is None:
        return None
    return _trained(wanted, place, False, progress, True).net


def _task(
    experiment: Experiment,
    place: torch.device,
    progress: bool,
    source: nn.Module | None,
    checkpoint: Path | None,
) -> Task:
    train, _ = store.datasets(experiment)
    return Task(
        clean=train,
        poisoned=train if experiment.rate == 0 or _learnt(experiment) else _poisoned(experiment),
        build=lambda neuron=None: _built(experiment, neuron),
        trigger=experiment.trigger,
        rate=experiment.rate,
        target=experiment.target,
        epochs=experiment.epochs,
        batch_size=experiment.batch_size,
        learning_rate=experiment.learning_rate,
        loss=experiment.loss,
        steps=experiment.frames,
        seed=experiment.seed,
        device=place,
        progress=progress,
        source=source,
        checkpoint=checkpoint,
        checkpoint_seconds=CHECKPOINT_SECONDS,
    )


def _learnt(experiment: Experiment) -> bool:
    """Whether the trigger is learnt together with the network."""
    return experiment.rate > 0 and hasattr(experiment.trigger, "learn")


def _built(experiment: Experiment, neuron: Callable[[], nn.Module] | None = None) -> nn.Module:
    train, _ = store.datasets(experiment)
    net: nn.Module = networks.build(
        experiment.network,
        input_shape=train.input_shape,
        classes=train.classes,
        neuron=neuron or experiment.neuron.build,
        seed=experiment.seed,
        coding=experiment.coding,
    )
    return net


def _poisoned(experiment: Experiment) -> Any:
    train, _ = store.datasets(experiment)
    return poison(
        train,
        trigger_cache.fitted(experiment),
        rate=experiment.rate,
        target=experiment.target,
        seed=experiment.seed,
        include_target=experiment.include_target,
        only_target=experiment.clean_label,
    )


def _size(net: nn.Module) -> int:
    """Bytes of a network's weights and buffers."""
    return sum(value.nbytes for value in net.state_dict().values())


def _keep(path: Path, trained: _Trained) -> None:
    values = {
        "net": trained.net.state_dict(),
        "history": trained.history.to_dict(),
        "seconds": trained.seconds,
        "peak_memory": trained.peak_memory,
        "trigger": None if trained.trigger is None else trained.trigger.state_dict(),
        "figures": {
            name: asdict(value) if isinstance(value, Rate) else value
            for name, value in trained.figures.items()
        },
    }
    write_atomically(path, lambda file: torch.save(values, file), "SNNBD_CACHE")


def _restored(path: Path, experiment: Experiment) -> _Trained | None:
    """What `_keep` wrote; None without a file, or with a damaged one: a cache can be made again."""
    if not path.exists():
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        net = getattr(experiment.rule, "layout", lambda net: net)(_built(experiment)).eval()
        net.load_state_dict(values["net"])
        trigger = None
        if values["trigger"] is not None:
            train, _ = store.datasets(experiment)
            trigger = experiment.trigger.restored(values["trigger"], train.input_shape)
        history = History.from_dict(values["history"])
        figures = {name: revived(value) for name, value in values["figures"].items()}
        return _Trained(net, history, values["seconds"], values["peak_memory"], trigger, figures)
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
