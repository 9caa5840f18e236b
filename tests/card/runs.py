"""Tries every part of an experiment on the card of this folder; says what failed, a part a line.

    python -m tests.card.runs triggers|rules|repairs|probes|audit|mistakes

A process of its own, for torch keeps the card until its end.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from snnbd_book.runs import Experiment, parts, run
from snnbd_core import (
    attacks,
    auditing,
    data,
    defenses,
    deployment,
    learning,
    networks,
    triggers,
)
from snnbd_core.attacks import badsnn
from tests.card import card

FRAMES = Experiment(frames=4, samples=200, epochs=1, held_out=3)
IMAGES = replace(FRAMES, data="digits")
OF_REPAIRS: Mapping[str, Any] = {"ShortcutSuppression": {"network": "quick-resnet"}}
QUICK: Mapping[str, Mapping[str, Any]] = {
    "ActivationClustering": {"components": 3},
    "AdversarialPruning": {"iterations": 2},
    "Beatrix": {"orders": 2},
    "BrainStimulation": {"iterations": 2, "samples": 6, "candidates": 2},
    "Hybrid": {"epochs": 1},
    "NeuralCleanse": {"iterations": 5, "samples": 6},
    "NoiseResponse": {"frames": 4, "inputs": 4},
    "OptimisedPruning": {"episodes": 2, "search": 5, "samples": 10},
    "PotentialMargins": {"iterations": 2, "frames": 4, "inputs": 2},
    "Strip": {"overlays": 3},
}
"""Less work than by default; how much is done does not change where it is done."""


def of(kind: type[Any]) -> Any:
    """One with quick settings."""
    return kind(**QUICK.get(kind.__name__, {}))


def experiments(what: str) -> dict[str, Experiment]:
    """One for each part that works on tensors, by the part's name."""
    if what == "triggers":  # the others are learnt on the CPU
        return {
            "Dynamic": _attacked(trigger=attacks.Dynamic()),
            "Generated": replace(IMAGES, trigger=attacks.Generated(epochs=1, iterations=2)),
        }
    if what == "rules":
        return {name: _ruled(of(kind)) for name, kind in parts.RULES.items()}
    if what == "repairs":
        shipped = deployment.Shipped(repair_by=of(defenses.FineTuning), change=deployment.LowBits())
        kinds = {**defenses.REPAIRS, **deployment.CHANGES}
        return {"Shipped": _attacked(defence=shipped)} | {
            name: _attacked(defence=of(kind), **OF_REPAIRS.get(name, {}))
            for name, kind in kinds.items()
        }
    images = {"data": "digits", "trigger": triggers.Patch()}
    return {
        name: _attacked(probe=of(kind), **images if name == "GradientAttack" else {})
        for name, kind in parts.PROBES.items()
    }


def _attacked(**fields: Any) -> Experiment:
    return replace(FRAMES, **{"trigger": triggers.Static(), "rate": 0.1, **fields})


def _ruled(rule: Any) -> Experiment:
    if isinstance(rule, learning.Conversion | learning.Hybrid):  # of an ANN that knows all classes
        return replace(IMAGES, samples=None, epochs=4, rule=rule)
    if isinstance(rule, attacks.Watermark):
        return replace(FRAMES, rule=rule)
    if isinstance(rule, badsnn.DualSpike):
        return replace(FRAMES, rule=rule, trigger=triggers.TemporalNoise())
    return _attacked(rule=rule)


def audited() -> None:
    """An audit of a network that lies on the card."""
    train, test = data.load("digits-events", frames=4, seed=0)
    net = networks.build("quick-conv", input_shape=train.input_shape, classes=10, seed=0)
    learning.train(net.to(card.CARD), train, epochs=1, batch_size=256, seed=0, progress=False)
    few = data.as_set([test[row] for row in range(40)], classes=10)
    auditing.audit(net, few, minutes=0.1)


def mistakes() -> dict[str, Callable[[], Any]]:
    """What a card refuses."""
    here, there = torch.arange(3.0), torch.arange(3.0, device=card.CARD)
    layer, rows = torch.nn.Linear(3, 1), torch.arange(3, device=card.CARD)
    return {
        "a sum": lambda: there + here,
        "a layer": lambda: layer(there),
        "NumPy": lambda: there.numpy(),
        "an array": lambda: np.asarray(there),
        "an index": lambda: here[torch.zeros(1, dtype=torch.long, device=card.CARD)],
        "in place": lambda: here.add_(there),
        "a list": lambda: torch.stack([here, there]),
        "a list of numbers": lambda: torch.stack([here.sum(), there.sum()]),
        "a sum of numbers": lambda: torch.zeros(()).add_(there.sum()),
        "labels": lambda: rows.index_put_((torch.tensor([0, 1]),), torch.tensor([7, 8])),
        "random numbers": lambda: torch.rand(
            3, device=card.CARD, generator=torch.Generator().manual_seed(0)
        ),
    }


def attempts(what: str) -> dict[str, Callable[[], Any]]:
    """What is tried, by name."""
    if what == "mistakes":
        return mistakes()
    if what == "audit":
        return {"audit": audited}
    return {name: partial(done_there, one) for name, one in experiments(what).items()}


def done_there(experiment: Experiment) -> None:
    """Runs an experiment, and raises AssertionError if it was done elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        record = run(experiment, fresh=True, device=card.NAME, progress=False, results=folder)
    assert record.provenance.device.startswith(card.NAME), record.provenance.device


def choose(device: Any = "auto") -> torch.device:
    """The card wherever the CPU is not asked for."""
    return torch.device("cpu") if str(device) == "cpu" else card.CARD


def main(what: str) -> None:
    """Prints what is tried and what came of it, null for no error, as JSON, a line each."""
    torch.set_num_threads(1)
    card.registered()
    for name, module in list(sys.modules.items()):
        if name.startswith(("snnbd_core", "snnbd_book")) and hasattr(module, "choose_device"):
            vars(module)["choose_device"] = choose
    with card.on_card():
        for name, attempt in attempts(what).items():
            wrong = None
            try:
                attempt()
            except Exception:
                wrong = traceback.format_exc()
            print(json.dumps({"tried": name, "wrong": wrong}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
