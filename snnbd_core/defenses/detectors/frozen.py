"""A network as detectors look at it: evaluating, without gradients to its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.networks import Network


def as_network(net: nn.Module) -> Network:
    """The network itself, of which input shape and classes are then known.

    Raises:
        ValueError: any other module.
    """
    if not isinstance(net, Network):
        raise ValueError(f"net={type(net).__name__} must be a Network of snnbd_core.networks")
    return net


@contextmanager
def frozen(net: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """Evaluation mode on a device, weights without gradients; all of it is put back.

    Raises:
        ValueError: weights that are not finite.
    """
    checks.finite(net, "inspected")
    modes = {module: module.training for module in net.modules()}
    wanted = [weight.requires_grad for weight in net.parameters()]
    home = next(net.parameters()).device
    try:
        net.eval().requires_grad_(False).to(device)
        yield net
    finally:
        net.to(home)
        for module, mode in modes.items():
            module.training = mode
        for weight, before in zip(net.parameters(), wanted, strict=True):
            weight.requires_grad_(before)
