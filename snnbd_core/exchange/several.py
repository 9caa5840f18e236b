"""Neurons that spike several times a step, all T steps in one compiled call on the CPU.

    u[t] = beta v[t-1] + gain x[t],   s[t] = floor(max(u[t] / threshold, 0))
    v[t] = u[t] - s[t] (threshold - after), and without a leak at least -threshold

as `membranes.SynapticLIF` steps them one by one, with the same bits; the gradient of s is that of
the ratio, and none goes through the reset.
"""

# numba infers the types of its loops when it compiles them.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,call-arg"

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["fits", "step"]

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")


def fits(current: Tensor, *settings: Tensor) -> bool:
    """Whether the compiled loops can step a current, none of whose neurons learns its settings."""
    if torch._C._are_functorch_transforms_active() or torch.compiler.is_compiling():
        return False
    plain = current.device.type == "cpu" and current.dtype == torch.float32 and current.numel() > 0
    return plain and not any(one.requires_grad for one in settings)


def step(
    current: Tensor, beta: Tensor, threshold: Tensor, gain: Tensor, after: Tensor
) -> tuple[Tensor, Tensor]:
    """Spikes and potentials u [T, B, ...] for a current [T, B, ...] that `fits`.

    The settings broadcast to [B, ...].
    """
    found: tuple[Tensor, Tensor] = _Several.apply(current, beta, threshold, gain, after)
    return found


class _Several(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, *settings: Tensor) -> tuple[Tensor, Tensor]:
        spikes, potential = torch.empty(2, *current.shape).unbind()
        held = [_spread(one, current) for one in settings]
        _forward(_rows(current), *held, _rows(spikes), _rows(potential))
        ctx.save_for_backward(potential)
        ctx.held = held
        return spikes, potential

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_spikes: Tensor, d_potential: Tensor) -> Any:
        (potential,) = ctx.saved_tensors
        d_current = torch.empty_like(potential)
        rows = [_rows(one) for one in (potential, d_spikes, d_potential)]
        _backward(*rows, *ctx.held, _rows(d_current))
        return d_current, None, None, None, None


def _rows(values: Tensor) -> np.ndarray:
    """[T, B, ...] as [T, neurons]."""
    return values.detach().reshape(len(values), -1).contiguous().numpy()


def _spread(value: Tensor, current: Tensor) -> np.ndarray:
    """A setting for each neuron, [neurons]."""
    spread = value.detach().to(current.dtype).expand(current.shape[1:])
    return spread.reshape(-1).contiguous().numpy()


@_compiled
def _forward(current, beta, threshold, gain, after, spikes, potential):
    steps, neurons = current.shape
    v = np.zeros(neurons, np.float32)
    for t in range(steps):
        for i in range(neurons):
            u = beta[i] * v[i] + gain[i] * current[t, i]
            ratio = u / threshold[i]
            count = ratio - ratio if ratio != ratio else np.floor(max(ratio, np.float32(0)))
            left = u - count * (threshold[i] - after[i])
            v[i] = -threshold[i] if beta[i] >= 1 and left < -threshold[i] else left
            spikes[t, i] = count
            potential[t, i] = u


@_compiled
def _backward(potential, d_spikes, d_potential, beta, threshold, gain, after, d_current):
    steps, neurons = potential.shape
    d_v = np.zeros(neurons, np.float32)
    for t in range(steps - 1, -1, -1):
        for i in range(neurons):
            u = potential[t, i]
            ratio = u / threshold[i]
            left = u - np.floor(max(ratio, np.float32(0))) * (threshold[i] - after[i])
            floored = beta[i] >= 1 and left < -threshold[i]
            d_u = d_potential[t, i] + (np.float32(0) if floored else d_v[i])
            if ratio > 0:
                d_u += d_spikes[t, i] / threshold[i]
            d_current[t, i] = gain[i] * d_u
            d_v[i] = beta[i] * d_u
