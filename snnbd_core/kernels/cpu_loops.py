"""The fused neuron's loops for the CPU, compiled by numba.

Neurons are handled in blocks. A block runs through all T steps with its state in a few small
arrays that stay in the innermost caches, so a step touches memory only for the current it reads
and the spikes it writes; the innermost loops run over neighbouring neurons, a cache line of them
at once (`lanes`), and fetch the next step's line while they compute this one's. They fetch it into
the second-level cache, which on the machine of the page *Performance* hides more of the memory's
latency than the first.

Backward saves nothing but the current: it runs a block's membrane forward again into a scratch
array and goes back through it. That is faster than writing the membrane to memory in the forward
pass and reading it back, and needs one tensor less.

Notation, for a neuron at step t (u is the membrane before the reset, w after it):

    u[t] = beta w[t-1] + scale x[t] (- s[t-1] threshold, if the reset comes one step later)
    s[t] = u[t] > threshold  (>= if the reset is instant)
    w[t] = u[t],  (1 - s[t]) u[t]  or  u[t] - s[t] threshold

Products with 0 and 1 are really multiplied, in the reference's order and without fused
multiply-add, so that results have the same bits and NaN and inf travel as there.

What threads call is at the end: C functions of one pointer, to `Arguments`. Each takes blocks
from a counter until none is left, with scratch memory of its own, so any number of threads may
share a call. They allocate nothing and raise nothing. Where a layer does not fill its last line,
the line that ends where the layer does is stepped besides: some of its neurons are done twice,
maybe by two threads. Both write the same bits, and neither reads what is written.
"""

# Types are left to numba, which infers them when it compiles; see cpu.py for the typed surface.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,call-arg"
# mypy: disable-error-code="var-annotated,attr-defined"

from __future__ import annotations

import numba
import numpy as np
from numba import types
from numba.extending import overload

from snnbd_core.kernels.lanes import (
    count,
    counted,
    fence,
    fetch,
    fill,
    load,
    pointer,
    rounded,
    select,
    spread,
    store,
    store_past,
)
from snnbd_core.kernels.machine_code import (
    BACKWARD_ROWS,
    BEGUN,
    FORWARD_ROWS,
    LINE,
    ON_DISK,
    TAKEN,
    Arguments,
)

# Resets and surrogates as numbers, in the order of rule.RESETS and rule.SURROGATES.
SUBTRACT, ZERO = 0, 1
ATAN, FAST_SIGMOID = 0, 1

# Numpy's error model: a division by zero gives inf, as in torch, and there is no branch to raise.
_outer = numba.njit(nogil=True, error_model="numpy")
_inner = numba.njit(nogil=True, error_model="numpy", forceinline=True)


def _at(values, i, like):
    """Neurons' values of a parameter: those at i, or the one number that holds for all."""
    raise NotImplementedError  # what is compiled in its place stands below


def _block(values, lo, hi, like):
    """A block's values of a parameter, or the one number, in as many lanes as ``like`` has."""
    raise NotImplementedError  # likewise


def _values(values, each):
    """A parameter's array, or the one number that holds for all; ``each`` is a constant."""
    raise NotImplementedError  # likewise


@overload(_at)
def _compile_at(values, i, like):
    if isinstance(values, types.Array):
        return lambda values, i, like: load(values, i, like)
    return lambda values, i, like: values


@overload(_block)
def _compile_block(values, lo, hi, like):
    if isinstance(values, types.Array):
        return lambda values, lo, hi, like: values[lo:hi]
    return lambda values, lo, hi, like: spread(values, like)


@overload(_values, prefer_literal=True)
def _compile_values(values, each):
    if each.literal_value:
        return lambda values, each: values
    return lambda values, each: values[0]


# One step of neurons, as many as a value has lanes. ``how`` holds the rule: (hard, now, later,
# instant, decays); hard resets to zero, now and later subtract the threshold, decays scales the
# current by 1 - beta.


@_inner
def _fires(distance, how, one, zero):
    return select(distance >= zero if how[3] else distance > zero, one, zero)


@_inner
def _carried(u, fired, threshold, how, one, zero):
    """The membrane w that is carried into the next step."""
    if how[0]:
        return (one - fired) * u
    return u - (fired * threshold if how[1] else zero)


@_inner
def _scaled(x, beta, how, one):
    return (one - beta if how[4] else one) * x


@_inner
def _charged(w, fired, x, beta, threshold, how, one, zero):
    """The membrane u of the next step."""
    taken = fired * threshold if how[2] else zero
    return beta * w + _scaled(x, beta, how, one) - taken


