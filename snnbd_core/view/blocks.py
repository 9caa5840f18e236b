"""Blocks in which a network is evaluated, fixed, hooked or overridden; then it is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.neurons import checked_beta, checked_threshold
from snnbd_core.view.adapter import Value
from snnbd_core.view.libraries import spiking
from snnbd_core.view.ours import Ours

__all__ = ["evaluating", "fixed", "hooked", "override"]


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


@contextmanager
def override(
    net: nn.Module, *, threshold: Value | None = None, beta: Value | None = None
) -> Iterator[nn.Module]:
    """Runs a network with other hyper-parameters in every spiking layer, for the block's length.

    What held before is restored on exit, also after an error; blocks nest, the inner one winning
    for what it names. Parameters and their gradients are untouched.

    Args:
        net: a network of any library, with at least one spiking layer.
        threshold: replaces the threshold; a number, or a tensor as in LIF: one value per neuron,
            or [B, 1] per sample of neurons of this library.
        beta: replaces the decay, likewise.

    Raises:
        ValueError: nothing to override, no spiking layer, or a value outside what is allowed.
        NotVisible: neurons that have no such setting, or none per neuron or sample.
    """
    if threshold is None and beta is None:
        raise ValueError("override needs threshold= or beta=; both are None")
    threshold = None if threshold is None else checked_threshold(threshold)
    beta = None if beta is None else checked_beta(beta)
    per_sample = any(
        value is not None and value.dim() == 2 and value.shape[1] == 1
        for value in (threshold, beta)
    )
    neurons = spiking(getattr(net, "_orig_mod", net))
    if not neurons:
        raise ValueError(f"net={type(net).__name__} has no spiking layer to override")
    with ExitStack() as stack:
        for module, adapter in neurons:
            if per_sample and not isinstance(adapter, Ours):
                what = "a setting of its own for each sample"
                raise adapter.blind(module, what, "needed are neurons of snnbd_core")
            stack.enter_context(adapter.overridden(module, threshold, beta))
        yield net
