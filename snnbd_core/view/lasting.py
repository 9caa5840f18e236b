"""Channels that are silenced for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from snnbd_core.view.behind import drive
from snnbd_core.view.trace import Layer, sample
from snnbd_core.view.watch import watch

if TYPE_CHECKING:
    from snnbd_core.view.view import View

__all__ = ["prune"]


@torch.no_grad()
def prune(view: View, keep: Sequence[Tensor]) -> None:
    """Silences channels: their incoming weights become 0.

    Where channels are fed by more than weights, as behind a shortcut, or their weights act
    elsewhere too, a mask is held in the network instead, see `snnbd_core.guards`.

    Args:
        view: of the network.
        keep: for each hidden layer which channels stay, bool [C].

    Raises:
        ValueError: a layer of which nothing would be left.
    """
    for number, (layer, mask) in enumerate(zip(view.hidden, keep, strict=True)):
        if not bool(mask.any()):
            raise ValueError(
                f"hidden layer {number} would lose all of its {len(mask)} channels: prune less"
            )
        if not bool(mask.all()) and not _silenced(view, number, layer, ~mask):
            view.guard(layer, "gate", mask.float())


def _silenced(view: View, number: int, layer: Layer, gone: Tensor) -> bool:
    """Whether zero weights silence the channels; weights that do not are put back."""
    before = [weights for weights in view.weights if weights.feeds == number]
    owners = [*(weights.norm or weights.module for weights in before), *layer.inner]
    tensors = [
        tensor
        for owner in owners
        for name in ("weight", "bias")
        if (tensor := getattr(owner, name, None)) is not None
    ]
    if layer.uses > 1 or not tensors or any(len(tensor) != len(gone) for tensor in tensors):
        return False
    elsewhere = _elsewhere(view, number)
    if any(id(tensor) in elsewhere for tensor in tensors):
        return False
    wanted, held = _seen(view, layer, gone), [tensor.clone() for tensor in tensors]
    for tensor in tensors:
        tensor[gone] = 0
    own, *behind = _seen(view, layer)
    # what still arrives comes by a shortcut; what others lose came through the channel's weights
    same = torch.allclose(own[:, :, ~gone], wanted[0][:, :, ~gone])
    if same and not bool(own[:, :, gone].any()) and all(map(torch.allclose, behind, wanted[1:])):
        return True
    for tensor, values in zip(tensors, held, strict=True):
        tensor.copy_(values)
    return False


def _elsewhere(view: View, number: int) -> set[int]:
    """Ids of the parameters of layers with weights that feed other neurons, or the logits."""
    others = [weights for weights in view.weights if weights.feeds != number]
    modules = [module for one in others for module in (one.module, one.norm) if module is not None]
    return {id(parameter) for module in modules for parameter in module.parameters()}


def _seen(view: View, layer: Layer, quiet: Tensor | None = None) -> list[Tensor]:
    """Currents from a layer on, and the logits, while all earlier neurons are driven.

    `quiet` are channels of the layer, [C], that get a current far below any threshold.
    """
    at = view.layers.index(layer)
    edits = dict.fromkeys(view.layers[:at], drive)
    if quiet is not None:
        edits[layer] = lambda current, now: current.index_fill(2, quiet.nonzero()[:, 0], -1e3)
    reading = watch(view.net, view.layers[at:], "current", edits)
    with torch.random.fork_rng(devices=[]), reading as seen:
        logits = view(sample(view.net, view.like))
    return [*seen, logits]
