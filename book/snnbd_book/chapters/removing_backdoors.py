"""Chapter 9: every repair against every attack, in the same networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from snnbd_book.chapters.badsnn import REAL
from snnbd_book.chapters.groups import HELD_OUT, IMAGES, PHOTOGRAPHS, SENSOR, Nested, seeded
from snnbd_book.chapters.on_photographs import SIGN_SHARE, SIGNS
from snnbd_book.runs import Experiment
from snnbd_core import attacks, defenses, learning, triggers
from snnbd_core.attacks.badsnn import DualSpike
from snnbd_core.defenses import FinePruning, FineTuning, ShortcutSuppression

# Settings were chosen on training samples of a seed that no chapter uses: benchmarks/choose_repairs
REPAIRS: Mapping[str, Any] = {
    "nothing": None,
    "fine-tuning": FineTuning(),
    "pruning": FinePruning(epochs=0),
    "fine-pruning": FinePruning(),
    "CLP": defenses.ChannelLipschitz(),
    "ANP": defenses.AdversarialPruning(iterations=50),
    "NAD": defenses.AttentionDistillation(),
    "RNP": defenses.UnlearnRecoverPrune(),
    "TSBD": defenses.TwoStage(),
    "clamps": defenses.PotentialClamps(),
}
# The detector's inputs are as large as the data: pixels in 0..1, and by default event counts.
FOR_IMAGES = {**REPAIRS, "TMPBD, then clamps": defenses.DetectedClamps(high=1.0)}
GUARDING = defenses.ThresholdGuarding()
SUSPICIOUS = defenses.SuspiciousNeurons()
IMAGE_ATTACKS: Mapping[str, Mapping[str, Any]] = {
    "BadNets": {"trigger": triggers.Patch(size=0.25), "rate": 0.05},
    "Blended": {"trigger": triggers.Blended(), "rate": 0.05},
    "WaNet": {"trigger": triggers.Warp(strength=1.0), "rate": 0.1},
}
EVENT_ATTACKS: Mapping[str, Mapping[str, Any]] = {
    "static": {"trigger": triggers.Static(), "rate": 0.05},
    "moving": {"trigger": triggers.Moving(), "rate": 0.05},
    "time warp": {"trigger": triggers.TimeWarp(strength=0.5, sensor_size=SENSOR), "rate": 0.1},
    "BadSNN at 1.2": {
        "trigger": triggers.TemporalNoise(),
        "rule": DualSpike(),
        "inference_threshold": 1.2,
    },
}
PHOTOGRAPH_ATTACKS: Mapping[str, Mapping[str, Any]] = {
    "BadNets": IMAGE_ATTACKS["BadNets"],
    "Blended": IMAGE_ATTACKS["Blended"],
    "WaNet": {"trigger": triggers.Warp(), "rate": 0.05},
    "SIG": {"trigger": triggers.Sinusoidal(), "rate": 0.05, "clean_label": True},
    "BadSNN at 1.2": {
        "trigger": triggers.Power(),
        "rule": DualSpike(share=0.02),
        "inference_threshold": 1.2,
    },
}
"""All five rows of Table 2 of BadSNN's paper; which clean-label attack is its is not known."""
SIGN_ATTACKS: Mapping[str, Mapping[str, Any]] = {
    **{name: PHOTOGRAPH_ATTACKS[name] for name in ("BadNets", "Blended", "WaNet")},
    # 5 % of all signs would be more than a class has
    "SIG": {**PHOTOGRAPH_ATTACKS["SIG"], "rate": 0.02},
    "BadSNN at 1.15": {
        "trigger": triggers.Power(),
        "rule": DualSpike(share=SIGN_SHARE),
        "inference_threshold": 1.15,
    },
}
"""The same on traffic signs."""
PHOTOGRAPH_REPAIRS: Mapping[str, Any] = {
    "nothing": None,
    "fine-tuning, 0.0001": FineTuning(epochs=10, learning_rate=1e-4),
    "fine-tuning, 0.001": FineTuning(epochs=10, learning_rate=1e-3),
    "fine-tuning, 0.01": FineTuning(epochs=10),
    "CLP": defenses.ChannelLipschitz(),
    "ANP": defenses.AdversarialPruning(iterations=50, threshold=0.2),
    "NAD": defenses.AttentionDistillation(learning_rate=1e-3),
    "TSBD": defenses.TwoStage(epochs=10, learning_rate=1e-3),
}
"""The first fine-tuning, CLP and ANP as in that table; NAD and TSBD at the training's own rate."""
DYNAMIC = {"trigger": attacks.Dynamic(gamma=0.05), "rate": 1.0}
CLAMPS: Mapping[str, Any] = {
    "nothing": None,
    "from above": REPAIRS["clamps"],
    "from both sides": defenses.PotentialClamps(sides="both"),
}
"""NDSBM as its authors' variant "max" and as they use it."""
SMART = {"trigger": triggers.Smart(walk="drift", seed=0), "rate": 0.1}
TRIED: Mapping[str, list[Any]] = {"samples": [1, 2, 5, 10], "share": [0.0, 0.3, 0.6, 0.9]}


