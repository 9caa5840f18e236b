"""Trained networks: from the cache, or trained once, however many processes ask."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from snnbd_book.runs import trigger_cache
from snnbd_book.runs.locking import locked
from snnbd_book.runs.machine import peak_memory
from snnbd_core import networks
from snnbd_core.attacks import Dynamic
from snnbd_core.files import cache_dir, write_atomically
from snnbd_core.learning import History, Task
from snnbd_core.metrics import Rate, revived
from snnbd_core.poisoning import poison

if TYPE_CHECKING:
    from snnbd_book.runs.resolving import Resolved
    from snnbd_core.poisoning import PoisonedDataset

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 20.0  # what a killed training loses at most, but for the epoch it was in
SMALL = 2**20  # bytes; weights that take less are stored in any case


@dataclass(frozen=True)
class Outcome:
    """A trained network with what its training took, and what came of it besides."""

    net: nn.Module
    history: History
    seconds: float
    peak_memory: int
    trigger: Any = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where and how networks are trained: the device, whether anew, with a bar or without."""

    device: torch.device
    fresh: bool = False
    progress: bool = True


def trained(given: Resolved, place: Place, store: bool = True) -> Outcome:
    """The network of a training, before anything is done to it; a killed training is resumed.

    That holds for each part of a rule that trains several times, and for a trigger that is learnt
    with the network. Only a training whose loss is a bare function begins again.

    Args:
        given: whose `training` is wanted.
        place: device, and whether an earlier training is not taken.
        store: whether the weights of an attacked network go to the cache. Those of clean twins,
            which every floor asks for again, and those under 1 MiB go there in any case.
    """
    given = given.training
    wanted = given.experiment
    folder = cache_dir() / "networks"
    folder.mkdir(exist_ok=True)
    stem = f"{wanted.hash}-{trigger_cache.made_with(given)}-{place.device.type}"
    path, checkpoint = folder / f"{stem}.pt", folder / f"{stem}.checkpoint"
    with locked(folder / f"{stem}.lock"):
        found = None if place.fresh else _restored(path, given)
        if found is not None:
            return found
        if place.fresh:
            _drop(checkpoint)
        made = _made(given, place, checkpoint)
        if store or not wanted.attacks or _size(made.net) < SMALL:
            _store(path, made)
        _drop(checkpoint)
        return made


def source(given: Resolved, place: Place) -> nn.Module | None:
    """The trained network that a training starts from, if it starts from one."""
    if given.source is None:
        return None
    return trained(given.source, Place(place.device, progress=place.progress)).net


def task(
    given: Resolved, place: Place, start: nn.Module | None, checkpoint: Path | None = None
) -> Task:
    """What a training's rule is given.

    Args:
        given: the training.
        place: device and progress bar.
        start: as `source` gives it.
        checkpoint: where to put checkpoints; None for none.
    """
    wanted = given.experiment
    whole = wanted.rate == 0 or isinstance(wanted.trigger, Dynamic)
    lent = given.lent
    return Task(
        clean=lent,
        poisoned=lent if whole else poisoned(given),
        build=lambda neuron=None: built(given, neuron),
        trigger=trigger_cache.fitted(given),
        rate=wanted.rate,
        target=wanted.target,
        epochs=wanted.epochs,
        batch_size=wanted.batch_size,
        learning_rate=wanted.learning_rate,
        loss=wanted.loss,
        steps=wanted.frames,
        seed=wanted.seed,
        device=place.device,
        progress=place.progress,
        source=start,
        checkpoint=checkpoint,
        checkpoint_seconds=CHECKPOINT_SECONDS,
    )


def built(given: Resolved, neuron: Callable[[], nn.Module] | None = None) -> nn.Module:
    """The untrained network with the run's initial weights; `neuron` makes other activations."""
    wanted = given.experiment
    net: nn.Module = networks.build(
        wanted.network,
        input_shape=given.train.input_shape,
        classes=given.train.classes,
        neuron=neuron or wanted.neuron.build,
        seed=wanted.seed,
        coding=wanted.coding,
        width=wanted.width,
    )
    return net


def poisoned(given: Resolved) -> PoisonedDataset:
    """The training set with the experiment's trigger in it."""
    wanted = given.experiment
    with_order = np.random.default_rng(wanted.seed) if wanted.drawn == "with-order" else None
    return poison(
        given.train,
        trigger_cache.fitted(given),
        rate=wanted.rate,
        target=wanted.target,
        seed=wanted.seed,
        include_target=wanted.include_target,
        only_target=wanted.clean_label,
        generator=with_order,
    )


def _made(given: Resolved, place: Place, checkpoint: Path) -> Outcome:
    """The network, trained now."""
    wanted = given.experiment
    begin = source(given, place)
    log.info("training %s-%s", wanted.name, wanted.hash)
    if place.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place.device)
    start = time.perf_counter()
    asked = task(given, place, begin, checkpoint)
    jointly = wanted.rate > 0 and isinstance(wanted.trigger, Dynamic)
    done = wanted.trigger.learn(asked) if jointly else wanted.rule.fit(asked)
    return Outcome(
        done.net.cpu().eval(),
        done.history,
        time.perf_counter() - start,
        peak_memory(place.device),
        done.trigger,
        done.figures,
    )


def _drop(checkpoint: Path) -> None:
    """Removes the checkpoints of a rule, which has one for each of its trainings."""
    for file in checkpoint.parent.glob(f"{checkpoint.stem}*{checkpoint.suffix}"):
        file.unlink(missing_ok=True)


def _size(net: nn.Module) -> int:
    """Bytes of a network's weights and buffers."""
    return sum(value.nbytes for value in net.state_dict().values())


def _store(path: Path, made: Outcome) -> None:
    values = {
        "net": made.net.state_dict(),
        "history": made.history.to_dict(),
        "seconds": made.seconds,
        "peak_memory": made.peak_memory,
        "trigger": None if made.trigger is None else made.trigger.state_dict(),
        "figures": {
            name: asdict(value) if isinstance(value, Rate) else value
            for name, value in made.figures.items()
        },
    }
    write_atomically(path, lambda file: torch.save(values, file))


def _restored(path: Path, given: Resolved) -> Outcome | None:
    """What `_store` wrote; None without a file, or with a damaged one, which can be made again."""
    if not path.exists():
        return None
    wanted = given.experiment
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        net = wanted.rule.layout(built(given)).eval()
        net.load_state_dict(values["net"])
        trigger = None
        if values["trigger"] is not None:
            trigger = wanted.trigger.restored(values["trigger"], given.train.input_shape)
        history = History.from_dict(values["history"])
        figures = {name: revived(value) for name, value in values["figures"].items()}
        return Outcome(net, history, values["seconds"], values["peak_memory"], trigger, figures)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        log.warning("the stored network %s is damaged (%s); training it again", path, error)
        return None
