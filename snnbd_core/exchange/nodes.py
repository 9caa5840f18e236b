"""The NIR nodes that say what modules compute: the inverse of `snnbd_core.exchange.modules`."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from torch import Tensor, nn

from snnbd_core.exchange.graph import Shape
from snnbd_core.exchange.membranes import Integrator, Step
from snnbd_core.networks.layers import Folded, Gain
from snnbd_core.neurons import LIF

__all__ = ["nir_node"]


def nir_node(module: nn.Module, shape: Shape, dt: float) -> Any:
    """NIR's node for a node of a graph.

    Args:
        module: what it computes.
        shape: of what it gets in a step.
        dt: length of a step.

    Raises:
        ValueError: NIR has no node for it.
    """
    layer: Any = module[0] if isinstance(module, Folded) else module
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.padding_mode == "zeros":
        return _convolution(layer, shape)
    if isinstance(layer, nn.Linear):
        weight = _array(layer.weight)
        return nir.Linear(weight) if layer.bias is None else nir.Affine(weight, _array(layer.bias))
    if isinstance(layer, nn.AvgPool2d) and not layer.ceil_mode and layer.count_include_pad:
        kind = nir.SumPool2d if layer.divisor_override == 1 else nir.AvgPool2d
        window = (layer.kernel_size, layer.stride, layer.padding)
        if layer.divisor_override in (None, 1):
            return kind(*(np.broadcast_to(size, 2) for size in window))
    if isinstance(layer, nn.Flatten):
        axes = (axis - 1 if axis > 0 else axis for axis in (layer.start_dim, layer.end_dim))
        return nir.Flatten({"input": np.array(shape)}, *axes)
    if isinstance(layer, Gain):
        return nir.Scale(_full(layer.weight, shape))
    if isinstance(layer, Step):
        return nir.Threshold(_full(layer.threshold, shape))
    if isinstance(layer, Integrator | LIF):
        return _neurons(layer, shape, dt)
    raise ValueError(f"{layer} cannot be written: NIR has no node for it")


def _convolution(layer: Any, shape: Shape) -> Any:
    weight = _array(layer.weight)
    bias = np.zeros(len(weight), weight.dtype) if layer.bias is None else _array(layer.bias)
    places: Any = (layer.stride, layer.padding, layer.dilation)
    if isinstance(layer, nn.Conv2d):
        return nir.Conv2d(shape[1:], weight, *places, layer.groups, bias)
    places = (place if isinstance(place, str) else place[0] for place in places)
    return nir.Conv1d(shape[1], weight, *places, layer.groups, bias)


def _neurons(layer: Integrator | LIF, shape: Shape, dt: float) -> Any:
    settings = dict(layer.named_buffers(recurse=False))
    if isinstance(layer, LIF):
        settings["threshold"], settings["beta"] = layer.in_force()
    value = {name: _full(values, shape) for name, values in settings.items()}
    leak, none = 1 - value["beta"], np.zeros(shape)
    usual = leak if isinstance(layer, LIF) and layer.rule.decay_input else np.ones(shape)
    gain, inflow = value.get("gain", usual), 1 - value.get("alpha", none)
    if (leak.any() or (inflow < 1).any()) and not (leak.all() and inflow.all()):
        raise ValueError(f"{layer} cannot be written: NIR has no layer of which a part leaks")
    fires = {"v_threshold": value.get("threshold"), "v_reset": value.get("after", none)}
    if (inflow < 1).any():
        taus = {"tau_syn": dt / inflow, "tau_mem": dt / leak}
        return nir.CubaLIF(**taus, r=1 / leak, v_leak=none, w_in=gain / inflow, **fires)
    if not leak.any():
        return nir.IF(gain / dt, **fires) if isinstance(layer, LIF) else nir.I(gain / dt)
    leaks = {"tau": dt / leak, "r": gain / leak, "v_leak": value.get("rest", none)}
    return nir.LIF(**leaks, **fires) if isinstance(layer, LIF) else nir.LI(**leaks)


def _full(values: Tensor, shape: Shape) -> np.ndarray:
    """Values of neurons, one for each, in the precision in which decays come back exactly."""
    return np.array(np.broadcast_to(_array(values).astype(np.float64), shape))


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
