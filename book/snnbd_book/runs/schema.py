"""Versions of the settings: which fields came later, and what was done before they came.

A record says which version its settings are written in. Settings of an older version are read by
filling in what came since, with the value that means what was done then; the hash leaves the same
fields out at the same values, so that it stays what it was. (`Experiment.digest` leaves out `drawn`
too, where no sample is poisoned.) A new field of `Experiment` or of
a part in a record therefore begins a new version here, whatever its class makes of it later.

Version 5 has `Shipped`, with a repair and a change as parts of its own, where there was
`RoundedRepair`. What both can say has the older one's hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHANGES_NO_NUMBER = True

# Version -> class -> field that came with it -> the value that means what was done before.
ADDED: dict[int, dict[str, dict[str, Any]]] = {
    2: {
        "Experiment": {
            "coding": "direct",
            "clean_label": False,
            "held_out": 0,
            "inference_threshold": None,
            "inference_beta": None,
            "probe": None,
        },
        "ANN": {"activation": "relu", "levels": 8},
        "AntiBackdoorLearning": {"twin": False},
        "Conversion": {"activation": "relu", "levels": 8},
        "Generated": {"threshold": None},
        "Moving": {"speed": 2},
        "OptimisedPruning": {"samples": 64},
    },
    3: {
        "Experiment": {"width": 1.0},
        "ActivationClustering": {"reduction": "principal"},
        "ChannelLipschitz": {"deviation": "population"},
        "NeuralCleanse": {"published": False},
        "Smart": {"walk": "drift"},
        "Spectre": {"estimator": "determinant"},
        "UnlearnRecoverPrune": {"published": False},
    },
    4: {"Experiment": {"drawn": "with-order"}},
    5: {"DualSpike": {"clip": None}},  # Shipped came in place of RoundedRepair
    6: {"Watermark": {"look": "noise"}},
    7: {
        "ANN": {"read_out": "relu", "learning_rate": None},
        "AttentionDistillation": {"published": False},
        "Conversion": {"read_out": "relu", "ann_learning_rate": None},
        "DetectedClamps": {"sides": "above"},
        "Hybrid": {"read_out": "relu", "ann_learning_rate": None},
        "PotentialClamps": {"sides": "above"},
    },
    8: {"Power": {"mean": None, "deviation": None}},
}
CURRENT = max(ADDED)

# What RoundedRepair did, by the names that it gave repairs.
_ROUNDED: dict[str, dict[str, Any]] = {
    "FineTuning": {"epochs": 30, "learning_rate": 0.01, "batch_size": 32, "threshold": None},
    "FinePruning": {"share": 0.3, "order": "quiet", "epochs": 30, "learning_rate": 0.01},
}


def first_form(settings: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's settings without the later fields that say what was done before them.

    Args:
        settings: of an `Experiment`, in JSON's types; parts hold their class as "kind".
    """
    return _less(settings, "Experiment")


def migrated(settings: Mapping[str, Any], version: int) -> dict[str, Any]:
    """An experiment's settings of an older version in the current one.

    Raises:
        ValueError: a version that this code does not know.
    """
    if version not in range(1, CURRENT + 1):
        raise ValueError(f"schema={version!r} is unknown; allowed: 1..{CURRENT}")
    return _more(
        settings, "Experiment", [added for number, added in ADDED.items() if number > version]
    )


def _less(values: Mapping[str, Any], kind: str) -> dict[str, Any]:
    added = {name: value for one in ADDED.values() for name, value in one.get(kind, {}).items()}
    kept = {
        name: _less(value, _kind(value)) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if name not in added or value != added[name]
    }
    return _rounded(kept) if kind == "Shipped" else kept


def _more(values: Mapping[str, Any], kind: str, later: list[Any]) -> dict[str, Any]:
    if kind == "RoundedRepair":
        values, kind = _shipped(values), "Shipped"
    filled = {name: value for added in later for name, value in added.get(kind, {}).items()}
    given = {
        name: _more(value, _kind(value), later) if isinstance(value, Mapping) else value
        for name, value in values.items()
    }
    return {**filled, **given}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    """What `Shipped` says as `RoundedRepair` said it; as it is where that could not."""
    older = {
        "kind": "RoundedRepair",
        "repair_by": _kind(values["repair_by"]),
        "weights": values["change"].get("weights"),
        "rounded_first": values["changed_first"],
    }
    said = older["repair_by"] in _ROUNDED and _shipped(older) == values
    return older if said else values


def _shipped(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `RoundedRepair` says as `Shipped` says it."""
    name = values["repair_by"]
    return {
        "kind": "Shipped",
        "repair_by": {"kind": name, **_ROUNDED[name]},
        "change": {"kind": "LowBits", "weights": values["weights"], "settings": 8},
        "changed_first": values["rounded_first"],
    }


def _kind(values: Mapping[str, Any]) -> str:
    return str(values.get("kind"))