def pruners(profile: str) -> dict[str, Any]:
    """More repairs, tried on two attacks; ONP on as many samples as the profile has time for."""
    return {
        "ONP": defenses.OptimisedPruning(samples=32 if profile == "quick" else 64),
        "loud pruning": FinePruning(order="loud", epochs=0),
        "suspicious neurons": SUSPICIOUS,
    }


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups: by attack, then by repair."""
    runs = partial(seeded, profile, seed, held_out=HELD_OUT)
    images = partial(runs, **IMAGES[profile])
    on_twin = partial(images, frames=1, rule=learning.ANN(), **IMAGE_ATTACKS["BadNets"])
    badnets = partial(images, **IMAGE_ATTACKS["BadNets"])
    square = partial(runs, **EVENT_ATTACKS["static"])
    residual = partial(badnets, network="quick-resnet")
    others = pruners(profile)
    by_spikes = {name: EVENT_ATTACKS[name] for name in ("static", "moving")} | {"smart": SMART}
    clamped = {name: EVENT_ATTACKS[name] for name in ("static", "moving")} | {"dynamic": DYNAMIC}
    more = {"nothing": None, **others, "threshold guarding": GUARDING}
    on_images = _each(images, IMAGE_ATTACKS, FOR_IMAGES)
    on_events = _each(runs, EVENT_ATTACKS, for_recordings(profile))
    real = partial(seeded, "sample", seed, held_out=HELD_OUT)
    photographs = partial(seeded, "sample", seed, count=1, held_out=40, **PHOTOGRAPHS)
    signs = partial(seeded, "sample", seed, held_out=3, **SIGNS)
    bare = [name for name in REPAIRS if name != "clamps"]
    return {
        "images": on_images,
        "events": on_events,
        "twin": {name: on_twin(defence=REPAIRS[name]) for name in bare}
        | {name: on_twin(defence=repair) for name, repair in others.items()},
        "deeper_twin": {
            name: on_twin(defence=REPAIRS[name], network="quick-resnet")
            for name in ("nothing", "CLP", "ANP")
        },
        "more": {
            "BadNets": {name: badnets(defence=repair) for name, repair in more.items()},
            "static": {name: square(defence=repair) for name, repair in more.items()},
        },
        "clamps_both": _each(runs, clamped, CLAMPS),
        "residual": {
            "nothing": residual(),
            "fine-tuning": residual(defence=FineTuning()),
            "shortcut suppression": residual(defence=ShortcutSuppression()),
        },
        "real": _each(real, EVENT_ATTACKS, for_recordings("sample")),
        "real_more": _each(
            real,
            {"static": EVENT_ATTACKS["static"]},
            {"nothing": None, **others, "threshold guarding": GUARDING},
        ),
        "fine_pruned": _each(
            real,
            by_spikes,
            {"nothing": None, "fine-pruning": FinePruning(), "suspicious neurons": SUSPICIOUS},
        ),
        "fine_pruned_large": _each(
            partial(real, **REAL),
            {name: {**EVENT_ATTACKS[name], "rate": 0.1} for name in ("static", "moving")},
            {
                "nothing": None,
                "fine-pruning": FinePruning(),
                "fine-pruning at 0.001": FinePruning(learning_rate=REAL["learning_rate"]),
            },
        ),
        "photographs": _each(photographs, PHOTOGRAPH_ATTACKS, PHOTOGRAPH_REPAIRS),
        "signs": _each(signs, SIGN_ATTACKS, PHOTOGRAPH_REPAIRS),
        "accused": _accused(on_images | on_events),
        **_of_one(on_events["static"]["nothing"][0], residual()[0]),
    }


def _each(runs: Any, attacks: Any, repairs: Any) -> dict[str, Any]:
    """Attack -> repair -> its runs."""
    return {
        attack: {name: runs(defence=repair, **fields) for name, repair in repairs.items()}
        for attack, fields in attacks.items()
    }


def for_recordings(profile: str) -> dict[str, Any]:
    """The repairs for networks on recordings, whose frames the detector's inputs have too."""
    frames = Experiment.for_profile(profile).frames
    return {**REPAIRS, "TMPBD, then clamps": defenses.DetectedClamps(frames=frames)}


def _accused(found: Mapping[str, Any]) -> dict[str, Nested]:
    """Each attacked network as TMPBD sees it, and a clean one.

    A repair gets the network before its neurons are changed, and so does the detector.
    """
    groups = {
        attack: [
            replace(
                one,
                probe=by_repair["TMPBD, then clamps"][0].defence.detector,
                inference_threshold=None,
            )
            for one in by_repair["nothing"]
        ]
        for attack, by_repair in found.items()
    }
    static = groups["static"][0]
    clean = replace(replace(static, probe=None).clean_twin, probe=static.probe)
    return {**groups, "no attack": [clean]}


def _of_one(square: Experiment, residual: Experiment) -> dict[str, Nested]:
    """One network repaired at several settings."""
    return {
        "rates": {
            rate: [replace(square, defence=FineTuning(learning_rate=rate))]
            for rate in (0.003, 0.01, 0.03)
        },
        "factors": {
            factor: [replace(residual, defence=ShortcutSuppression(factor=factor, epochs=0))]
            for factor in (0.0, 0.5, 0.99)
        },
        "tried": {
            samples: {
                share: [replace(square, defence=FinePruning(share=share), held_out=samples)]
                for share in TRIED["share"]
            }
            for samples in TRIED["samples"]
        },
    }
