"""The parts an experiment is put together from, by the name of their class.

A trigger, a learning rule, a repair or a probe that is listed here can be named in experiments,
claims and grids; nothing else has to know it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from snnbd_book.runs.read_out import ArgmaxReadOut
from snnbd_core import attacks, defenses, deployment, learning, triggers
from snnbd_core.attacks import badsnn
from snnbd_core.defenses.detectors import verdict
from snnbd_core.metrics.stealth import Stealth

CHANGES_NO_NUMBER = True

TRIGGERS: dict[str, type[Any]] = {
    name: kind
    for room in (triggers, attacks)
    for name in room.__all__
    if dataclasses.is_dataclass(kind := getattr(room, name))
    and isinstance(kind, type)
    and "space" in {field.name for field in dataclasses.fields(kind)}
}

RULES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        learning.SurrogateGradient,
        learning.RoundingAware,
        learning.ANN,
        learning.Conversion,
        learning.Hybrid,
        learning.SpikeRepresentation,
        attacks.Federated,
        attacks.FrozenReadout,
        attacks.MarginAware,
        attacks.WakesRounded,
        attacks.Watermark,
        badsnn.DualSpike,
        defenses.AntiBackdoorLearning,
    )
}

REPAIRS: dict[str, type[Any]] = {
    **defenses.REPAIRS,
    **deployment.CHANGES,
    deployment.Shipped.__name__: deployment.Shipped,
}

PROBES: dict[str, type[Any]] = {
    **defenses.DETECTORS,
    attacks.GradientAttack.__name__: attacks.GradientAttack,
    ArgmaxReadOut.__name__: ArgmaxReadOut,
}

EXTRA_FIGURES: tuple[str, ...] = (
    *(item.name for item in dataclasses.fields(Stealth)),
    *verdict.FIGURES,
    *dict.fromkeys(name for rule in RULES.values() for name in rule.figures),
    *attacks.GradientAttack.figures,
    *ArgmaxReadOut.figures,
)
"""What reports hold besides the fields of `Report`: scores of stealth, what rules and probes find.

Lists of numbers, which are no single figures, are not among them.
"""
