"""Weights that stand behind the last neurons although no known layer holds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snnbd_core import guards
from snnbd_core.view.blocks import evaluating, hooked
from snnbd_core.view.trace import Layer, sample

if TYPE_CHECKING:
    from snnbd_core.view.view import View

__all__ = ["drive", "mixes"]


def drive(current: Tensor, now: slice) -> Tensor:
    """The edit that makes all neurons of a layer fire in every step."""
    return torch.full_like(current, 1e3)


@torch.no_grad()
def mixes(view: View, layer: Layer) -> bool:
    """Whether weights that no known layer holds mix what a layer of neurons gives into logits.

    While all its neurons are driven, no weight before it matters: one that still moves the logits
    stands behind it. Asked are matrices that are used by function or in modules of somebody's own,
    and quantised layers, which hold theirs packed.
    """
    known = [*(each.module for each in view.layers), *(each.module for each in view.weights)]
    held = {id(each) for module in known for each in (*module.parameters(), *module.buffers())}
    net, loose = view.net, list[Any]()
    for module in net.modules():
        if callable(getattr(module, "weight", None)):
            loose.append(module)
        own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
        loose += [
            each
            for each in own
            if each.dim() > 1 and each.is_floating_point() and id(each) not in held
        ]
    if not loose:
        return False
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(evaluating(net))
        stack.enter_context(guards.undrawn(net))
        stack.enter_context(view.edited({layer: drive}))
        sequence = sample(net, view.like)

        def logits() -> Tensor:
            torch.default_generator.manual_seed(0)  # also for a network that draws
            return view(sequence)

        plain = logits()
        for each in loose:
            with _moved(each):
                if not torch.allclose(plain, logits(), rtol=1e-4, atol=1e-6):
                    return True
    return False


@contextmanager
def _moved(weight: Tensor | nn.Module) -> Iterator[None]:
    """A block in which a matrix, or what a module gives, is larger by 1."""
    if isinstance(weight, nn.Module):
        with hooked([weight], lambda module, given, output: output + 1):
            yield
        return
    before = weight.clone()
    try:
        weight += 1
        yield
    finally:
        weight.copy_(before)
