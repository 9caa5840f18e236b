"""Attacks that train something themselves: a generator, a surrogate network, federated clients.

Two of them know how detectors look at networks, and hide from that.

==============  ========================================================================="""

from __future__ import annotations

from snnbd_core.attacks.deepfool import deepfool
from snnbd_core.attacks.dynamic import Dynamic
from snnbd_core.attacks.federated import Federated, TimeSliced
from snnbd_core.attacks.frozen_readout import FrozenReadout
from snnbd_core.attacks.generated import Generated
from snnbd_core.attacks.margin_aware import MarginAware
from snnbd_core.attacks.optimised import Optimised
from snnbd_core.attacks.pgd import GradientAttack, pgd

__all__ = [
    "Dynamic",
    "Federated",
    "FrozenReadout",
    "Generated",
    "GradientAttack",
    "MarginAware",
    "Optimised",
    "TimeSliced",
    "deepfool",
    "pgd",
]
