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
from snnbd_core.exchange.graph import Shape
from snnbd_core.exchange.membranes import Integrator, Step, SynapticLIF
from snnbd_core.exchange.structure import STATEFUL, Node, Value
from snnbd_core.networks.layers import Folded, Gain
from snnbd_core.neurons import LIF

__all__ = ["KINDS", "Rule", "modules", "sizes"]

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
        node: of one of the `KINDS`.
        shape: of what it gets in a step.
        rule: how neurons are stepped.
        feedback: what the spikes of a step add to the current of the next; only for neurons.

    Raises:
        KeyError: a field that is missing.
        CorruptNetwork, RuntimeError, TypeError, ValueError: values that do not fit.
    """
    if node.kind in STATEFUL:
        return _neurons(node, shape, rule, feedback)
    return [LAYERS[node.kind](node.fields, shape)]


def _convolution(kind: Callable[..., Any], axes: int) -> Callable[[Fields, Shape], nn.Module]:
    def build(fields: Fields, shape: Shape) -> nn.Module:
        weight, groups = _tensor(fields["weight"]), sizes(fields["groups"], 1)[0]
        _same("weight", (weight.dim() - 1, weight.shape[1] * groups), (len(shape), shape[0]))
        if "input_shape" in fields:
            _same("input_shape", sizes(fields["input_shape"], axes), shape[1:])
        inputs, outputs, kernel = shape[0], len(weight), sizes(np.array(weight.shape[2:]), axes)
        names = ("stride", "padding", "dilation")
        values = ((name, fields[name]) for name in names)
        places = {name: v if isinstance(v, str) else sizes(v, axes) for name, v in values}
        layer = kind(inputs, outputs, kernel, groups=groups, device="meta", **places)
        return _held(layer, weight, fields["bias"])

    return build


def _dense(fields: Fields, shape: Shape) -> nn.Module:
    weight = _tensor(fields["weight"])
    _same("weight", (*[1] * (len(shape) - 1), *weight.shape[1:]), shape)
    layer = nn.Linear(weight.shape[1], len(weight), bias="bias" in fields, device="meta")
    return _held(layer, weight, fields.get("bias"))


def _held(layer: Any, weight: Tensor, bias: Value | None) -> nn.Module:
    """A layer with weights in place of those it was built with, for which no memory was taken."""
    layer.weight = nn.Parameter(weight)
    if bias is not None:
        layer.bias = nn.Parameter(_tensor(bias))
        _same("bias", tuple(layer.bias.shape), (len(weight),))
    return Folded(layer)


def _pooling(divisor: int | None) -> Callable[[Fields, Shape], nn.Module]:
    def build(fields: Fields, shape: Shape) -> nn.Module:
        names = ("kernel_size", "stride", "padding")
        window: Any = {name: sizes(fields[name], 2) for name in names}
        return Folded(nn.AvgPool2d(**window, divisor_override=divisor))

    return build


def _flatten(fields: Fields, shape: Shape) -> nn.Module:
    _same("input_type", sizes(fields.get("input_type", np.array(shape))), shape)
    axes = [range(len(shape))[sizes(fields[name], 1)[0]] for name in ("start_dim", "end_dim")]
    return Folded(nn.Flatten(axes[0] + 1, axes[1] + 1))


def _end(fields: Fields, shape: Shape) -> nn.Module:
    _same("shape", sizes(fields["shape"]), shape)
    return nn.Identity()


def _gain(values: Tensor) -> nn.Module:
    gain = Gain()
    gain.weight = _brief(values)
    return gain


LAYERS: dict[str, Callable[[Fields, Shape], nn.Module]] = {
    "Affine": _dense,
    "AvgPool2d": _pooling(None),
    "Conv1d": _convolution(nn.Conv1d, 1),
    "Conv2d": _convolution(nn.Conv2d, 2),
    "Flatten": _flatten,
    "Input": _end,
    "Linear": _dense,
    "Output": _end,
    "Scale": lambda fields, shape: _gain(_setting("scale", fields["scale"], shape)),
    "SumPool2d": _pooling(1),
    "Threshold": lambda fields, shape: Step(
        _brief(_setting("threshold", fields["threshold"], shape))
    ),
}
KINDS = (*LAYERS, *STATEFUL)


def _neurons(node: Node, shape: Shape, rule: Rule, feedback: nn.Module | None) -> list[nn.Module]:
    given = {name: _setting(name, value, shape) for name, value in node.fields.items()}
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    leaks = {"LIF": "tau", "LI": "tau", "CubaLIF": "tau_mem"}
    speed = (rule.dt / given[leaks[node.kind]]).clamp(max=1) if node.kind in leaks else zero
    beta, gain = one - speed, given["r"] * (speed if node.kind in leaks else rule.dt)
    # all potentials count from the resting one, where neurons start
    rest = given["v_leak"] if node.kind in leaks else zero
    if node.kind in ("I", "LI"):
        return [Integrator(_brief(beta), _brief(gain), _brief(rest))]
    threshold, after = given["v_threshold"] - rest, given.get("v_reset", zero) - rest
    if not bool((threshold > 0).all() and (threshold > after).all()):
        raise CorruptNetwork("its v_threshold must lie above v_leak (0 without one) and v_reset")
    alpha = zero
    if node.kind == "CubaLIF":
        inflow = (rule.dt / given["tau_syn"]).clamp(max=1)
        alpha, gain = one - inflow, gain * inflow * given.get("w_in", one)
    gain = one if _close(gain, one) else gain
    held = [_brief(beta), _brief(threshold)]
    same_step = rule.update == "nir" and rule.reset == "subtract" and bool((beta < 1).any())
    beyond = feedback is not None or bool(alpha.any() or after.any())
    if same_step or beyond or rule.reset == "multispike":
        held += [_brief(gain), _brief(after), _brief(alpha)]
        return [SynapticLIF(*held, reset=rule.reset, update=rule.update, feedback=feedback)]
    update = "snntorch" if rule.update == "nir" else rule.update
    if bool((gain == 1).all()) or _close(gain, speed):
        scaled = not bool((gain == 1).all())
        return [LIF(*held, reset=rule.reset, update=update, decay_input=scaled)]
    return [_gain(gain), LIF(*held, reset=rule.reset, update=update)]


def _close(values: Tensor, expected: Tensor) -> bool:
    """Whether values differ by no more than float32 rounds."""
    return bool(torch.isclose(values, expected, rtol=1e-6, atol=0).all())


def _setting(name: str, value: Value, shape: Shape) -> Tensor:
    """Values of neurons in float64: one for all, or one for each; time constants above 0."""
    values = torch.from_numpy(np.array(value, dtype=np.float64))
    if values.numel() != 1:
        _same(name, tuple(values.shape), shape)
    if name.startswith("tau") and not bool((values > 0).all()):
        raise CorruptNetwork(f"its {name} must be above 0")
    return values if values.numel() > 1 else values.reshape(())


def _brief(values: Tensor) -> Tensor:
    """The values in float32, one number where all are equal."""
    values = _tensor(values.numpy())
    if bool((values == values.flatten()[0]).all()):
        return values.flatten()[0].clone()
    # [N, 1] would be read as a value for each sample
    return values.unsqueeze(0) if values.dim() == 2 and values.shape[1] == 1 else values


def _tensor(value: Value) -> Tensor:
    with np.errstate(over="ignore"):
        tensor = torch.from_numpy(np.array(value, dtype=np.float32))
    if not bool(tensor.isfinite().all()):
        raise CorruptNetwork("it holds values too large for float32")
    return tensor


def sizes(value: Value, count: int | None = None) -> Shape:
    """Whole numbers: one for each of `count` axes, or one for all; None takes them as they are."""
    row = None if isinstance(value, str) else checks.whole_row(np.atleast_1d(value))
    if not row or (count is not None and len(row) not in (1, count)):
        raise CorruptNetwork(f"it has {value!r} where whole numbers are allowed: {count or 'any'}")
    return row * count if count is not None and len(row) == 1 else row


def _same(name: str, says: Shape, shape: Shape) -> None:
    if says != shape:
        raise CorruptNetwork(f"its {name} is for the shape {list(says)}, but it gets {list(shape)}")
