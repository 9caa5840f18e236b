"""What is found out of a trigger once and then kept: its fit to the training set, its stealth."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any, BinaryIO

import torch
from torch import nn

from snnbd_book.runs import codec, parts, store
from snnbd_book.runs.provenance import code_fingerprint
from snnbd_book.runs.settings import Experiment
from snnbd_core.files import cache_dir, write_atomically
from snnbd_core.metrics import stealth

# All that `fit` is told, by the fields of an experiment.
_SEEN = ("data", "frames", "binning", "samples", "trigger", "target", "seed")
_SHOWN: dict[tuple[Any, ...], dict[str, float]] = {}


def fitted(experiment: Experiment) -> Any:
    """The experiment's trigger, ready for use.

    One with a method ``fit(train, *, target, seed)`` is fitted to the training set and kept in the
    cache as JSON; any other comes back as it is.
    """
    if not hasattr(experiment.trigger, "fit"):
        return experiment.trigger
    values = experiment.to_dict()
    seen = codec.canonical({name: values[name] for name in _SEEN})
    key = f"{hashlib.sha256(seen.encode()).hexdigest()[:12]}-{made_with(experiment)}"
    return _fitted(key, experiment)


def against(experiment: Experiment, net: nn.Module) -> Any:
    """The trigger that is trained against the experiment's own network, kept in the cache."""
    train, _ = store.datasets(experiment)
    seen = f"{experiment.training.digest}|{experiment.trigger!r}|{experiment.target}"
    key = f"{hashlib.sha256(seen.encode()).hexdigest()[:12]}-{made_with(experiment)}"
    path = cache_dir() / "triggers" / f"{key}.pt"
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
        return experiment.trigger.restored(train.input_shape, state)
    made = experiment.trigger.against(
        net, train, target=experiment.target, steps=experiment.frames, seed=experiment.seed
    )
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda file: torch.save(made.state_dict(), file), "SNNBD_CACHE")
    return made


def stealth_of(experiment: Experiment, test: Any, trigger: Any) -> dict[str, float]:
    """How much a trigger shows; computed once in this process for all runs that differ elsewhere.

    That of a trigger that was fitted or learnt is computed for each run: its settings do not say
    what became of them.

    Args:
        experiment: with a defence or a probe there are no scores: they are those without it.
        test: the reported samples.
        trigger: as it is put into them.
    """
    if trigger is None or experiment.defence is not None or experiment.probe is not None:
        return {}
    train, _ = store.datasets(experiment)
    if trigger is not experiment.trigger:
        return _scores(test, trigger, train)
    settings = codec.canonical(codec.part_to_dict(trigger))
    # The class itself, for one of the same name may be written anew in a notebook.
    key = (test.fingerprint, train.fingerprint, type(trigger), settings)
    if key not in _SHOWN:
        _SHOWN[key] = _scores(test, trigger, train)
    return dict(_SHOWN[key])


def _scores(test: Any, trigger: Any, train: Any) -> dict[str, float]:
    if hasattr(test, "bin"):
        return stealth.score(test, trigger, train)
    return stealth.score_images(test, trigger)


def made_with(experiment: Experiment) -> str:
    """What else a trained network or trigger depends on: code, data and torch."""
    data = store.data_fingerprint(experiment).replace("-", "")
    return f"{code_fingerprint()[:8]}{data[:4]}{data[16:20]}-torch{torch.__version__}"


@functools.lru_cache(maxsize=64)
def _fitted(key: str, experiment: Experiment) -> Any:
    path = cache_dir() / "triggers" / f"{key}.json"
    if path.exists():
        return codec.part_from_dict("trigger", json.loads(path.read_bytes()), parts.TRIGGERS)
    train, _ = store.datasets(experiment)
    trigger = experiment.trigger.fit(train, target=experiment.target, seed=experiment.seed)
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(codec.part_to_dict(trigger))
    write_atomically(path, functools.partial(_write, text), "SNNBD_CACHE")
    return trigger


def _write(text: str, file: BinaryIO) -> None:
    file.write(text.encode())
