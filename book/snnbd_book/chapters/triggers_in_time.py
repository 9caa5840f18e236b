"""Chapter 12: triggers in the time stamps, and whole events put into the raw stream."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from snnbd_book.chapters.groups import HELD_OUT, Nested, seeded
from snnbd_book.chapters.judged import probed
from snnbd_core import attacks, defenses, triggers
from snnbd_core.defenses import detectors

DELAYED = triggers.Retimed(bound=20.0)
LEARNT = attacks.LearntTimes(bound=20.0)
SHORT = attacks.LearntTimes(bound=10.0)
LIMITS = {"refractory": 500, "bandwidth": 100.0}
"""Of a camera: half a millisecond for a pixel, 100 events in a millisecond for the read-out."""
DETECTORS: Mapping[str, Any] = {
    "spectral signatures": detectors.SpectralSignatures(),
    "activation clustering": detectors.ActivationClustering(),
    "SPECTRE": detectors.Spectre(),
    "STRIP, space": detectors.Strip(),
    "STRIP, time": detectors.Strip(along="time"),
    "voltages": detectors.Voltage(),
    "Beatrix": detectors.Beatrix(),
}
REPAIRS: Mapping[str, Any] = {
    "nothing": None,
    "fine-tuning": defenses.FineTuning(),
    "fine-pruning": defenses.FinePruning(),
    "CLP": defenses.ChannelLipschitz(),
    "ANP": defenses.AdversarialPruning(iterations=50),
    "NAD": defenses.AttentionDistillation(),
    "RNP": defenses.UnlearnRecoverPrune(),
    "TSBD": defenses.TwoStage(),
    "clamps": defenses.PotentialClamps(),
}


def trojans() -> dict[str, Any]:
    """Event Trojan in pixels as published, as share of the side, under limits and learnt."""
    return {
        "10x10, as published": triggers.EventTrojan(),
        "10x10, camera's limits": triggers.EventTrojan(**LIMITS),
        "10x10, learnt times": attacks.MutableTrojan(),
        "10x10, learnt, limits": attacks.MutableTrojan(**LIMITS),
        "2x2, of the same share": triggers.EventTrojan(side=2),
    }


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups."""
    runs = partial(seeded, profile, seed)
    attack = partial(runs, rate=0.1)
    held = partial(attack, trigger=LEARNT, held_out=HELD_OUT)
    real = partial(seeded, "sample", seed, rate=0.1)
    return {
        "delayed": {b: attack(trigger=triggers.Retimed(bound=b)) for b in (5, 10, 20, 40)},
        "learnt": {b: attack(trigger=attacks.LearntTimes(bound=b)) for b in (5, 10, 20)},
        "bunched": {40: attack(trigger=triggers.Retimed(bound=40, pattern="bunch"))},
        "rates": {
            "delayed": {rate: runs(trigger=DELAYED, rate=rate) for rate in (0.01, 0.05, 0.1)},
            "learnt": {rate: runs(trigger=LEARNT, rate=rate) for rate in (0.01, 0.05, 0.1)},
        },
        "frames": {T: attack(trigger=DELAYED, frames=T) for T in (4, 8, 16)},
        "sums": {"delayed, T = 1": attack(trigger=DELAYED, frames=1)},
        "by_time": {
            "delayed": attack(trigger=DELAYED, binning="time"),
            "learnt": attack(trigger=LEARNT, binning="time"),
        },
        "clean_label": {
            "delayed": runs(trigger=DELAYED, rate=0.05, clean_label=True),
            "learnt": runs(
                trigger=attacks.LearntTimes(bound=20.0, towards=False), rate=0.05, clean_label=True
            ),
        },
        "trojans": {name: attack(trigger=trigger) for name, trigger in trojans().items()},
        "detected": {
            name: probed({"learnt": held()}, one)["learnt"] for name, one in DETECTORS.items()
        },
        "repaired": {name: held(defence=one) for name, one in REPAIRS.items()},
        "real": {
            "delayed, 10 ms": real(trigger=triggers.Retimed(bound=10.0)),
            "delayed, 20 ms": real(trigger=DELAYED),
            "learnt, 10 ms": real(trigger=SHORT),
            "learnt, 20 ms": real(trigger=LEARNT),
            "10x10, as published": real(trigger=triggers.EventTrojan()),
        },
    }
