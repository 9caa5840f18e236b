"""The NIR nodes that say what modules compute: the inverse of `snnbd_core.exchange.modules`."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from snnbd_core.exchange.membranes import Integrator, Step, SynapticLIF
from snnbd_core.networks.layers import Folded, Gain
from snnbd_core.neurons import LIF

__all__ = ["nir_node"]

Shape = tuple[int, ...]


def nir_node(module: nn.Module, shape: Shape, dt: float) -> Any:
    """NIR's node for a module.

    Args:
        module: a node of a graph.
        shape: of what it gets in a step.
        dt: length of a step.

    Raises:
        ValueError: NIR has no node for it.
    """
    import nir

    layer: Any = module[0] if isinstance(module, Folded) else module
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.padding_mode == "zeros":
        return _convolution(layer, shape)
    if isinstance(layer, nn.Linear):
        weight = _array(layer.weight)
        return nir.Linear(weight) if layer.bias is None else nir.Affine(weight, _array(layer.bias))
    if isinstance(layer, nn.AvgPool2d) and layer.divisor_override in (None, 1):
        kind = nir.AvgPool2d if layer.divisor_override is None else nir.SumPool2d
        window = (layer.kernel_size, layer.stride, layer.padding)
        if not layer.ceil_mode and layer.count_include_pad:
            return kind(*(np.broadcast_to(size, 2) for size in window))
    if isinstance(layer, nn.Flatten):
        axes = (axis - 1 if axis > 0 else axis for axis in (layer.start_dim, layer.end_dim))
        return nir.Flatten({"input": np.array(shape)}, *axes)
    if isinstance(layer, Gain):
        return nir.Scale(_full(layer.weight, shape))
    if isinstance(layer, Step):
        return nir.Threshold(_full(layer.threshold, shape))
    if isinstance(layer, Integrator):
        return _integrator(layer, shape, dt)
    if isinstance(layer, LIF):
        return _neurons(layer, shape, dt)
    raise ValueError(f"{layer} cannot be written: NIR has no node for it")


def _convolution(layer: Any, shape: Shape) -> Any:
    import nir

    weight = _array(layer.weight)
    bias = np.zeros(len(weight), weight.dtype) if layer.bias is None else _array(layer.bias)
    places = layer.stride, layer.padding, layer.dilation
    if isinstance(layer, nn.Conv1d):
        places = tuple(place if isinstance(place, str) else place[0] for place in places)
        stride, padding, dilation = places
        return nir.Conv1d(shape[1], weight, stride, padding, dilation, layer.groups, bias)
    return nir.Conv2d(shape[1:], weight, *places, layer.groups, bias)


def _integrator(layer: Integrator, shape: Shape, dt: float) -> Any:
    import nir

    beta, gain, rest = (_full(value, shape) for value in (layer.beta, layer.gain, layer.rest))
    leak = _whole_leak(1 - beta)
    if not leak.any() and not rest.any():
        return nir.I(gain / dt)
    return nir.LI(tau=dt / leak, r=gain / leak, v_leak=rest)


def _neurons(layer: LIF, shape: Shape, dt: float) -> Any:
    import nir

    threshold, beta = (_full(value, shape) for value in layer.in_force())
    leak = _whole_leak(1 - beta)
    gain = leak if layer.rule.decay_input else np.ones(shape)
    after = alpha = rest = np.zeros(shape)
    if isinstance(layer, SynapticLIF):
        gain, after, alpha = (
            _full(value, shape) for value in (layer.gain, layer.after, layer.alpha)
        )
    fires = {"v_threshold": threshold, "v_reset": after}
    if alpha.any():
        inflow, leak = _whole_leak(1 - alpha), _whole_leak(leak)
        times = {"tau_syn": dt / inflow, "tau_mem": dt / leak}
        return nir.CubaLIF(**times, r=1 / leak, v_leak=rest, w_in=gain / inflow, **fires)
    if not leak.any():
        return nir.IF(gain / dt, **fires)
    return nir.LIF(tau=dt / leak, r=gain / leak, v_leak=rest, **fires)


def _whole_leak(leak: Any) -> Any:
    """The leak, if all neurons have one or none has."""
    if leak.any() and not leak.all():
        raise ValueError("neurons with and without leak in one layer cannot be written: NIR's do")
    return leak


def _full(values: Tensor, shape: Shape) -> Any:
    """Values of neurons, one for each, in the precision in which decays come back exactly."""
    return np.array(np.broadcast_to(_array(values).astype(np.float64), shape))


def _array(values: Tensor) -> Any:
    return values.detach().cpu().numpy()
