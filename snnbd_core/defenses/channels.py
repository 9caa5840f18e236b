"""Channels of a network: what they do on clean samples, and how they are silenced.

A channel is an output channel of a convolution or a unit of a dense layer whose current goes into a
layer of neurons (spiking, or ReLU of an ANN twin). The read-out is left out: its neurons are the
classes. Where a DNN method speaks of an activation, a spiking channel has its rate: spikes per
neuron and time step, averaged over the places of the channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.learning import as_sequence
from snnbd_core.neurons import LIF

_BATCH = 128


class Gate:
    """A forward hook that multiplies the current of each channel; a gate of 0 silences it.

    Args:
        values: [C].
        offset: is added afterwards, [C]; None adds nothing.
    """

    def __init__(self, values: Tensor, offset: Tensor | None = None) -> None:
        self.values = values
        self.offset = offset

    def __call__(self, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        current = inputs[0]
        shape = (1, 1, -1, *[1] * (current.dim() - 3))
        current = current * self.values.to(current).reshape(shape)
        if self.offset is not None:
            current = current + self.offset.to(current).reshape(shape)
        return (current, *inputs[1:])


def hidden(net: nn.Module) -> list[nn.Module]:
    """The layers of neurons before the read-out, in order.

    Raises:
        ValueError: a network without any.
    """
    layers: list[nn.Module] = [layer for layer in net.modules() if isinstance(layer, LIF | nn.ReLU)]
    if len(layers) < 2:
        raise ValueError(f"net={type(net).__name__} has no hidden layer of neurons")
    return layers[:-1]


def prune(net: nn.Module, keep: Sequence[Tensor]) -> None:
    """Silences channels of a network for good, in place.

    Args:
        net: the network.
        keep: for each hidden layer which channels stay, bool [C].

    Raises:
        ValueError: a layer of which nothing would be left.
    """
    for number, (layer, mask) in enumerate(zip(hidden(net), keep, strict=True)):
        if not bool(mask.any()):
            raise ValueError(f"hidden layer {number} would lose all of its {len(mask)} channels: "
                             "prune less")  # fmt: skip
        if not bool(mask.all()):
            layer.register_forward_pre_hook(Gate(mask.float()))


@contextmanager
def gated(
    net: nn.Module, values: Sequence[Tensor], offsets: Sequence[Tensor] | None = None
) -> Iterator[None]:
    """Multiplies the currents of all hidden channels inside the block, and adds offsets to them.

    Gradients reach both.
    """
    layers = hidden(net)
    added = [None] * len(layers) if offsets is None else offsets
    hooks = [
        layer.register_forward_pre_hook(Gate(value, offset))
        for layer, value, offset in zip(layers, values, added, strict=True)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def biases(net: nn.Module) -> list[Tensor]:
    """What each hidden layer's channels get whatever the input is: their bias, [C] or [1].

    It is that of the last layer with weights before the neurons (of batch norm, where there is
    one), 0 where that has none.
    """
    wanted, found = hidden(net), []
    last: nn.Module | None = None
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            last = layer
        elif any(layer is one for one in wanted) and last is not None:
            bias = getattr(last, "bias", None)
            place = next(last.parameters()).device
            found.append(torch.zeros(1, device=place) if bias is None else bias.detach())
    return found


def connections(net: nn.Module) -> list[Tensor]:
    """How strongly channels feed those of the next layer, [out, in] for each layer with weights.

    An entry is the norm of the weights between two channels. The first has the input's channels as
    `in`, the last the voters as `out`.

    Raises:
        ValueError: a network that is not one chain of layers, such as one with shortcuts.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    if len(layers) != len(hidden(net)) + 1:
        raise ValueError(
            f"net={type(net).__name__} has {len(layers)} layers with weights and "
            f"{len(hidden(net))} hidden layers of neurons: this needs one chain of them"
        )
    found, channels = [], None
    for layer in layers:
        weight = layer.weight.detach()
        channels = weight.shape[1] if channels is None else channels
        found.append(weight.reshape(len(weight), channels, -1).norm(dim=2))
        channels = len(weight)
    return found


@contextmanager
def outputs(net: nn.Module) -> Iterator[list[Tensor]]:
    """What each hidden layer gave in the last pass inside the block, [T, B, C, ...]."""
    layers = hidden(net)
    kept: list[Tensor] = [torch.empty(0)] * len(layers)
    hooks = [
        layer.register_forward_hook(_keeper(kept, number)) for number, layer in enumerate(layers)
    ]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def rates(net: nn.Module, data: Any, steps: int, largest: bool = False) -> list[Tensor]:
    """Rate of each channel on a data set, one [C] for each hidden layer.

    Args:
        net: in evaluation mode.
        data: samples, with the protocol of `snnbd_core.data`.
        steps: T of static images.
        largest: True gives the largest rate over samples and places in place of the mean.
    """
    place = next(net.parameters()).device
    found: list[list[Tensor]] = []
    with outputs(net) as kept:
        for start in range(0, len(data), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(data)))
            net(as_sequence(data.batch(rows)[0].to(place), steps))
            found.append([_per_channel(one, largest) for one in kept])
    stacked = [torch.cat(parts) for parts in zip(*found, strict=True)]
    return [one.amax(dim=0) if largest else one.mean(dim=0) for one in stacked]


def counts(net: nn.Module, data: Any, steps: int) -> list[int]:
    """Number of channels of each hidden layer."""
    return [len(one) for one in rates(net, data.subset(np.arange(1)), steps)]


def check_clean(net: nn.Module, clean: Any) -> None:
    """Raises ValueError for what no repair can work with.

    Raises:
        ValueError: no samples, a class without one, samples of another shape than the network's,
            weights that are not finite.
    """
    checks.finite(net, "repaired")
    if clean is None or not len(clean):
        raise ValueError("clean_samples is empty: this defence needs some of every class")
    missing = sorted(set(range(clean.classes)) - {int(label) for label in clean.labels})
    if missing:
        raise ValueError(f"clean_samples has none of class {missing[0]}: allowed is every class")
    shape = getattr(net, "input_shape", clean.input_shape)
    if tuple(clean.input_shape) != tuple(shape):
        raise ValueError(
            f"clean_samples have shape {tuple(clean.input_shape)}, the network reads {tuple(shape)}"
        )


def _per_channel(output: Tensor, largest: bool) -> Tensor:
    """[B, C] of [T, B, C, ...]."""
    rate = output.mean(dim=0).flatten(2) if output.dim() > 3 else output.mean(dim=0)[..., None]
    return rate.amax(dim=2) if largest else rate.mean(dim=2)


def _keeper(kept: list[Tensor], number: int) -> Any:
    def keep(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        kept[number] = output

    return keep
