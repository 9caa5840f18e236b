"""Attacks that train something themselves: a generator, a surrogate network, federated clients.

=============  =================================================================================
module         attack
=============  =================================================================================
dynamic        `Dynamic`: a perturbation learnt together with the network (Sneaky Spikes)
optimised      `Optimised`: whole events placed by gradient on the raw recording (ours)
federated      `TimeSliced` and `Federated`: attackers who share a trigger out in time
deepfool       `deepfool`: the nearest change of a sample that alters the answer
pgd            `pgd`: adversarial examples, with no backdoor, to compare with; `GradientAttack`
generated      `Generated`: a noise of its own for each image, by a U-Net (BadSNN's T_o)
=============  =================================================================================
"""

from __future__ import annotations

from snnbd_core.attacks.deepfool import deepfool
from snnbd_core.attacks.dynamic import Dynamic
from snnbd_core.attacks.federated import Federated, TimeSliced
from snnbd_core.attacks.generated import Generated
from snnbd_core.attacks.optimised import Optimised
from snnbd_core.attacks.pgd import GradientAttack, pgd

__all__ = [
    "Dynamic",
    "Federated",
    "Generated",
    "GradientAttack",
    "Optimised",
    "TimeSliced",
    "deepfool",
    "pgd",
]
