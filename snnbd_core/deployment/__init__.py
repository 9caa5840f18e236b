"""What happens to a trained network on its way to a device, and on it.

================  ==============================================================================
module            change
================  ==============================================================================
`low_bits`        `LowBits`: weights, thresholds and decays rounded to few bits
`bit_flips`       `BitFlips`: flipped bits in thresholds or decays
`neuron_trojan`   `NeuronTrojan`: one neuron that fires for good after a secret spike train
`shipped`         `Shipped`: any repair of a network, and any of these changes after it
================  ==============================================================================

    rounded = LowBits(weights=4).apply(net)

A change gives a copy, which holds all that makes its answers. It is no repair and no part of
`snnbd_core.defenses.REPAIRS`; `Shipped` does both.
"""

from __future__ import annotations

from snnbd_core.deployment.bit_flips import BitFlips, flipped
from snnbd_core.deployment.change import Change
from snnbd_core.deployment.low_bits import LowBits, fixed_point
from snnbd_core.deployment.neuron_trojan import Latch, NeuronTrojan, flickering
from snnbd_core.deployment.shipped import Shipped

CHANGES: dict[str, type[Change]] = {
    kind.__name__: kind for kind in (LowBits, BitFlips, NeuronTrojan)
}

__all__ = [
    "CHANGES",
    "BitFlips",
    "Change",
    "Latch",
    "LowBits",
    "NeuronTrojan",
    "Shipped",
    "fixed_point",
    "flickering",
    "flipped",
]
