"""Defences, one module each.

Repairs change a network, detectors say whether it is attacked, and `AntiBackdoorLearning` is a
learning rule for a set that may be poisoned.

    repaired = FineTuning().repair(net, clean, seed=0, device="auto", steps=8)

A repair gives a copy, which holds all that makes its answers in its state dict; the network it is
given is never changed. Networks are those of any library that `snnbd_core.view` knows, samples any
set that `snnbd_core.data.as_set` takes. Settings are those that
benchmarks/choose_repairs.py found on training samples, or the paper's where none was better. A new
attack meets all of them without a line here: they see networks and clean samples only.
"""

from __future__ import annotations

from snnbd_core.defenses.abl import AntiBackdoorLearning
from snnbd_core.defenses.anp import AdversarialPruning
from snnbd_core.defenses.clamps import DetectedClamps, PotentialClamps
from snnbd_core.defenses.clp import ChannelLipschitz
from snnbd_core.defenses.detectors import DETECTORS
from snnbd_core.defenses.fine_pruning import FinePruning, SuspiciousNeurons
from snnbd_core.defenses.fine_tuning import FineTuning
from snnbd_core.defenses.guarding import ThresholdGuarding
from snnbd_core.defenses.nad import AttentionDistillation
from snnbd_core.defenses.onp import OptimisedPruning
from snnbd_core.defenses.pruning import Pruning
from snnbd_core.defenses.repair import Repair
from snnbd_core.defenses.settings import Mismatch, RandomThreshold, Reestimated
from snnbd_core.defenses.shortcuts import ShortcutSuppression
from snnbd_core.defenses.unlearning import TwoStage, UnlearnRecoverPrune
from snnbd_core.metrics.report import defence_effectiveness

REPAIRS: dict[str, type[Repair]] = {
    kind.__name__: kind
    for kind in (
        FineTuning,
        FinePruning,
        ChannelLipschitz,
        AdversarialPruning,
        AttentionDistillation,
        UnlearnRecoverPrune,
        TwoStage,
        OptimisedPruning,
        SuspiciousNeurons,
        ShortcutSuppression,
        ThresholdGuarding,
        PotentialClamps,
        DetectedClamps,
        Reestimated,
        Mismatch,
        RandomThreshold,
    )
}

__all__ = [
    "DETECTORS",
    "REPAIRS",
    "AdversarialPruning",
    "AntiBackdoorLearning",
    "AttentionDistillation",
    "ChannelLipschitz",
    "DetectedClamps",
    "FinePruning",
    "FineTuning",
    "Mismatch",
    "OptimisedPruning",
    "PotentialClamps",
    "Pruning",
    "RandomThreshold",
    "Reestimated",
    "Repair",
    "ShortcutSuppression",
    "SuspiciousNeurons",
    "ThresholdGuarding",
    "TwoStage",
    "UnlearnRecoverPrune",
    "defence_effectiveness",
]
