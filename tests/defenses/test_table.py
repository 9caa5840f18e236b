"""Every defence on a network of every library: it works, or says what the network does not show.

Run as a script, it prints the table: python -m tests.defenses.test_table
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import snnbd_core as sb
from snnbd_core import defenses
from snnbd_core.defenses import detectors
from tests.view.builders import matched

KINDS = ("ours", "own", "snntorch", "spikingjelly", "norse", "sinabs", "relu")
CLASSES, STEPS = 4, 6
SMALL = {
    "NeuralCleanse": {"iterations": 5, "samples": 8},
    "BrainStimulation": {"iterations": 3, "samples": 8, "candidates": 2},
    "PotentialMargins": {"iterations": 5, "inputs": 2, "frames": STEPS},
    "NoiseResponse": {"inputs": 8, "frames": STEPS},
    "Strip": {"overlays": 4},
    "FineTuning": {"epochs": 2},
    "FinePruning": {"epochs": 2},
    "AdversarialPruning": {"iterations": 5},
    "AttentionDistillation": {"epochs": 2},
    "UnlearnRecoverPrune": {"iterations": 5, "epochs": 3},
    "TwoStage": {"epochs": 2, "unlearning_epochs": 2},
    "OptimisedPruning": {"episodes": 5, "search": 5},
    "SuspiciousNeurons": {"epochs": 2},
    "ShortcutSuppression": {"epochs": 2},
    "ThresholdGuarding": {"epochs": 2},
    "PotentialClamps": {"iterations": 5},
    "DetectedClamps": {"frames": STEPS},
}
NEEDS_SHORTCUTS = {"ShortcutSuppression"}
NEEDS_BATCH_NORM = {"ChannelLipschitz", "Reestimated"}
NEEDS_SPIKES = {
    "PotentialMargins",
    "Voltage",
    "HyperParameters",
    "ThresholdGuarding",
    "PotentialClamps",
    "DetectedClamps",
    "Mismatch",
    "RandomThreshold",
}


def refused(kind: str) -> set[str]:
    """The defences that need what the networks of this test do not have."""
    return NEEDS_SHORTCUTS | NEEDS_BATCH_NORM | (NEEDS_SPIKES if kind == "relu" else set())


@functools.cache
def sets() -> tuple[object, sb.PoisonedDataset]:
    """Clean samples of four classes, each with its rows of events, and a poisoned training set."""
    draw = np.random.default_rng(0)
    labels = np.arange(160) % CLASSES
    frames = draw.poisson(0.15, (160, STEPS, 2, 12, 12)).astype(np.float32)
    for frame, label in zip(frames, labels, strict=True):
        frame[:, 1, 2 * label : 2 * label + 3, 2:8] += draw.poisson(1.0, (STEPS, 3, 6))
    data = sb.data.as_set(TensorDataset(torch.from_numpy(frames), torch.from_numpy(labels)))
    trigger = sb.triggers.Static(position="bottom-right", size=0.2)
    return data.subset(range(80)), sb.poison(data.subset(range(80, 160)), trigger, 0.2, 0)


@functools.cache
def network(kind: str) -> torch.nn.Module:
    """A network of a library, trained on the poisoned set."""
    net = matched(kind, "linear" if kind != "ours" else "rate", classes=CLASSES)
    sb.learning.train(
        net, sets()[1], epochs=4, batch_size=20, loss="cross_entropy", device="cpu", progress=False
    )
    return net


def outcome(name: str, kind: str) -> str:
    """What a defence finds on a network: a word for the table, or why it is refused."""
    clean, poisoned = sets()
    given = {"seed": 0, "device": "cpu", "steps": STEPS}
    defence = {**defenses.DETECTORS, **defenses.REPAIRS}[name](**SMALL.get(name, {}))
    net = network(kind)
    try:
        if name in detectors.MODELS:
            score = defence.inspect(net, clean, **given).score
        elif name in detectors.INPUTS:
            score = defence.score(net, clean.subset(range(20)), clean, **given).mean()
        elif name in detectors.TRAINING_SETS:
            score = defence.score(net, poisoned, **given).mean()
        else:
            fixed = defence.repair(net, clean, **given)
            report = sb.evaluate(fixed, clean, poisoned.trigger, 0, device="cpu")
            score = report.clean_accuracy.value
    except sb.NotVisible as reason:
        return f"NotVisible: {reason.asked}"
    assert np.isfinite(score), (name, kind, score)
    return f"{score:.3g}"


def every() -> Iterator[str]:
    yield from defenses.DETECTORS
    yield from defenses.REPAIRS


@pytest.mark.trains
@pytest.mark.parametrize("kind", KINDS)
def test_defences_refuse_only_what_a_network_does_not_show(kind: str) -> None:
    found = {name: outcome(name, kind) for name in every()}
    assert len(found) == 27
    said_no = {name for name, word in found.items() if word.startswith("NotVisible")}
    assert said_no == refused(kind), found


def main() -> None:
    rows = {name: [outcome(name, kind) for kind in KINDS] for name in every()}
    print("| defence |", " | ".join(KINDS), "|")
    print("|---" * (len(KINDS) + 1) + "|")
    for name, words in rows.items():
        print(f"| {name} |", " | ".join(words), "|")
    for column, kind in enumerate(KINDS):
        works = sum(not words[column].startswith("NotVisible") for words in rows.values())
        print(f"{kind}: {works} of {len(rows)} work")


if __name__ == "__main__":
    main()
