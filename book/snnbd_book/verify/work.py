"""What runs do beside their training, in passes of samples through a network.

A pass forward counts 1, one with gradients 3, as in training. The defender's samples are `held_out`
of each class. What may stop early, such as unlearning and DeepFool, is counted in full, and a
network that only some verdicts repair as repaired. Counted are the passes alone: not the small
networks that make a trigger, nor the linear algebra of a detector's features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snnbd_book.runs import Experiment
from snnbd_book.runs.probing import INPUTS
from snnbd_core.attacks import Dynamic, Generated
from snnbd_core.attacks.generated import ALPHAS
from snnbd_core.defenses import PotentialClamps

FORWARD, BOTH = 1, 3
EVALUATED = 4  # passes over the test set: clean, triggered, and both of the floor's network


@dataclass(frozen=True)
class Samples:
    """How many there are: for training, for testing, the defender's, and classes."""

    train: int
    test: int
    given: int
    classes: int


Counted = Callable[[Any, Samples], float]


def _tuned(part: Any, on: Samples) -> float:
    return float(BOTH * part.epochs * on.given)


def _clamped(part: Any, on: Samples) -> float:
    return min(256, on.given) * (2 * FORWARD + BOTH * PotentialClamps.iterations)


def _climbed(part: Any, on: Samples) -> float:
    return float(BOTH * part.inputs * part.iterations * on.classes)


def _sought(part: Any, on: Samples) -> float:
    return float(BOTH * min(part.samples, on.given) * part.iterations * on.classes)


def _by_episodes(part: Any, on: Samples) -> float:
    """A patch for each class, rates of plain and triggered samples, and both at each episode."""
    sought = BOTH * part.search * min(part.samples, on.given) * on.classes
    return float(sought + 2 * (1 + part.episodes) * on.given)


def _nothing(part: Any, on: Samples) -> float:
    return 0.0


REPAIRS: Mapping[str, Counted] = {
    "AdversarialPruning": lambda part, on: 3 * BOTH * part.iterations * min(128, on.given),
    # the teacher is tuned, then runs beside the student
    "AttentionDistillation": lambda part, on: 2 * _tuned(part, on) + part.epochs * on.given,
    "BitFlips": _nothing,
    "ChannelLipschitz": _nothing,
    "DetectedClamps": lambda part, on: _climbed(part.detector, on) + _clamped(part, on),
    "FinePruning": lambda part, on: on.given + _tuned(part, on),
    "FineTuning": _tuned,
    "LowBits": _nothing,
    "Mismatch": _nothing,
    "NeuronTrojan": _nothing,
    "OptimisedPruning": _by_episodes,
    "PotentialClamps": _clamped,
    "RandomThreshold": _nothing,
    "Reestimated": lambda part, on: on.given,
    "Shipped": lambda part, on: REPAIRS[type(part.repair_by).__name__](part.repair_by, on),
    "ShortcutSuppression": _tuned,
    "SuspiciousNeurons": lambda part, on: on.given + _tuned(part, on),
    "ThresholdGuarding": _tuned,
    "TwoStage": lambda part, on: BOTH * (part.unlearning_epochs + part.epochs) * on.given,
    "UnlearnRecoverPrune": lambda part, on: (
        _tuned(part, on) + BOTH * part.iterations * min(128, on.given)
    ),
}


def _scored(part: Any, on: Samples) -> float:
    """The defender's samples for each of two sets, and the inputs that are scored."""
    return 2.0 * (on.given + INPUTS)


def _all(part: Any, on: Samples) -> float:
    return float(on.train)


PROBES: Mapping[str, Counted] = {
    "ActivationClustering": _all,
    "ArgmaxReadOut": lambda part, on: 2 * on.test,
    "Beatrix": _scored,
    "GradientAttack": lambda part, on: (BOTH * part.iterations + 1) * part.samples,
    "HyperParameters": _nothing,
    "NeuralCleanse": _sought,
    "NoiseResponse": lambda part, on: len(part.levels) * part.inputs,
    "PotentialMargins": _climbed,
    "SpectralSignatures": _all,
    "Spectre": _all,
    "Strip": lambda part, on: 2 * INPUTS * part.overlays,
    "Voltage": _scored,
}
LEFT_OUT = ("BrainStimulation",)
"""Whose passes depend on the channels of the network."""


def handled(run: Experiment, on: Samples) -> float:
    """Passes of a run's repair and probe, and of evaluating it beside the network it was made of.

    Those of `LEFT_OUT`, and of classes that are not known here, count nothing.
    """
    total = 0.0 if run.hash == run.training.hash else float(EVALUATED * on.test)
    for part, table in ((run.defence, REPAIRS), (run.probe, PROBES)):
        total += table.get(type(part).__name__, _nothing)(part, on)
    return total


def left_out(run: Experiment) -> list[str]:
    """The names of a run's parts whose passes are not counted."""
    parts = ((run.defence, REPAIRS), (run.probe, PROBES))
    return [
        type(part).__name__
        for part, table in parts
        if part is not None and type(part).__name__ not in table
    ]


def learnt(run: Experiment, on: Samples) -> tuple[str | None, float]:
    """The network that a run's trigger is learnt with, None for its own, and passes through it.

    `Dynamic` has the triggered samples beside the clean ones of the training, and a score at each
    epoch. `Generated` goes over a boundary, tries its blends, and trains. Others have epochs of a
    network of the attacker's own; what follows on a few samples is not counted.
    """
    trigger = run.trigger
    if isinstance(trigger, Dynamic):
        held = 0.1  # of the training set, for the score
        return None, run.epochs * (BOTH * run.rate * (1 - held) + 2 * held) * on.train
    if isinstance(trigger, Generated):
        each = BOTH * (trigger.iterations + trigger.epochs) + len(ALPHAS)
        return None, float(each * min(trigger.samples, on.train))
    return "quick-conv", float(BOTH * getattr(trigger, "epochs", 0) * on.train)
