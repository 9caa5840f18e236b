"""A repair of a network that goes to a device, before what happens there or after it too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from torch import nn

from snnbd_core import checks
from snnbd_core.checks import Flag, instance
from snnbd_core.defenses import Repair
from snnbd_core.defenses.bench import Bench
from snnbd_core.deployment.change import Change

__all__ = ["Shipped"]


_repair = partial(instance, kind=Repair, words="a repair with its settings, as FineTuning()")
_change = partial(instance, kind=Change, words="a change with its settings, as LowBits()")


@dataclass(frozen=True, kw_only=True)
class Shipped(Repair):
    """A network that is repaired, and then changed on its way to a device or on it.

    A repair takes weights off the values that a device holds, so the change comes last in any
    case. It is `data_free` where the repair is.

    Args:
        repair_by: the repair.
        change: what happens to the network afterwards.
        changed_first: whether the repair gets the changed network, or the one that was shipped.

    Raises:
        ValueError: a part of another kind; `changed_first` with a change that does something else
            the second time, as a flip does, which is undone; when applied, as the repair and the
            change.
    """

    repair_by: Annotated[Repair, _repair]
    change: Annotated[Change, _change]
    changed_first: Flag = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.changed_first and not self.change.again:
            raise ValueError(
                f"changed_first=True with change={self.change!r}, which does something else the "
                "second time: allowed is False, or a change such as LowBits, which does not"
            )
        checks.settings(self, data_free=self.repair_by.data_free)

    def _repaired(self, bench: Bench) -> nn.Module:
        net, first = bench.net, [self.change] * self.changed_first
        for step in (*first, self.repair_by, self.change):
            net = step.repair(
                net, bench.data, seed=bench.seed, device=bench.device, steps=bench.steps
            )
        return net
