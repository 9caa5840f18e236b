"""The fused neuron's loops for the CPU, compiled by numba.

Neurons are handled in blocks. A block runs through all T steps with its state in a few small
arrays that stay in the innermost cache, so a step touches memory only for the current it reads
and the spikes it writes; the innermost loops run over neighbouring neurons and are vectorised.

Backward saves nothing but the current: it runs a block's membrane forward again into a scratch
array and goes back through it. That is faster than writing the membrane to memory in the forward
pass and reading it back, and needs one tensor less.

Notation, for a neuron at step t (u is the membrane before the reset, w after it):

    u[t] = beta w[t-1] + scale x[t] (- s[t-1] threshold, if the reset comes one step later)
    s[t] = u[t] > threshold  (>= if the reset is instant)
    w[t] = u[t],  (1 - s[t]) u[t]  or  u[t] - s[t] threshold

Three habits keep these loops fast and exact. Loops over a row are functions of plain arrays that
are called, not written out: only so does LLVM see that the arrays are distinct. Both sides of a
choice that does not change within a row are computed and one is selected, since a branch would
prevent vector code. Products with 0 and 1 are really multiplied, in the reference's order and
without fused multiply-add, so that results have the same bits and NaN and inf travel as there.

All functions are in one file because numba's cache notices changes in this file only.
"""

# Types are left to numba, which infers them at the first call; see cpu.py for the typed surface.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"

from __future__ import annotations

import numba
import numpy as np
from numba.extending import overload

# Resets and surrogates as numbers, in the order of rule.RESETS and rule.SURROGATES.
SUBTRACT, ZERO = 0, 1
ATAN, FAST_SIGMOID = 0, 1


def compiled(function):
    """Compiles with the machine code cached on disk, or in memory where no folder is writable."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba: "no locator available for file ..."
        return numba.njit(nogil=True, error_model="numpy")(function)


# Numpy's error model: a division by zero gives inf, as in torch, and there is no branch to raise.
_inner = numba.njit(nogil=True, error_model="numpy")


def _at(values, i):
    """A neuron's value of a parameter: element i, or the one number that holds for all."""
    raise NotImplementedError  # what is compiled in its place stands below


def _block(values, lo, hi):
    """A block's values of a parameter."""
    raise NotImplementedError  # likewise


@overload(_at)
def _compile_at(values, i):
    if isinstance(values, numba.types.Array):
        return lambda values, i: values[i]
    return lambda values, i: values


@overload(_block)
def _compile_block(values, lo, hi):
    if isinstance(values, numba.types.Array):
        return lambda values, lo, hi: values[lo:hi]
    return lambda values, lo, hi: values


# One neuron, one step. ``how`` holds the rule: (hard, now, later, instant); hard resets to zero,
# now and later subtract the threshold.


@_inner
def _fires(distance, how, one, zero):
    return one if (distance > zero) | (how[3] & (distance == zero)) else zero


@_inner
def _carried(u, fired, threshold, how, one, zero):
    """The membrane w that is carried into the next step."""
    cleared = (one - fired) * u
    lowered = u - (fired * threshold if how[1] else zero)
    return cleared if how[0] else lowered


@_inner
def _charged(w, fired, x, beta, threshold, scale, how, zero):
    """The membrane u of the next step."""
    taken = fired * threshold
    return beta * w + scale * x - (taken if how[2] else zero)


@_inner
def _surrogate(distance, kind, slopes, one, zero):
    """The spike's derivative; ``kind`` holds (atan, fast_sigmoid), neither means triangle.

    slopes: slope / 2, pi / 2 * slope, slope, slope ** 2. One division serves both that divide.
    """
    far = abs(distance)
    z = slopes[1] * distance if kind[0] else slopes[2] * far + one
    square = z * z
    smooth = (slopes[0] if kind[0] else one) / (one + square if kind[0] else square)
    hat = slopes[2] - slopes[3] * far
    hat = zero if hat < zero else hat
    return smooth if kind[0] | kind[1] else hat


