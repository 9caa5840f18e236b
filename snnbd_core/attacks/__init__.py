"""Attacks that train something themselves: a generator, a surrogate network, federated clients.

=============  =================================================================================
module         attack
=============  =================================================================================
dynamic        `Dynamic`: a perturbation learnt together with the network (Sneaky Spikes)
optimised      `Optimised`: whole events placed by gradient on the raw recording (ours)
federated      `TimeSliced` and `Federated`: attackers who share a trigger out in time
=============  =================================================================================
"""

from __future__ import annotations

from snnbd_core.attacks.dynamic import Dynamic
from snnbd_core.attacks.federated import Federated, TimeSliced
from snnbd_core.attacks.optimised import Optimised

__all__ = ["Dynamic", "Federated", "Optimised", "TimeSliced"]
