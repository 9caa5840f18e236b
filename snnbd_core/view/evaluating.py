"""A network that is only looked at for a block, and is then as and where it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from snnbd_core import checks

__all__ = ["evaluating", "fixed"]


@contextmanager
def evaluating(net: nn.Module, device: torch.device | None = None) -> Iterator[None]:
    """Eval mode on a device; every module's own mode and the network's device come back.

    Args:
        net: the network.
        device: where it runs inside the block; None leaves it where it is.

    Raises:
        ValueError: what is no network.
    """
    checks.network(net)
    modes = {module: module.training for module in net.modules()}
    first = next(chain(net.parameters(), net.buffers()), None)
    home = None if first is None or device is None else first.device
    try:
        net.eval()
        if home is not None:
            net.to(device)
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        if home is not None:
            net.to(home)


@contextmanager
def fixed(net: nn.Module) -> Iterator[None]:
    """Weights without gradients; those that had them get them again."""
    learned = [weight for weight in net.parameters() if weight.requires_grad]
    try:
        net.requires_grad_(False)
        yield
    finally:
        for weight in learned:
            weight.requires_grad_(True)