@_inner
def _surrogate(distance, kind, slopes, one, zero):
    """The spike's derivative; ``kind`` holds (atan, fast_sigmoid), neither means triangle.

    slopes: slope / 2, pi / 2 * slope, slope, slope ** 2.
    """
    if kind[0]:
        z = slopes[1] * distance
        return slopes[0] / (one + z * z)
    far = abs(distance)
    if kind[1]:
        z = slopes[2] * far + one
        return one / (z * z)
    hat = slopes[2] - slopes[3] * far
    return select(hat < zero, zero, hat)


# One row: a block's neurons at one step. ``ahead`` is the row that will be read next.


@_inner
def _start(n, x, ahead, beta, threshold, u, how, one, zero):
    """The first step, from membrane and spikes of 0."""
    for i in range(0, n, count(zero)):
        fetch(ahead, i)
        b, th = _at(beta, i, zero), _at(threshold, i, zero)
        store(u, i, _charged(zero, zero, load(x, i, zero), b, th, how, one, zero))


@_inner
def _charge(n, u, x, ahead, beta, threshold, v, how, one, zero):
    """From membrane u to the next step's v."""
    for i in range(0, n, count(zero)):
        fetch(ahead, i)
        b, th = _at(beta, i, zero), _at(threshold, i, zero)
        before = load(u, i, zero)
        fired = _fires(before - th, how, one, zero)
        w = _carried(before, fired, th, how, one, zero)
        store(v, i, _charged(w, fired, load(x, i, zero), b, th, how, one, zero))


@_inner
def _fire(n, u, threshold, s, past, how, one, zero):
    for i in range(0, n, count(zero)):
        fired = _fires(load(u, i, zero) - _at(threshold, i, zero), how, one, zero)
        _store(s, i, fired, past)


@_inner
def _store(row, i, values, past):
    if past:
        store_past(row, i, values)
    else:
        store(row, i, values)


@_inner
def _step(n, u, x, ahead, beta, threshold, s, past, how, one, zero):
    """Charges and fires: membrane u becomes the next step's, s its spikes."""
    for i in range(0, n, count(zero)):
        fetch(ahead, i)
        b, th = _at(beta, i, zero), _at(threshold, i, zero)
        before = load(u, i, zero)
        fired = _fires(before - th, how, one, zero)
        w = _carried(before, fired, th, how, one, zero)
        after = _charged(w, fired, load(x, i, zero), b, th, how, one, zero)
        store(u, i, after)
        _store(s, i, _fires(after - th, how, one, zero), past)


@_inner
def _report(n, u, threshold, p, how, one, zero):
    """The potential that the rule's origin returns: after an instant reset, else before."""
    for i in range(0, n, count(zero)):
        membrane, th = load(u, i, zero), _at(threshold, i, zero)
        fired = _fires(membrane - th, how, one, zero)
        w = _carried(membrane, fired, th, how, one, zero)
        store(p, i, rounded(w if how[3] else membrane, p))


@_inner
def _back(
    n,
    u,
    beta,
    threshold,
    dy,
    ahead,
    dp,
    g,
    dx,
    past,
    how,
    kind,
    slopes,
    attached,
    reported,
    one,
    zero,
):
    """One step back: g holds dL/du[t+1] and becomes dL/du[t]; dx gets dL/dx[t].

    dp is read if the potential was ``reported``: the membrane (after, before) the reset.
    """
    for i in range(0, n, count(zero)):
        fetch(ahead, i)
        b, th = _at(beta, i, zero), _at(threshold, i, zero)
        membrane, after = load(u, i, zero), load(g, i, zero)
        distance = membrane - th
        carried = b * after
        if reported[0]:
            carried = carried + load(dp, i, zero)
        d_fired = load(dy, i, zero)
        if attached:
            reaches = carried if how[1] else after
            d_fired = d_fired - (membrane * carried if how[0] else th * reaches)
        kept = carried
        if how[0]:
            kept = (one - _fires(distance, how, one, zero)) * carried
        new = _surrogate(distance, kind, slopes, one, zero) * d_fired + kept
        if reported[1]:
            new = new + load(dp, i, zero)
        store(g, i, new)
        _store(dx, i, rounded(_scaled(new, b, how, one), dx), past)


@_inner
def _learn(
    n,
    u,
    beta,
    threshold,
    dy,
    dp,
    g,
    d_beta,
    d_threshold,
    how,
    kind,
    slopes,
    attached,
    reported,
    ends,
    one,
    zero,
):
    """Adds step t to the gradients of beta and threshold; g holds dL/du[t+1]."""
    for i in range(0, n, count(zero)):
        b, th = _at(beta, i, zero), _at(threshold, i, zero)
        membrane, after = load(u, i, zero), load(g, i, zero)
        distance = membrane - th
        fired = _fires(distance, how, one, zero)
        carried = b * after
        if reported[0]:
            carried = carried + load(dp, i, zero)
        reaches = carried if how[1] else after
        d_fired = load(dy, i, zero)
        if attached:
            d_fired = d_fired - (membrane * carried if how[0] else th * reaches)
        taken = fired * reaches if how[1] or how[2] else zero
        share = _surrogate(distance, kind, slopes, one, zero) * d_fired + taken
        store(d_threshold, i, load(d_threshold, i, zero) - share)
        if not ends:
            decayed = after * _carried(membrane, fired, th, how, one, zero)
            store(d_beta, i, load(d_beta, i, zero) + decayed)


