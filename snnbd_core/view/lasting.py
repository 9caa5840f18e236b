"""What is changed in a network for good: channels silenced, values held with a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from snnbd_core import guards
from snnbd_core.view.errors import NotVisible
from snnbd_core.view.trace import Layer
from snnbd_core.view.watch import Edit, Watch

if TYPE_CHECKING:
    from snnbd_core.view.view import View

__all__ = ["guard", "prune"]


@torch.no_grad()
def prune(view: View, keep: Sequence[Tensor]) -> None:
    """Silences channels: their incoming weights become 0.

    Where channels are fed by more than weights, as behind a shortcut, a mask is held in the
    network instead, see `snnbd_core.guards`.

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
            guard(view, layer, "gate", mask.float())


def guard(view: View, layer: Layer, kind: str, values: Tensor) -> None:
    """Holds values with a layer, see `snnbd_core.guards`.

    Raises:
        NotVisible: neurons that cannot be guarded so from outside.
    """
    if kind == "gate" and layer.inner:
        raise NotVisible("all its currents", str(layer), "it has connections within the layer")
    if kind in ("factor", "noise") and not layer.adapter.scales(layer.module):
        raise NotVisible(
            "a threshold of its own for each neuron",
            str(layer),
            "needed are neurons that start from 0, are reset to 0 or by the threshold, and have no "
            "connections within the layer",
        )
    if kind == "noise" and layer.axes == "folded":
        raise NotVisible("which rows are one sample", str(layer), "needed is [T, B, ...]")
    where = {"axes": layer.axes, "use": layer.use, "uses": layer.uses}
    guards.attach(view.net, layer.module, kind, values, **where)


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
    held = [tensor.clone() for tensor in tensors]
    for tensor in tensors:
        tensor[gone] = 0
    # with all earlier neurons driven: what still arrives comes by another way, as a shortcut
    earlier = view.layers[: view.layers.index(layer)]
    driven: dict[Layer, Edit] = dict.fromkeys(earlier, _drive)
    watch = Watch(view.net, [layer], "current", driven)
    with torch.random.fork_rng(devices=[]), watch as seen:
        view(view.sample())
    if not bool(seen[0][:, :, gone].any()):
        return True
    for tensor, values in zip(tensors, held, strict=True):
        tensor.copy_(values)
    return False


def _drive(current: Tensor, now: slice) -> Tensor:
    return torch.full_like(current, 1e3)
