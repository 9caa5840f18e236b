"""Networks that detectors are asked about: the attacks, and a detector put before their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from snnbd_book.chapters.groups import SENSOR, Nested
from snnbd_book.runs import Experiment
from snnbd_core import attacks, triggers
from snnbd_core.attacks.badsnn import DualSpike

PATCH = triggers.Patch(size=0.25)
EVENT_ATTACKS: Mapping[str, Mapping[str, Any]] = {
    "static": {"trigger": triggers.Static(), "rate": 0.1},
    "moving": {"trigger": triggers.Moving(), "rate": 0.1},
    "time warp": {"trigger": triggers.TimeWarp(strength=0.5, sensor_size=SENSOR), "rate": 0.1},
    "dynamic": {"trigger": attacks.Dynamic(gamma=0.05), "rate": 1.0},
    "BadSNN at 1.2": {
        "trigger": triggers.TemporalNoise(),
        "rule": DualSpike(),
        "inference_threshold": 1.2,
    },
}
Groups = Mapping[str, Sequence[Experiment]]


def probed(groups: Groups, probe: Any) -> dict[str, Nested]:
    """The same experiments, and what a detector says of their networks."""
    return {name: [replace(one, probe=probe) for one in group] for name, group in groups.items()}