@_inner
def _learn_first(n, g, d_beta, d_threshold, how, zero):
    """The first step's share, 0 unless the gradient g is not finite."""
    for i in range(0, n, count(zero)):
        share = load(g, i, zero) * zero
        store(d_beta, i, load(d_beta, i, zero) + share)
        if how[2]:
            store(d_threshold, i, load(d_threshold, i, zero) - share)


@_inner
def _learn_scale(n, x, g, d_beta, zero):
    for i in range(0, n, count(zero)):
        share = load(x, i, zero) * load(g, i, zero)
        store(d_beta, i, load(d_beta, i, zero) - share)


# One block: all steps of neurons lo..hi-1, whole lines. ``given`` holds what is the same for all
# blocks, see `forward` and `backward`.


@_inner
def _how(reset, instant, decays):
    soft = reset == SUBTRACT
    return (reset == ZERO, soft and instant, soft and not instant, instant, decays)


@_outer
def _forward(lo, hi, one, zero, given):
    current, stride, beta, threshold, how, spikes, potential, past, scratch = given
    n = hi - lo
    b, th = _block(beta, lo, hi, zero), _block(threshold, lo, hi, zero)
    steps = spikes.shape[0]
    u = scratch[0]
    for t in range(steps):
        x, s = current[t * stride, lo:hi], spikes[t, lo:hi]
        ahead = current[min(t + 1, steps - 1) * stride, lo:hi]
        if t == 0:
            _start(n, x, ahead, b, th, u, how, one, zero)
            _fire(n, u, th, s, past, how, one, zero)
        else:
            _step(n, u, x, ahead, b, th, s, past, how, one, zero)
        if potential.shape[0] > 0:
            _report(n, u, th, potential[t, lo:hi], how, one, zero)


@_outer
def _backward(lo, hi, one, zero, given):
    current, stride, beta, threshold, how, kind, k, attached = given[:8]
    d_spikes, d_potential, d_current, past, d_beta, d_threshold, scratch, zeros = given[8:]
    n = hi - lo
    steps = d_current.shape[0]
    learns = d_beta.shape[0] > 0
    has_dy, has_dp = d_spikes.shape[0] > 0, d_potential.shape[0] > 0
    membrane = scratch[:steps]
    g, gb, gt = scratch[steps], scratch[steps + 1], scratch[steps + 2]
    b, th = _block(beta, lo, hi, zero), _block(threshold, lo, hi, zero)
    slopes = (spread(k[0], zero), spread(k[1], zero), spread(k[2], zero), spread(k[3], zero))
    if learns:
        gb[:n] = 0
        gt[:n] = 0
    g[:n] = 0
    if not has_dy:
        zeros[:n] = 0
    last = d_spikes[steps - 1, lo:hi] if has_dy else zeros
    ahead = current[stride, lo:hi] if steps > 1 else last
    _start(n, current[0, lo:hi], ahead, b, th, membrane[0], how, one, zero)
    for t in range(1, steps):
        x = current[t * stride, lo:hi]
        ahead = current[(t + 1) * stride, lo:hi] if t + 1 < steps else last
        _charge(n, membrane[t - 1], x, ahead, b, th, membrane[t], how, one, zero)
    reported = (has_dp and how[3], has_dp and not how[3])
    for t in range(steps - 1, -1, -1):
        u = membrane[t]
        dy = d_spikes[t, lo:hi] if has_dy else zeros
        ahead = d_spikes[max(t - 1, 0), lo:hi] if has_dy else zeros
        dp = d_potential[t, lo:hi] if has_dp else zeros
        dx = d_current[t, lo:hi]
        ends = t == steps - 1
        # At the last step a reset acts on nothing but a potential that was returned.
        acts = attached and (not ends or reported[0])
        if learns:
            _learn(
                n, u, b, th, dy, dp, g, gb, gt, how, kind, slopes, acts, reported, ends, one, zero
            )
        _back(n, u, b, th, dy, ahead, dp, g, dx, past, how, kind, slopes, acts, reported, one, zero)
        if learns and how[4]:
            _learn_scale(n, current[t * stride, lo:hi], g, gb, zero)
    if learns:
        _learn_first(n, g, gb, gt, how, zero)
        d_beta[lo:hi] = gb[:n]
        d_threshold[lo:hi] = gt[:n]


