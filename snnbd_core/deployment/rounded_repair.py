"""A repair of a network that goes to a device with few bits, before the rounding or after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from torch import nn

from snnbd_core.checks import Flag, choice
from snnbd_core.defenses import FinePruning, FineTuning, Repair
from snnbd_core.defenses.bench import Bench
from snnbd_core.deployment.low_bits import LowBits
from snnbd_core.learning.rounding import Bits

__all__ = ["RoundedRepair"]

_REPAIRS: dict[str, type[Repair]] = {"FineTuning": FineTuning, "FinePruning": FinePruning}


@dataclass(frozen=True, kw_only=True)
class RoundedRepair(Repair):
    """A network that is repaired with the repair's own settings, and then rounded by `LowBits`.

    A repair takes weights off the values that a device holds, so what comes out is rounded in any
    case.

    Args:
        repair_by: its name, "FineTuning" or "FinePruning".
        weights: bits of each weight.
        rounded_first: whether the repair gets the rounded network, or the one that was shipped.

    An unknown name is a ValueError, and so is a repair without clean samples.
    """

    repair_by: Annotated[str, partial(choice, allowed=_REPAIRS)] = "FineTuning"
    weights: Bits = 8
    rounded_first: Flag = False

    def _repaired(self, bench: Bench) -> nn.Module:
        low, repair, net = LowBits(weights=self.weights), _REPAIRS[self.repair_by](), bench.net
        for step in (low, repair, low) if self.rounded_first else (repair, low):
            net = step.repair(
                net, bench.data, seed=bench.seed, device=bench.device, steps=bench.steps
            )
        return net
