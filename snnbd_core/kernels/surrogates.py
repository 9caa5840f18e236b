"""Surrogate gradients: what stands in for the derivative of the step function.

A spike is ``H(d)`` with ``d = potential - threshold``; its true derivative is 0 almost everywhere,
so back-propagation uses one of the smooth derivatives below (Neftci, Mostafa, Zenke 2019).

==============  ==============================================  ================================
name            derivative, k = slope                           same as
==============  ==============================================  ================================
atan            k/2 / (1 + (pi/2 k d)^2)                        snntorch.surrogate.atan(k)
fast_sigmoid    1 / (1 + k abs(d))^2                            snntorch.surrogate.fast_sigmoid(k)
triangle        max(0, k - k^2 abs(d))                          spikingjelly PiecewiseQuadratic(k)
==============  ==============================================  ================================

``triangle`` is the hat of Esser et al. (2016) and Bellec et al. (2018). snnTorch's ``triangular``
is another function: +1 below the threshold and -1 above it, without a flank.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def _atan(distance: Tensor, slope: float) -> Tensor:
    return slope / 2 / (1 + (math.pi / 2 * slope * distance).square_())


def _fast_sigmoid(distance: Tensor, slope: float) -> Tensor:
    return 1 / (slope * distance.abs() + 1.0).square_()


def _triangle(distance: Tensor, slope: float) -> Tensor:
    return (slope - slope**2 * distance.abs()).clamp_(min=0)


DERIVATIVES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "atan": _atan,
    "fast_sigmoid": _fast_sigmoid,
    "triangle": _triangle,
}


class _Spike(torch.autograd.Function):
    """Step function forward, surrogate derivative backward; saves one tensor, the distance."""

    generate_vmap_rule = True  # for torch.func

    @staticmethod
    def forward(distance: Tensor, surrogate: str, slope: float, at_threshold: bool) -> Tensor:
        return (distance >= 0 if at_threshold else distance > 0).to(distance.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        distance, ctx.surrogate, ctx.slope, _ = inputs
        ctx.save_for_backward(distance)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (distance,) = ctx.saved_tensors
        return DERIVATIVES[ctx.surrogate](distance, ctx.slope) * gradients[0], None, None, None


def spike(distance: Tensor, surrogate: str, slope: float, at_threshold: bool = False) -> Tensor:
    """1 where a neuron fires, else 0, with a surrogate gradient.

    Args:
        distance: potential minus threshold, any shape.
        surrogate: a key of ``DERIVATIVES``.
        slope: steepness k of the surrogate.
        at_threshold: True fires at ``distance >= 0`` (SpikingJelly), False at ``> 0`` (snnTorch).
    """
    return _apply(distance, surrogate, slope, at_threshold)


_apply: Callable[[Tensor, str, float, bool], Tensor] = _Spike.apply
