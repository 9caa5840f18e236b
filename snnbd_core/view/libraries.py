"""The libraries whose neurons a view knows, in the order in which they are asked."""

from __future__ import annotations

import functools
from typing import Any

from torch import nn

from snnbd_core.view.adapter import Adapter
from snnbd_core.view.norse import Norse
from snnbd_core.view.ours import Ours, Rectified
from snnbd_core.view.sinabs import Sinabs
from snnbd_core.view.snntorch import SnnTorch
from snnbd_core.view.spikingjelly import SpikingJelly

__all__ = ["ADAPTERS", "adapter_of", "reset", "spiking"]

ADAPTERS = (Ours(), Rectified(), SnnTorch(), SpikingJelly(), Norse(), Sinabs())


def adapter_of(module: nn.Module) -> Adapter | None:
    """The adapter whose neurons a module is; None for any other module."""
    return next((adapter for adapter in ADAPTERS if adapter.claims(module)), None)


def spiking(net: nn.Module) -> list[tuple[nn.Module, Adapter]]:
    """The modules of spiking neurons, whether they run or not, and their adapters."""
    found = ((module, adapter_of(module)) for module in net.modules())
    return [
        (module, adapter) for module, adapter in found if adapter is not None and adapter.spikes
    ]


def reset(net: nn.Module) -> None:
    """Forgets the state that a run has left in the modules of a network."""
    kind: Any
    for module in net.modules():
        kind = type(module)
        for adapter in _resetting(kind):
            adapter.reset(module)


@functools.lru_cache(maxsize=4096)
def _resetting(kind: type) -> tuple[Adapter, ...]:
    """The adapters that reset modules of a class: asked once, for a network runs often."""
    return tuple(adapter for adapter in ADAPTERS if adapter.stateful(kind))