# One row: a block's neurons at one step.


@_inner
def _start(n, x, beta, threshold, scale, u, how, zero):
    """The first step, from membrane and spikes of 0."""
    for i in range(n):
        u[i] = _charged(
            zero, zero, x[i], _at(beta, i), _at(threshold, i), _at(scale, i), how, zero
        )  # fmt: skip


@_inner
def _charge(n, u, x, beta, threshold, scale, v, how, one, zero):
    """From membrane u to the next step's v."""
    for i in range(n):
        th = _at(threshold, i)
        fired = _fires(u[i] - th, how, one, zero)
        w = _carried(u[i], fired, th, how, one, zero)
        v[i] = _charged(w, fired, x[i], _at(beta, i), th, _at(scale, i), how, zero)


@_inner
def _fire(n, u, threshold, s, how, one, zero):
    for i in range(n):
        s[i] = _fires(u[i] - _at(threshold, i), how, one, zero)


@_inner
def _report(n, u, s, threshold, p, how, one, zero):
    """The potential that the rule's origin returns: after an instant reset, else before."""
    for i in range(n):
        w = _carried(u[i], s[i], _at(threshold, i), how, one, zero)
        p[i] = w if how[3] else u[i]


@_inner
def _back(
    n, u, beta, threshold, scale, dy, dp, g, dx, how, kind, slopes, attached, one, zero
):  # fmt: skip
    """One step back: g holds dL/du[t+1] and becomes dL/du[t]; dx gets dL/dx[t]."""
    for i in range(n):
        th = _at(threshold, i)
        membrane = u[i]
        after = g[i]
        distance = membrane - th
        fired = _fires(distance, how, one, zero)
        potential = _at(dp, i)
        carried = _at(beta, i) * after + (potential if how[3] else zero)
        by_zero = membrane * carried
        by_threshold = th * (carried if how[1] else after)
        reset = by_zero if how[0] else by_threshold
        d_fired = dy[i] - (reset if attached else zero)
        kept = (one - fired) * carried
        kept = kept if how[0] else carried
        new = _surrogate(distance, kind, slopes, one, zero) * d_fired + kept
        new += zero if how[3] else potential
        g[i] = new
        dx[i] = _at(scale, i) * new


@_inner
def _learn(
    n, u, beta, threshold, dy, dp, g, d_beta, d_threshold,
    how, kind, slopes, attached, ends, one, zero,
):  # fmt: skip
    """Adds step t to the gradients of beta and threshold; g holds dL/du[t+1]."""
    for i in range(n):
        th = _at(threshold, i)
        membrane = u[i]
        after = g[i]
        distance = membrane - th
        fired = _fires(distance, how, one, zero)
        potential = _at(dp, i)
        carried = _at(beta, i) * after + (potential if how[3] else zero)
        reaches = carried if how[1] else after
        by_zero = membrane * carried
        by_threshold = th * reaches
        reset = by_zero if how[0] else by_threshold
        d_fired = dy[i] - (reset if attached else zero)
        taken = fired * reaches
        taken = taken if how[1] | how[2] else zero
        d_threshold[i] -= _surrogate(distance, kind, slopes, one, zero) * d_fired + taken
        decayed = after * _carried(membrane, fired, th, how, one, zero)
        d_beta[i] += zero if ends else decayed


@_inner
def _learn_first(n, g, d_beta, d_threshold, how, zero):
    """The first step's share, 0 unless the gradient g is not finite."""
    for i in range(n):
        share = g[i] * zero
        d_beta[i] += share
        d_threshold[i] -= share if how[2] else zero


@_inner
def _learn_scale(n, x, g, d_beta):
    for i in range(n):
        d_beta[i] -= x[i] * g[i]


# All steps.