# What threads call.


def compiled(function, key):
    """A C function of a pointer to `Arguments`, made by numba; `key` names what it depends on."""
    function.__qualname__ += f"_{key}"  # numba's cache notices changes of this file only
    signature = types.void(types.CPointer(numba.from_dtype(np.dtype(Arguments))))
    try:
        return numba.cfunc(signature, cache=not ON_DISK, error_model="numpy")(function)
    except RuntimeError:  # numba: "no locator available for file ..."
        return numba.cfunc(signature, error_model="numpy")(function)


def _integrated(held):
    """The type that neurons are stepped in, of what their current is held as."""
    return np.float32 if held is np.uint16 else held


def forward(held, each):
    """Steps neurons, by a pointer to `Arguments`; not compiled yet.

    Args:
        held: the type of the current and of what has its shape: np.float32, np.float64 or
            np.uint16 for bfloat16, whose scratch memory and parameters are float32.
        each: whether beta and threshold hold a value for each neuron.
    """
    line, number = LINE // np.dtype(held).itemsize, _integrated(held)

    def work(address):
        a = numba.carray(address, 1)[0]
        one, zero = fill(number(1), line), fill(number(0), line)
        steps, neurons, size = a.steps, a.neurons, a.size
        current = numba.carray(pointer(a.current), (steps if a.stride else 1, neurons), held)
        spikes = numba.carray(pointer(a.written), (steps, neurons), held)
        potential = numba.carray(pointer(a.potential), (a.potential_rows, neurons), held)
        beta = _values(numba.carray(pointer(a.beta), neurons, number), each)
        threshold = _values(numba.carray(pointer(a.threshold), neurons, number), each)
        how = _how(a.reset, a.instant != 0, a.decays != 0)
        begun = counted(address, BEGUN) + 1
        scratch = numba.carray(pointer(a.scratch), (begun, FORWARD_ROWS, size), number)[-1]
        given = (current, a.stride, beta, threshold, how, spikes, potential, a.past != 0, scratch)
        lo = counted(address, TAKEN) * size
        while lo < neurons:
            hi = min(lo + size, neurons)
            rest = hi - (hi - lo) % line
            _forward(lo, rest, one, zero, given)
            if rest < hi:  # see above: the layer's last line
                _forward(hi - line, hi, one, zero, given)
            lo = counted(address, TAKEN) * size
        fence()

    return work


def backward(held, each):
    """Gradients of neurons; as `forward`."""
    line, number = LINE // np.dtype(held).itemsize, _integrated(held)

    def work(address):
        a = numba.carray(address, 1)[0]
        one, zero = fill(number(1), line), fill(number(0), line)
        steps, neurons, size = a.steps, a.neurons, a.size
        current = numba.carray(pointer(a.current), (steps if a.stride else 1, neurons), held)
        d_spikes = numba.carray(pointer(a.d_spikes), (a.d_spikes_rows, neurons), held)
        d_potential = numba.carray(pointer(a.d_potential), (a.d_potential_rows, neurons), held)
        d_current = numba.carray(pointer(a.written), (steps, neurons), held)
        d_beta = numba.carray(pointer(a.d_beta), a.d_beta_rows, number)
        d_threshold = numba.carray(pointer(a.d_threshold), a.d_threshold_rows, number)
        beta = _values(numba.carray(pointer(a.beta), neurons, number), each)
        threshold = _values(numba.carray(pointer(a.threshold), neurons, number), each)
        how = _how(a.reset, a.instant != 0, a.decays != 0)
        kind = (a.surrogate == ATAN, a.surrogate == FAST_SIGMOID)
        k = a.half_slope, a.steepness, a.slope, a.slope_squared
        begun = counted(address, BEGUN) + 1
        rows = steps + BACKWARD_ROWS
        scratch = numba.carray(pointer(a.scratch), (begun, rows, size), number)[-1]
        given = (
            current,
            a.stride,
            beta,
            threshold,
            how,
            kind,
            (number(k[0]), number(k[1]), number(k[2]), number(k[3])),
            a.attached != 0,
            d_spikes,
            d_potential,
            d_current,
            a.past != 0,
            d_beta,
            d_threshold,
            scratch,
            scratch[steps + 3].view(held),
        )
        lo = counted(address, TAKEN) * size
        while lo < neurons:
            hi = min(lo + size, neurons)
            rest = hi - (hi - lo) % line
            _backward(lo, rest, one, zero, given)
            if rest < hi:  # see above: the layer's last line
                _backward(hi - line, hi, one, zero, given)
            lo = counted(address, TAKEN) * size
        fence()

    return work
