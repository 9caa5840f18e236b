"""The libraries whose neurons a view knows, in the order in which they are asked."""

from __future__ import annotations

from torch import nn

from snnbd_core.view.adapter import Adapter
from snnbd_core.view.norse import Norse
from snnbd_core.view.ours import Ours, Rectified
from snnbd_core.view.sinabs import Sinabs
from snnbd_core.view.snntorch import SnnTorch
from snnbd_core.view.spikingjelly import SpikingJelly

__all__ = ["ADAPTERS", "stateful"]

ADAPTERS: tuple[Adapter, ...] = (
    Ours(),
    Rectified(),
    SnnTorch(),
    SpikingJelly(),
    Norse(),
    Sinabs(),
)


def stateful(net: nn.Module) -> list[tuple[nn.Module, Adapter]]:
    """The modules of a network that keep a state from call to call, and who resets it."""
    return [
        (module, adapter)
        for module in net.modules()
        for adapter in ADAPTERS
        if adapter.stateful(module)
    ]