@_inner
def _how(reset, instant):
    soft = reset == SUBTRACT
    return (reset == ZERO, soft & instant, soft & (not instant), instant)


@compiled
def forward(
    current, stride, beta, threshold, scale, first, last, size, reset, instant, spikes, potential
):
    """Steps neurons first..last-1 in blocks of ``size``.

    current is [T, M], or [1, M] with stride 0 if all steps are equal; beta, threshold and scale
    are numbers or arrays [M]; spikes [T, M] is written, and so is potential, [T, M] or [0, M].
    """
    number = spikes.dtype.type
    one, zero = number(1), number(0)
    how = _how(reset, instant)
    u, v = np.empty(size, number), np.empty(size, number)
    for lo in range(first, last, size):
        hi = min(lo + size, last)
        n = hi - lo
        b, th, sc = _block(beta, lo, hi), _block(threshold, lo, hi), _block(scale, lo, hi)
        for t in range(spikes.shape[0]):
            x = current[t * stride, lo:hi]
            if t == 0:
                _start(n, x, b, th, sc, v, how, zero)
            else:
                _charge(n, u, x, b, th, sc, v, how, one, zero)
            _fire(n, v, th, spikes[t, lo:hi], how, one, zero)
            if potential.shape[0] > 0:
                _report(n, v, spikes[t, lo:hi], th, potential[t, lo:hi], how, one, zero)
            u, v = v, u


@compiled
def backward(
    current, stride, beta, threshold, scale, first, last, size, reset, instant, decay,
    surrogate, slopes, attached, d_spikes, d_potential, d_current, d_beta, d_threshold,
):  # fmt: skip
    """Gradients of neurons first..last-1, in blocks of ``size``.

    The incoming d_spikes and d_potential are [T, M], or [0, M] for zeros; d_current [T, M] is
    written, and so are d_beta and d_threshold, [M] or [0].
    """
    number = current.dtype.type
    one, zero = number(1), number(0)
    how = _how(reset, instant)
    kind = (surrogate == ATAN, surrogate == FAST_SIGMOID)
    k = (slopes[0], slopes[1], slopes[2], slopes[3])
    steps = d_current.shape[0]
    learns = d_beta.shape[0] > 0
    has_dp = d_potential.shape[0] > 0
    membrane = np.empty((steps, size), number)
    g, zeros = np.empty(size, number), np.zeros(size, number)
    gb, gt = np.empty(size, number), np.empty(size, number)
    for lo in range(first, last, size):
        hi = min(lo + size, last)
        n = hi - lo
        b, th, sc = _block(beta, lo, hi), _block(threshold, lo, hi), _block(scale, lo, hi)
        _start(n, current[0, lo:hi], b, th, sc, membrane[0], how, zero)
        for t in range(1, steps):
            x = current[t * stride, lo:hi]
            _charge(n, membrane[t - 1], x, b, th, sc, membrane[t], how, one, zero)
        g[:] = zero
        gb[:] = zero
        gt[:] = zero
        for t in range(steps - 1, -1, -1):
            u = membrane[t]
            dy = d_spikes[t, lo:hi] if d_spikes.shape[0] > 0 else zeros[:n]
            dp = d_potential[t, lo:hi] if has_dp else zeros[:n]
            dx = d_current[t, lo:hi]
            ends = t == steps - 1
            # At the last step a reset acts on nothing but a potential that was returned.
            acts = attached and (not ends or (instant and has_dp))
            if learns:
                _learn(n, u, b, th, dy, dp, g, gb, gt, how, kind, k, acts, ends, one, zero)
            _back(n, u, b, th, sc, dy, dp, g, dx, how, kind, k, acts, one, zero)
            if learns and decay:
                _learn_scale(n, current[t * stride, lo:hi], g, gb)
        if learns:
            _learn_first(n, g, gb, gt, how, zero)
            d_beta[lo:hi] = gb[:n]
            d_threshold[lo:hi] = gt[:n]
