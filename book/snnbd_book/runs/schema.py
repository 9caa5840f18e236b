"""Versions of the settings: which fields came later, and what was done before they came.

A record says which version its settings are written in. Settings of an older version are read by
filling in what came since, with the value that means what was done then; the hash leaves the same
fields out at the same values, so that it stays what it was. A new field of `Experiment` or of
a part in a record therefore begins a new version here, whatever its class makes of it later.
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
    5: {"DualSpike": {"clip": None}},
}
CURRENT = max(ADDED)


def first_form(settings: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's settings without the later fields that say what was done before them.

    Args:
        settings: of an `Experiment`, in JSON's types; parts hold their class as "kind".
    """
    return {
        name: _less(value, _kind(value)) if isinstance(value, Mapping) else value
        for name, value in _less(settings, "Experiment").items()
    }


def migrated(settings: Mapping[str, Any], version: int) -> dict[str, Any]:
    """An experiment's settings of an older version in the current one.

    Raises:
        ValueError: a version that this code does not know.
    """
    if version not in range(1, CURRENT + 1):
        raise ValueError(f"schema={version!r} is unknown; allowed: 1..{CURRENT}")
    later = [added for number, added in ADDED.items() if number > version]
    return {
        name: _more(value, _kind(value), later) if isinstance(value, Mapping) else value
        for name, value in _more(settings, "Experiment", later).items()
    }


def _less(values: Mapping[str, Any], kind: str) -> dict[str, Any]:
    added = {name: value for one in ADDED.values() for name, value in one.get(kind, {}).items()}
    return {
        name: value for name, value in values.items() if name not in added or value != added[name]
    }


def _more(values: Mapping[str, Any], kind: str, later: list[Any]) -> dict[str, Any]:
    filled = {name: value for added in later for name, value in added.get(kind, {}).items()}
    return {**filled, **values}


def _kind(values: Mapping[str, Any]) -> str:
    return str(values.get("kind"))
