"""What is found out of a trigger once and then stored: its fit to the training set, its stealth.

What is stored is named by the settings and the data it depends on, and by the code that made it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from snnbd_book.runs import codec, lineage, machine, parts
from snnbd_core.attacks import Dynamic, Generated
from snnbd_core.files import cache_dir, write_atomically
from snnbd_core.metrics import stealth
from snnbd_core.triggers import Recipe

if TYPE_CHECKING:
    from snnbd_book.runs.resolving import Resolved
    from snnbd_core.triggers import Trigger

# All that `fit` is told, by the fields of an experiment.
_SEEN = ("data", "frames", "binning", "samples", "trigger", "target", "seed")
_SHOWN: dict[tuple[Any, ...], dict[str, float]] = {}


def fitted(given: Resolved) -> Trigger:
    """The experiment's trigger, ready for use: fitted to the training set if it is to be."""
    wanted, trigger = given.experiment, given.experiment.trigger
    if not isinstance(trigger, Recipe) or isinstance(trigger, Dynamic | Generated):
        return trigger
    values = wanted.to_dict()
    path = cache_dir() / "triggers" / f"{_key(given, [values[name] for name in _SEEN])}.json"
    if path.exists():
        return codec.part_from_dict("trigger", json.loads(path.read_bytes()), parts.TRIGGERS)
    made = trigger.fit(given.lent, target=wanted.target, seed=wanted.seed)
    text = json.dumps(codec.part_to_dict(made)).encode()
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda file: codec.write_all(file, text))
    return made


def against(given: Resolved, net: nn.Module) -> Trigger:
    """The trigger that is trained against the experiment's own network, stored in the cache."""
    wanted, train = given.experiment, given.train
    settings = codec.part_to_dict(wanted.trigger)
    key = _key(given, [given.training.experiment.digest, settings, wanted.target])
    path = cache_dir() / "triggers" / f"{key}.pt"
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
        return wanted.trigger.restored(state, train.input_shape)
    made = wanted.trigger.fit(
        given.lent, target=wanted.target, seed=wanted.seed, net=net, steps=wanted.frames
    )
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda file: torch.save(made.state_dict(), file), "SNNBD_CACHE")
    return made


def stealth_of(given: Resolved, trigger: Trigger | None) -> dict[str, float]:
    """How much a trigger shows; computed once in this process for all runs that differ elsewhere.

    That of a trigger that was fitted or learnt is computed for each run: its settings do not say
    what became of them.

    Args:
        given: with a defence or a probe there are no scores: they are those without it.
        trigger: as it is put into the reported samples.
    """
    wanted, test, train = given.experiment, given.test, given.train
    if trigger is None or wanted.defence is not None or wanted.probe is not None:
        return {}
    if trigger is not wanted.trigger:
        return stealth.score(test, trigger, train)
    settings = codec.canonical(codec.part_to_dict(trigger))
    # The class itself, for one of the same name may be written anew in a notebook.
    key = (test.fingerprint, train.fingerprint, type(trigger), settings)
    if key not in _SHOWN:
        _SHOWN[key] = stealth.score(test, trigger, train)
    return dict(_SHOWN[key])


def made_with(given: Resolved) -> str:
    """What else a trained network or trigger depends on: code, data, torch and processor."""
    code = lineage.fingerprint(given.experiment.training)
    data = given.fingerprint.replace("-", "")
    # Another processor, other instructions or another number of threads round otherwise.
    sums = f"{machine.processor()}, {torch.get_num_threads()} threads"
    kind = hashlib.sha256(sums.encode()).hexdigest()[:6]
    return f"{code[:8]}{data[:4]}{data[16:20]}-{kind}-torch{torch.__version__}"


def _key(given: Resolved, seen: Any) -> str:
    """The name of what follows from some settings, the data, the code and torch."""
    return f"{hashlib.sha256(codec.canonical(seen).encode()).hexdigest()[:12]}-{made_with(given)}"
