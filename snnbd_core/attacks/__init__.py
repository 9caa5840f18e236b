"""Attacks that train something themselves: a generator, a surrogate network, federated clients.

Two of them know how detectors look at networks, and hide from that.

==============  ================================================================================
module          attack
==============  ================================================================================
badsnn          `badsnn.train`, `DualSpike`: a backdoor in the neuron itself (BadSNN)
dynamic         `Dynamic`: a perturbation learnt together with the network (Sneaky Spikes)
learnt_times    `LearntTimes`, `MutableTrojan`: when events come, by gradient (Event Trojan, ours)
optimised       `Optimised`: whole events placed by gradient on the raw recording (ours)
federated       `TimeSliced` and `Federated`: attackers who share a trigger out in time
adversarial     `deepfool`, `pgd`, `GradientAttack`: no backdoor, to compare with
generated       `Generated`: a noise of its own for each image, by a U-Net (BadSNN's T_o)
frozen_readout  `FrozenReadout`: a backdoor below a read-out that stays as it was
margin_aware    `MarginAware`: a loss against TMPBD's statistic
wakes_rounded   `WakesRounded`: a backdoor that only the rounded network has (PQ-backdoor)
watermark       `Watermark`: an owner's keys, a benign backdoor
==============  ================================================================================
"""

from __future__ import annotations

from snnbd_core.attacks.adversarial import GradientAttack, deepfool, pgd
from snnbd_core.attacks.dynamic import Dynamic
from snnbd_core.attacks.federated import Federated, TimeSliced
from snnbd_core.attacks.frozen_readout import FrozenReadout
from snnbd_core.attacks.generated import Generated
from snnbd_core.attacks.learnt_times import LearntTimes, MutableTrojan
from snnbd_core.attacks.margin_aware import MarginAware
from snnbd_core.attacks.optimised import Optimised
from snnbd_core.attacks.wakes_rounded import WakesRounded
from snnbd_core.attacks.watermark import Watermark

__all__ = [
    "Dynamic",
    "Federated",
    "FrozenReadout",
    "Generated",
    "GradientAttack",
    "LearntTimes",
    "MarginAware",
    "MutableTrojan",
    "Optimised",
    "TimeSliced",
    "WakesRounded",
    "Watermark",
    "deepfool",
    "pgd",
]
