"""The modules that compute what NIR's nodes say, by the forward Euler method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.exchange.errors import CorruptNetwork
from snnbd_core.exchange.membranes import Integrator, Step, SynapticLIF
from snnbd_core.exchange.stored import Node, Value
from snnbd_core.neurons import LIF
from snnbd_core.networks.layers import Folded, Gain

__all__ = ["Rule", "modules", "sizes"]

Shape = tuple[int, ...]
Fields = Mapping[str, Value]


@dataclass(frozen=True)
class Rule:
    """What a NIR file leaves open, see `snnbd_core.exchange.read_nir`."""

    dt: float
    reset: str
    update: str


def modules(node: Node, shape: Shape, rule: Rule, feedback: nn.Module | None) -> list[nn.Module]:
    """What a node computes, one module after the other.

    Args:
        node: of any kind but a sub-graph.
        shape: of what it gets in a step.
        rule: how neurons are stepped.
        feedback: what the spikes of a step add to the current of the next; only for neurons.

    Raises:
        CorruptNetwork, RuntimeError, ValueError: values that do not fit each other or the shape.
    """
    if node.kind in LAYERS:
        return [LAYERS[node.kind](node.fields, shape)]
    return _neurons(node, shape, rule, feedback)


def _convolution(kind: Callable[..., Any], axes: int) -> Callable[[Fields, Shape], nn.Module]:
    def build(fields: Fields, shape: Shape) -> nn.Module:
        weight = _weight(fields, 2 + axes)
        groups = sizes(fields["groups"], 1)[0]
        places = {key: _padded(fields[key], axes) for key in ("stride", "padding", "dilation")}
        inputs, size = weight.shape[1] * groups, fields.get("input_shape")
        if size is not None:
            _same("input_shape", (inputs, *sizes(size, axes)), shape)
        layer = kind(
            inputs, len(weight), tuple(weight.shape[2:]), groups=groups, device="meta", **places
        )
        return _held(layer, weight, fields["bias"])

    return build


def _dense(fields: Fields, shape: Shape) -> nn.Module:
    weight = _weight(fields, 2)
    outputs, inputs = weight.shape
    _same("weight", (*[1] * (len(shape) - 1), inputs), shape)
    layer = nn.Linear(inputs, outputs, bias="bias" in fields, device="meta")
    return _held(layer, weight, fields.get("bias"))


def _held(layer: Any, weight: Tensor, bias: Value | None) -> nn.Module:
    """A layer with weights in place of those it was built with, for which no memory was taken."""
    layer.weight = nn.Parameter(weight)
    if bias is not None:
        values = _tensor("bias", bias)
        _same("bias", tuple(values.shape), (len(weight),))
        layer.bias = nn.Parameter(values)
    return Folded(layer)


def _pooling(summed: bool) -> Callable[[Fields, Shape], nn.Module]:
    def build(fields: Fields, shape: Shape) -> nn.Module:
        window = [sizes(fields[key], 2) for key in ("kernel_size", "stride", "padding")]
        return Folded(nn.AvgPool2d(*window, divisor_override=1 if summed else None))

    return build


def _flatten(fields: Fields, shape: Shape) -> nn.Module:
    ends = [sizes(fields[key], 1)[0] for key in ("start_dim", "end_dim")]
    if not all(-len(shape) <= end < len(shape) for end in ends):
        raise CorruptNetwork(f"its axes {ends} are none of the {len(shape)} of its input")
    if "input_type" in fields:
        _same("input_type", sizes(fields["input_type"], len(shape)), shape)
    return Folded(nn.Flatten(*(end + 1 if end >= 0 else end for end in ends)))


def _scale(fields: Fields, shape: Shape) -> nn.Module:
    return _gain(_setting(fields, "scale", shape))


def _gain(values: Tensor) -> nn.Module:
    gain = Gain()
    gain.weight = _brief(values)
    return gain


def _step(fields: Fields, shape: Shape) -> nn.Module:
    return Step(_brief(_setting(fields, "threshold", shape)))


def _end(fields: Fields, shape: Shape) -> nn.Module:
    _same("shape", sizes(fields["shape"], len(shape)), shape)
    return nn.Identity()


LAYERS: dict[str, Callable[[Fields, Shape], nn.Module]] = {
    "Affine": _dense,
    "AvgPool2d": _pooling(summed=False),
    "Conv1d": _convolution(nn.Conv1d, 1),
    "Conv2d": _convolution(nn.Conv2d, 2),
    "Flatten": _flatten,
    "Input": _end,
    "Linear": _dense,
    "Output": _end,
    "Scale": _scale,
    "SumPool2d": _pooling(summed=True),
    "Threshold": _step,
}


def _neurons(node: Node, shape: Shape, rule: Rule, feedback: nn.Module | None) -> list[nn.Module]:
    values = {name: _setting(node.fields, name, shape) for name in node.fields}
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    tau = values.get("tau", values.get("tau_mem"))
    speed = zero if tau is None else _speed(tau, rule.dt)
    beta, gain = one - speed, values["r"] * (rule.dt if tau is None else speed)
    # all potentials count from the resting one, where neurons start
    rest = values.get("v_leak", zero)
    if node.kind in ("I", "LI"):
        return [Integrator(*map(_brief, (beta, gain, rest)))]
    threshold, after = values["v_threshold"] - rest, values.get("v_reset", zero) - rest
    if not bool((threshold > 0).all() and (threshold > after).all()):
        raise CorruptNetwork("its v_threshold must lie above v_leak (0 without one) and v_reset")
    alpha = zero
    if node.kind == "CubaLIF":
        inflow = _speed(values["tau_syn"], rule.dt)
        alpha, gain = one - inflow, gain * inflow * values.get("w_in", one)
    gain = one if _close(gain, one) else gain
    settings = {"beta": _brief(beta), "threshold": _brief(threshold), "reset": rule.reset}
    same_step = rule.update == "nir" and rule.reset == "subtract" and bool((beta < 1).any())
    beyond = feedback is not None or bool(alpha.any() or after.any())
    if same_step or beyond or rule.reset == "multispike":
        more = {"gain": _brief(gain), "after": _brief(after), "alpha": _brief(alpha)}
        return [SynapticLIF(**settings, **more, update=rule.update, feedback=feedback)]
    settings["update"] = "snntorch" if rule.update == "nir" else rule.update
    if bool((gain == 1).all()):
        return [LIF(**settings)]
    if _close(gain, speed):
        return [LIF(**settings, decay_input=True)]
    return [_gain(gain), LIF(**settings)]


def _close(values: Tensor, expected: Tensor) -> bool:
    """Whether values differ by no more than float32 rounds."""
    return bool(torch.isclose(values, expected, rtol=1e-6, atol=0).all())


def _speed(tau: Tensor, dt: float) -> Tensor:
    """The share of the way that is gone in a step."""
    if not bool((tau > 0).all()):
        raise CorruptNetwork("its time constants must be above 0")
    return (dt / tau).clamp(max=1)


def _setting(fields: Fields, name: str, shape: Shape) -> Tensor:
    """Values of neurons: one for all, or one for each."""
    values = _tensor(name, fields[name], torch.float64)
    if values.numel() == 1:
        return values.reshape(())
    _same(name, tuple(values.shape), shape)
    return values


def _brief(values: Tensor) -> Tensor:
    """The values in float32, one number where all are equal."""
    if bool((values == values.flatten()[0]).all()):
        return values.flatten()[0].float()
    values = values.float()
    # [N, 1] would be read as a value for each sample
    return values.unsqueeze(0) if values.dim() == 2 and values.shape[1] == 1 else values


def _weight(fields: Fields, axes: int) -> Tensor:
    weight = _tensor("weight", fields["weight"])
    if weight.dim() != axes:
        raise CorruptNetwork(f"its weight has {weight.dim()} axes: allowed are {axes}")
    return weight


def _tensor(name: str, value: Value, dtype: torch.dtype = torch.float32) -> Tensor:
    if isinstance(value, str):
        raise CorruptNetwork(f"its {name} is a text: allowed are numbers")
    tensor = torch.from_numpy(np.array(value, dtype=np.float64)).to(dtype)
    if not tensor.numel() or not bool(tensor.isfinite().all()):
        raise CorruptNetwork(f"its {name} is empty or too large for float32")
    return tensor


def sizes(value: Value, count: int | None = None) -> Shape:
    """Whole numbers: one for each of `count` axes, or one for all; None takes them as they are."""
    row = None if isinstance(value, str) else checks.whole_row(np.atleast_1d(value))
    if row is None or (count is not None and len(row) not in (1, count)):
        raise CorruptNetwork(f"it has {value!r} where whole numbers are allowed, {count or 'any'}")
    return row * count if count is not None and len(row) == 1 else row


def _padded(value: Value, axes: int) -> str | tuple[int, ...]:
    return value if isinstance(value, str) else sizes(value, axes)


def _same(name: str, says: Shape, shape: Shape) -> None:
    if says != shape:
        raise CorruptNetwork(f"its {name} is for the shape {list(says)}, but it gets {list(shape)}")
