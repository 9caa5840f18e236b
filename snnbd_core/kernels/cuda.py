"""The fused neuron on a GPU, in Triton: one kernel forward, one backward.

A program steps one block of neurons through all T steps with its state in registers. Currents
and spikes keep their dtype (float16, bfloat16, float32 or float64); the state is float32 at
least.

For backward, forward writes the distance of the membrane to the threshold, in the current's
dtype: one tensor. The sign of a distance survives rounding, so backward sees the very spikes that
forward gave. (A learned beta with ``decay_input`` needs the current too.) Bytes moved per neuron
and step, float32: forward 12, backward 12; half of that in half precision.

So far these kernels have been checked against the reference in Triton's interpreter, and compiled
for compute capability 9.0. They have not been run or timed on a device.
"""

# Triton's own types stop at its decorator and its language; see the functions below forward().
# mypy: disable-error-code="no-untyped-def,untyped-decorator"
# Compile-time constants are in capitals, as everywhere in Triton code.
# ruff: noqa: N803

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from snnbd_core.kernels.rule import Rule

# Neurons per program: wide loads where there are enough neurons to fill a large GPU with blocks,
# else many small blocks.
BLOCKS = {"few": 128, "many": 1024}
MANY_NEURONS = 2**20
DTYPES = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
SMALLEST_HALF = 2.0**-24  # the smallest positive float16
ROUNDING = {"enable_fp_fusion": False}  # the reference's, at no cost: memory is the limit


def forward(
    current: Tensor, beta: Tensor, threshold: Tensor, rule: Rule, potential: bool, learns: bool
) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
    """See ``fused.Kernel``."""
    steps, neurons = len(current), current.numel() // len(current)
    spikes = current.new_empty(current.shape)
    out = current.new_empty(current.shape) if potential else None
    distance = current.new_empty(current.shape)
    with torch.cuda.device_of(current):
        _forward[(triton.cdiv(neurons, _block_size(neurons)),)](
            current,
            beta,
            threshold,
            spikes,
            spikes if out is None else out,
            distance,
            steps,
            neurons,
            current.stride(0),
            **_constants(rule, neurons, beta, threshold),
            POTENTIAL=potential,
            NUDGE=SMALLEST_HALF if current.dtype == torch.float16 else 0.0,
            **ROUNDING,
        )
    return spikes, out, (distance, current) if learns and rule.decay_input else (distance,)


