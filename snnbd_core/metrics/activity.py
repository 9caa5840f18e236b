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
from torch.nn.modules.batchnorm import _BatchNorm

from snnbd_core.view import ADAPTERS, Adapter, adapter_of

__all__ = ["Activity", "fan_out", "measure"]

_COUNTED = (nn.Linear, nn.Conv1d, nn.Conv2d)


class Activity:
    """Totals over all forward passes since `measure` began; None for what cannot be counted.

    Once something ran, `spikes` and `synops` are 0-dim tensors, so that no layer waits for the GPU;
    `float()` reads them.
    """

    def __init__(self) -> None:
        self.spikes: Tensor | float | None = 0.0
        self.synops: Tensor | float | None = 0.0


@contextmanager
def measure(net: nn.Module) -> Iterator[Activity]:
    """Counts what `net` does inside the block.

        with measure(net) as activity:
            net(sequence)
        float(activity.spikes), float(activity.synops)

    Spikes: all outputs of spiking neurons of any library that a view knows; 0 for a network whose
    neurons are all ReLU; None where no neurons are seen or some cannot be read.

    Synaptic operations: all inputs of `Conv1d`, `Conv2d` and `Linear`, times their fan-out; biases
    and batch norm are not counted. An input that is a whole number n (event counts, spikes) is n
    events; any other nonzero input (a pixel of an image, an activation of an ANN) is one. A layer
    that a network runs once for a static image, to use its result in all time steps, counts once.
    None where other modules hold weights (recurrent layers, transposed convolutions, attention), or
    where a layer is not called itself while others are (its weights may be used by hand).
    """
    activity = Activity()
    neurons = {module: adapter_of(module) for module in net.modules()}
    seen = {module: adapter for module, adapter in neurons.items() if adapter is not None}
    ran: list[bool] = []
    hooks = [net.register_forward_hook(lambda *_: ran.append(True))]
    if not seen or any(adapter.unknown(module) for module in neurons for adapter in ADAPTERS):
        activity.spikes = None
    else:
        hooks += _counting_spikes(activity, seen)
    counted: set[nn.Module] = {module for module in neurons if isinstance(module, _COUNTED)}
    idle = set(counted)
    if any(_weighs(module) and module not in seen for module in neurons):
        activity.synops = None
    else:
        hooks += _counting_synops(activity, counted, idle)
    try:
        yield activity
        if idle and ran:
            activity.synops = None  # some layers were not called: their weights may be used
    finally:
        for hook in hooks:
            hook.remove()


def _counting_spikes(activity: Activity, neurons: dict[nn.Module, Adapter]) -> list[Any]:
    """Hooks on the neurons that spike."""

    def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        assert activity.spikes is not None
        activity.spikes = activity.spikes + _total(neurons[module].output(output))

    return [each.register_forward_hook(count) for each in neurons if neurons[each].spikes]


def _counting_synops(activity: Activity, layers: set[nn.Module], idle: set[nn.Module]) -> list[Any]:
    """Hooks on layers with weights; those that run are taken out of `idle`."""
    maps: dict[tuple[Any, ...], Tensor] = {}

    def count(module: Any, inputs: tuple[Any, ...]) -> None:
        assert activity.synops is not None
        activity.synops = activity.synops + _operations(module, inputs[0], maps)
        idle.discard(module)

    return [layer.register_forward_pre_hook(count) for layer in layers]


def _operations(module: Any, inputs: Tensor, maps: dict[tuple[Any, ...], Tensor]) -> Tensor:
    """Synaptic operations of one call; `maps` keeps fan-outs."""
    if isinstance(module, nn.Linear):
        return _total(_events(inputs)) * module.out_features
    size = inputs.shape[-len(module.kernel_size) :]
    key = (module, *size)
    if key not in maps:
        maps[key] = fan_out(module, *size).to(inputs.device)
    per_pixel = _events(inputs).sum(dim=tuple(range(inputs.dim() - len(size))))
    return _total(per_pixel * maps[key])


def _weighs(module: nn.Module) -> bool:
    """Whether a module holds weights of its own that are not counted and not known to be none."""
    counted = isinstance(module, _COUNTED)
    norms = _BatchNorm | nn.LayerNorm | nn.GroupNorm | nn.PReLU
    own = next(module.parameters(recurse=False), None)
    packed = callable(getattr(module, "weight", None))  # a quantised layer gives them by a method
    return packed or (own is not None and not counted and not isinstance(module, norms))


def fan_out(convolution: nn.Conv1d | nn.Conv2d, *size: int) -> Tensor:
    """How many outputs each pixel of one input channel reaches: float32 of shape `size`.

    Stride, dilation, padding (also "same") and groups are taken into account, and under circular
    or reflecting padding a border pixel that is read twice counts twice.

    Args:
        convolution: any, whatever its channels.
        *size: (height, width) of its input, (length,) in one dimension.
    """
    # the gradient of the sum of a convolution with ones is its fan-out, whatever its padding
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    settings: dict[str, Any] = {name: getattr(convolution, name) for name in names}
    kind = nn.Conv1d if len(size) == 1 else nn.Conv2d
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        ones = kind(1, 1, bias=False, **settings)
        nn.init.ones_(ones.weight)
        pixels = torch.zeros(1, 1, *size, requires_grad=True)
        (reached,) = torch.autograd.grad(ones(pixels).sum(), pixels)
    return reached[0, 0] * (convolution.out_channels // convolution.groups)


def _events(inputs: Tensor) -> Tensor:
    """Events that each input stands for: n for a whole number n, one for any other nonzero."""
    return torch.where(inputs == inputs.round(), inputs.abs(), 1.0)


def _total(values: Tensor) -> Tensor:
    # float32 sums of whole numbers are inexact beyond 2^24; MPS has no float64
    return values.sum(dtype=torch.float32 if values.device.type == "mps" else torch.float64)
