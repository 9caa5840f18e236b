"""A network that is only looked at for a block, and is then as and where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

from snnbd_core import checks

__all__ = ["evaluating", "fixed", "hooked"]


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


@contextmanager
def hooked(
    modules: Iterable[nn.Module],
    after: Callable[..., Any],
    before: Callable[..., Any] | None = None,
) -> Iterator[None]:
    """Calls after(module, inputs, output) of each module, and before(module, inputs)."""
    with ExitStack() as stack:
        for module in modules:
            if before is not None:
                stack.callback(module.register_forward_pre_hook(before).remove)
            stack.callback(module.register_forward_hook(after).remove)
        yield
