"""Weights that stand behind the last neurons although no known layer holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snnbd_core import guards
from snnbd_core.view.blocks import evaluating, hooked
from snnbd_core.view.trace import Layer, sample
from snnbd_core.view.watch import Edit

if TYPE_CHECKING:
    from snnbd_core.view.view import View

__all__ = ["drive", "mixes"]

_FAR = 1e3  # a current that makes any neuron fire, or keeps it from firing


def drive(current: Tensor, now: slice) -> Tensor:
    """The edit that makes all neurons of a layer fire in every step."""
    return torch.full_like(current, _FAR)


def _but_one(current: Tensor, now: slice) -> Tensor:
    """The same, with the first neuron silent."""
    rows = torch.full_like(current, _FAR).flatten(2)
    rows[:, :, 0] = -_FAR
    return rows.reshape(current.shape)


@torch.no_grad()
def mixes(view: View, layer: Layer) -> bool:
    """Whether weights that no known layer holds mix what a layer of neurons gives into logits.

    While all its neurons are driven, no weight before it matters: one that still moves the logits
    stands behind it. It mixes if a single neuron reaches more than one logit, too. Asked are
    matrices that are used by function or in modules of somebody's own, and quantised layers, which
    hold theirs packed. One with which the network does not run is passed over.
    """
    loose = _loose(view)
    if not loose:
        return False
    with torch.random.fork_rng(devices=[]), evaluating(view.net), guards.undrawn(view.net):
        answers = partial(_answers, view, layer, sample(view.net, view.like))
        plain = answers()
        if _apart(plain, answers(_but_one)).any(dim=0).sum() < 2:
            return False
        return any(_moves(each, plain, answers) for each in loose)


def _loose(view: View) -> list[Any]:
    """Matrices outside the layers that ran, and modules with packed weights."""
    known = [*(each.module for each in view.layers), *(each.module for each in view.weights)]
    held = {id(each) for module in known for each in (*module.parameters(), *module.buffers())}
    tensors = (*view.net.parameters(), *view.net.buffers())
    matrices = [each for each in tensors if each.dim() > 1 and each.is_floating_point()]
    packed = [each for each in view.net.modules() if callable(getattr(each, "weight", None))]
    return [*packed, *(each for each in matrices if id(each) not in held)]


def _answers(view: View, layer: Layer, sequence: Tensor, edit: Edit = drive) -> Tensor:
    """Logits while the layer is driven; a network that draws draws the same each time."""
    torch.default_generator.manual_seed(0)
    with view.edited({layer: edit}):
        return view(sequence)


def _moves(weight: Tensor | nn.Module, plain: Tensor, answers: Callable[[], Tensor]) -> bool:
    """Whether logits move when the weight is another."""
    try:
        with _moved(weight):
            return bool(_apart(plain, answers()).any())
    except (IndexError, RuntimeError, TypeError, ValueError):
        return False


def _apart(one: Tensor, other: Tensor) -> Tensor:
    return ~torch.isclose(one, other, rtol=1e-4, atol=1e-6)


@contextmanager
def _moved(weight: Any) -> Iterator[None]:
    """A block in which a matrix, or what a module gives, is larger by 1."""
    if isinstance(weight, nn.Module):
        with hooked([weight], lambda module, given, output: output + 1):
            yield
        return
    before = weight.data
    try:
        weight.data = before + 1  # not in place: a graph may wait for the values as they are
        yield
    finally:
        weight.data = before
