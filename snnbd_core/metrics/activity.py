"""Spikes and synaptic operations of a network while it runs.

A synaptic operation (SynOp) is one event that arrives at one synapse: a nonzero input of a
convolution or a dense layer counts once for each output it reaches. The usual estimate takes
events times a mean fan-out; here the fan-out is exact, pixel by pixel, since events at the border
of a padded or strided convolution reach fewer outputs, and triggers sit in corners.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.neurons import spiking_layers


class Activity:
    """Totals over all forward passes since `measure` began.

    `spikes` and `synops` are 0-dim tensors once something ran, so that a GPU need not be waited
    for in every layer; `float()` reads them.
    """

    def __init__(self) -> None:
        self.spikes: Tensor | float = 0.0
        self.synops: Tensor | float = 0.0


@contextmanager
def measure(net: nn.Module) -> Iterator[Activity]:
    """Counts what `net` does inside the block.

        with measure(net) as activity:
            net(sequence)
        float(activity.spikes), float(activity.synops)

    Spikes: all outputs of LIF, IF and ParametricLIF layers. Synaptic operations: all inputs of
    `Conv2d` and `Linear`, times their fan-out; biases and batch norm are not counted. An input
    that is a whole number n (event counts, spikes) is n events; any other nonzero input (a pixel
    of an image, an activation of an ANN) is one. A layer that a network runs once for a static
    image, to use its result in all time steps, counts once.
    """
    activity = Activity()
    maps: dict[tuple[nn.Module, int, int], Tensor] = {}

    def count_spikes(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        spikes = output[0] if isinstance(output, tuple) else output
        activity.spikes = activity.spikes + _total(spikes)

    def count_dense(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(module, nn.Linear)  # registered on such only
        activity.synops = activity.synops + _total(_events(inputs[0])) * module.out_features

    def count_convolution(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(module, nn.Conv2d)  # registered on such only
        height, width = inputs[0].shape[-2:]
        key = (module, height, width)
        if key not in maps:
            maps[key] = fan_out(module, height, width).to(inputs[0].device)
        per_pixel = _events(inputs[0]).sum(dim=tuple(range(inputs[0].dim() - 2)))
        activity.synops = activity.synops + _total(per_pixel * maps[key])

    hooks = [layer.register_forward_hook(count_spikes) for layer in spiking_layers(net)]
    for module in net.modules():
        if isinstance(module, nn.Linear):
            hooks.append(module.register_forward_pre_hook(count_dense))
        elif isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_pre_hook(count_convolution))
    try:
        yield activity
    finally:
        for hook in hooks:
            hook.remove()


def fan_out(convolution: nn.Conv2d, height: int, width: int) -> Tensor:
    """How many outputs each pixel of one input channel reaches: float32 [height, width].

    Stride, dilation, padding (also "same") and groups are taken into account, and under circular
    or reflecting padding a border pixel that is read twice counts twice.
    """
    # the gradient of the sum of a convolution with ones is its fan-out, whatever its padding
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    settings: dict[str, Any] = {name: getattr(convolution, name) for name in names}
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        ones = nn.Conv2d(1, 1, bias=False, **settings)
        nn.init.ones_(ones.weight)
        pixels = torch.zeros(1, 1, height, width, requires_grad=True)
        (reached,) = torch.autograd.grad(ones(pixels).sum(), pixels)
    return reached[0, 0] * (convolution.out_channels // convolution.groups)


def _events(inputs: Tensor) -> Tensor:
    """Events that each input stands for: n for a whole number n, one for any other nonzero."""
    return torch.where(inputs == inputs.round(), inputs.abs(), 1.0)


def _total(values: Tensor) -> Tensor:
    # float32 sums of whole numbers are inexact beyond 2^24; MPS has no float64
    return values.sum(dtype=torch.float32 if values.device.type == "mps" else torch.float64)
