"""Backdoors in spiking neural networks and their defences, for anybody's network and data.

    events -> trigger -> poisoning -> learning -> network -> defence -> report

The rooms, from low to high; each imports only those before it:

    files and checks, kernels, guards, neurons, networks, view, data, triggers, poisoning, metrics,
    learning, attacks, defenses, deployment, auditing
"""

from __future__ import annotations

from snnbd_core import (
    attacks,
    auditing,
    data,
    defenses,
    deployment,
    exchange,
    learning,
    metrics,
    networks,
    triggers,
)
from snnbd_core.attacks import badsnn
from snnbd_core.auditing import audit
from snnbd_core.metrics import Rate, Report, evaluate
from snnbd_core.neurons import IF, LIF, ParametricLIF
from snnbd_core.poisoning import PoisonedDataset, poison
from snnbd_core.view import NotVisible, View, adapt, override

view = View  # `snnbd_core.view` is a package too: its parts come by `from snnbd_core.view import`

__version__ = "0.1.0"

__all__ = [
    "IF",
    "LIF",
    "NotVisible",
    "ParametricLIF",
    "PoisonedDataset",
    "Rate",
    "Report",
    "adapt",
    "attacks",
    "audit",
    "auditing",
    "badsnn",
    "data",
    "defenses",
    "deployment",
    "evaluate",
    "exchange",
    "learning",
    "metrics",
    "networks",
    "override",
    "poison",
    "triggers",
    "view",
]


def __dir__() -> list[str]:
    return __all__