def backward(
    saved: tuple[Tensor, ...],
    beta: Tensor,
    threshold: Tensor,
    rule: Rule,
    d_spikes: Tensor | None,
    d_potential: Tensor | None,
    learns: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """See ``fused.Kernel``."""
    distance, current = saved[0], saved[-1]
    steps, neurons = len(distance), distance.numel() // len(distance)
    d_current = torch.empty_like(distance)
    d_beta, d_threshold = beta.new_empty(2, neurons if learns else 0).unbind()
    with torch.cuda.device_of(distance):
        _backward[(triton.cdiv(neurons, _block_size(neurons)),)](
            distance,
            current,
            beta,
            threshold,
            distance if d_spikes is None else d_spikes,
            distance if d_potential is None else d_potential,
            d_current,
            d_beta,
            d_threshold,
            steps,
            neurons,
            current.stride(0),
            **_constants(rule, neurons, beta, threshold),
            SURROGATE=rule.surrogate,
            K=rule.slope,
            STEEPNESS=math.pi / 2 * rule.slope,
            ATTACHED=not rule.detach and rule.reset != "none",
            LEARNS=learns,
            FROM_SPIKES=d_spikes is not None,
            FROM_POTENTIAL=d_potential is not None,
            **ROUNDING,
        )
    return d_current, d_beta if learns else None, d_threshold if learns else None


def _block_size(neurons: int) -> int:
    return BLOCKS["many" if neurons >= MANY_NEURONS else "few"]


def _constants(rule: Rule, neurons: int, beta: Tensor, threshold: Tensor) -> dict[str, object]:
    """What the kernels are compiled for."""
    return {
        "ONE_BETA": beta.numel() == 1,
        "ONE_THRESHOLD": threshold.numel() == 1,
        "HARD": rule.reset == "zero",
        "SOFT": rule.reset == "subtract",
        "INSTANT": rule.update == "spikingjelly",
        "DECAY": rule.decay_input,
        "BLOCK": _block_size(neurons),
    }


@triton.jit
def _parameters(
    beta,
    threshold,
    at,
    mask,
    ONE_BETA: tl.constexpr,
    ONE_THRESHOLD: tl.constexpr,
    DECAY: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A block's beta, threshold and the scale of its current."""
    blank = tl.zeros([BLOCK], beta.dtype.element_ty)
    b = blank + tl.load(beta) if ONE_BETA else tl.load(beta + at, mask, other=0)
    th = blank + tl.load(threshold) if ONE_THRESHOLD else tl.load(threshold + at, mask, other=1)
    scale = 1 - b if DECAY else blank + 1
    return b, th, scale


@triton.jit
def _fires(distance, INSTANT: tl.constexpr):
    return distance >= 0 if INSTANT else distance > 0


@triton.jit
def _forward(
    current,
    beta,
    threshold,
    spikes,
    potential,
    distance,
    steps,
    neurons,
    stride,
    ONE_BETA: tl.constexpr,
    ONE_THRESHOLD: tl.constexpr,
    HARD: tl.constexpr,
    SOFT: tl.constexpr,
    INSTANT: tl.constexpr,
    DECAY: tl.constexpr,
    BLOCK: tl.constexpr,
    POTENTIAL: tl.constexpr,
    NUDGE: tl.constexpr,
):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < neurons
    b, th, scale = _parameters(beta, threshold, at, mask, ONE_BETA, ONE_THRESHOLD, DECAY, BLOCK)
    w = tl.zeros_like(b)  # the membrane that is carried into the next step
    late = tl.zeros_like(b)  # what the last spike takes off in the next step
    following = tl.load(current + at, mask, other=0)
    for t in range(steps):
        x = following.to(b.dtype)
        # The next step's current is on its way while this one is computed.
        ahead = at < tl.where(t + 1 < steps, neurons, 0)
        following = tl.load(current + tl.cast(t + 1, tl.int64) * stride + at, ahead, other=0)
        u = b * w + scale * x
        if SOFT and not INSTANT:
            u -= late * th
        d = u - th
        f = _fires(d, INSTANT).to(b.dtype)
        w = u
        if HARD:
            w = (1 - f) * u
        if SOFT and INSTANT:
            w = u - f * th
        late = f
        kept = d.to(distance.dtype.element_ty)
        if NUDGE > 0:  # too small for float16, but its sign must be kept
            lost = (kept == 0) & (d != 0)
            kept = tl.where(lost, tl.where(d > 0, NUDGE, -NUDGE), kept).to(kept.dtype)
        row = tl.cast(t, tl.int64) * neurons + at
        tl.store(spikes + row, f.to(spikes.dtype.element_ty), mask)
        tl.store(distance + row, kept, mask)
        if POTENTIAL:
            reported = w if INSTANT else u
            tl.store(potential + row, reported.to(potential.dtype.element_ty), mask)


@triton.jit
def _surrogate(d, SURROGATE: tl.constexpr, K: tl.constexpr, STEEPNESS: tl.constexpr):
    if SURROGATE == "atan":
        z = STEEPNESS * d
        return K / 2 / (1 + z * z)
    elif SURROGATE == "fast_sigmoid":
        z = K * tl.abs(d) + 1
        return 1 / (z * z)
    else:
        z = K - K * K * tl.abs(d)
        return tl.where(z < 0, 0.0, z)


@triton.jit
def _backward(
    distance,
    current,
    beta,
    threshold,
    d_spikes,
    d_potential,
    d_current,
    d_beta,
    d_threshold,
    steps,
    neurons,
    stride,
    ONE_BETA: tl.constexpr,
    ONE_THRESHOLD: tl.constexpr,
    HARD: tl.constexpr,
    SOFT: tl.constexpr,
    INSTANT: tl.constexpr,
    DECAY: tl.constexpr,
    BLOCK: tl.constexpr,
    SURROGATE: tl.constexpr,
    K: tl.constexpr,
    STEEPNESS: tl.constexpr,
    ATTACHED: tl.constexpr,
    LEARNS: tl.constexpr,
    FROM_SPIKES: tl.constexpr,
    FROM_POTENTIAL: tl.constexpr,
):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < neurons
    b, th, scale = _parameters(beta, threshold, at, mask, ONE_BETA, ONE_THRESHOLD, DECAY, BLOCK)
    zero = tl.zeros_like(b)
    g = zero  # dL/du[t+1]
    sum_beta = zero
    sum_threshold = zero
    for i in range(steps):
        t = steps - 1 - i
        row = tl.cast(t, tl.int64) * neurons + at
        d = tl.load(distance + row, mask, other=0).to(b.dtype)
        f = _fires(d, INSTANT).to(b.dtype)
        dy = zero
        dp = zero
        if FROM_SPIKES:
            dy = tl.load(d_spikes + row, mask, other=0).to(b.dtype)
        if FROM_POTENTIAL:
            dp = tl.load(d_potential + row, mask, other=0).to(b.dtype)
        u = d + th
        carried = b * g
        if INSTANT:
            carried += dp
        reaches = carried if INSTANT else g
        fired = dy
        if ATTACHED:
            reset = u * carried if HARD else th * reaches
            # At the last step a reset acts on nothing but a potential that was returned.
            acts = (i > 0) | (INSTANT and FROM_POTENTIAL)
            fired = dy - tl.where(acts, reset, zero)
        s = _surrogate(d, SURROGATE, K, STEEPNESS).to(b.dtype)
        if LEARNS:
            sum_threshold -= s * fired
            w = u
            if SOFT:
                sum_threshold -= f * reaches
                if INSTANT:
                    w = u - f * th
            if HARD:
                w = (1 - f) * u
            sum_beta += tl.where(i > 0, g * w, zero)
        if HARD:
            carried = (1 - f) * carried
        g = s * fired + carried
        if not INSTANT:
            g += dp
        if LEARNS and DECAY:
            x = tl.load(current + tl.cast(t, tl.int64) * stride + at, mask, other=0)
            sum_beta -= x.to(b.dtype) * g
        tl.store(d_current + row, (scale * g).to(d_current.dtype.element_ty), mask)
    if LEARNS:
        # The first step's share, 0 unless the gradient is not finite.
        sum_beta += g * 0
        if SOFT and not INSTANT:
            sum_threshold -= g * 0
        tl.store(d_beta + at, sum_beta, mask)
        tl.store(d_threshold + at, sum_threshold, mask)
