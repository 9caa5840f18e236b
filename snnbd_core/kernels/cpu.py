"""The fused neuron on the CPU: all T steps of a layer in one compiled call, in torch's threads.

Bytes moved per neuron and step, float32: forward 8 (current read, spikes written), backward 12
(current and the spikes' gradient read, the current's gradient written). Bytes kept for backward:
4, the current itself, which the caller has already. In bfloat16 all are half of that; the state is
float32.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snnbd_core.kernels import threads
from snnbd_core.kernels.machine_code import BACKWARD_ROWS, FORWARD_ROWS, LINE, Arguments, address
from snnbd_core.kernels.rule import RESETS, SURROGATES, Rule

# Bytes of a block's scratch memory: a fifth of a typical second-level cache. Long recordings take
# more: below 1024 neurons a row is too short to be fetched ahead.
SCRATCH = 192 * 1024
BLOCK_SIZES = (1024, 4096)
# Blocks for each thread, or more, so that all threads end at about the same time.
SHARES = 4
# Neurons x steps that keep one thread busy for some tens of microseconds.
SMALLEST_WORK = 32 * 1024
# From so many bytes on, an output is written faster past the cache.
LARGE = 4 * 1024**2

# What the loops read and write; numba has no bfloat16, see `lanes`.
_HELD = {torch.float32: np.float32, torch.float64: np.float64, torch.bfloat16: np.uint16}
DTYPES = frozenset(_HELD)


def forward(
    current: Tensor, beta: Tensor, threshold: Tensor, rule: Rule, potential: bool, learns: bool
) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
    """See ``fused.Kernel``."""
    if _size(current)[1] < _line(current):
        wide = _widened(current), _widened_one(beta, current), _widened_one(threshold, current)
        spikes, reported, _ = forward(*wide, rule, potential, learns)
        reported = None if reported is None else _narrowed(reported, current)
        return _narrowed(spikes, current), reported, (current,)
    spikes = current.new_empty(current.shape)
    reported = current.new_empty(current.shape) if potential else None
    _run(
        "forward",
        FORWARD_ROWS,
        current,
        beta,
        threshold,
        rule,
        spikes,
        potential=reported,
    )
    return spikes, reported, (current,)


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
    (current,) = saved
    steps, neurons = _size(current)
    if neurons < _line(current):
        d_current, d_beta, d_threshold = backward(
            (_widened(current),),
            _widened_one(beta, current),
            _widened_one(threshold, current),
            rule,
            None if d_spikes is None else _widened(d_spikes),
            None if d_potential is None else _widened(d_potential),
            learns,
        )
        d_current = _narrowed(d_current, current)
    else:
        d_current = current.new_empty(current.shape)
        d_beta, d_threshold = beta.new_empty(2, neurons).unbind() if learns else (None, None)
        _run(
            "backward",
            steps + BACKWARD_ROWS,
            current,
            beta,
            threshold,
            rule,
            d_current,
            d_spikes=d_spikes,
            d_potential=d_potential,
            d_beta=d_beta,
            d_threshold=d_threshold,
        )
    if d_beta is None or d_threshold is None:
        return d_current, None, None
    return d_current, d_beta[:neurons], d_threshold[:neurons]


def _run(
    loops: str,
    rows: int,
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    rule: Rule,
    written: Tensor,
    **others: Tensor | None,
) -> None:
    """Calls compiled loops with `Arguments`.

    Args:
        loops: ``forward`` or ``backward``.
        rows: of scratch memory, for each thread.
        written: what the loops write: the spikes, or the current's gradient.
        **others: potential, d_spikes, d_potential, d_beta, d_threshold, where there are any.
    """
    steps, neurons = _size(current)
    if beta.numel() != threshold.numel():
        both = (value.reshape(-1).expand(neurons).contiguous() for value in (beta, threshold))
        beta, threshold = both
    workers = torch.get_num_threads()
    size = _block_size(rows * beta.element_size(), neurons // workers)
    if size >= neurons or neurons * steps < 2 * SMALLEST_WORK:
        workers = 1  # or all of torch's threads: a smaller team would end those that it leaves out
    scratch = beta.new_empty(workers, rows, size)
    arguments = Arguments(
        0,
        0,
        steps,
        neurons,
        size,
        scratch.data_ptr(),
        current.data_ptr(),
        current.stride(0) != 0,
        beta.data_ptr(),
        threshold.data_ptr(),
        *_choices(rule),
        written.data_ptr(),
        _past(written, neurons),
    )
    for name, tensor in others.items():
        if tensor is not None:
            setattr(arguments, name, tensor.data_ptr())
            setattr(arguments, name + "_rows", len(tensor))
    work = address(loops, _HELD[current.dtype], beta.numel() > 1)
    threads.run(work, arguments, workers, (scratch, current, beta, threshold, written, others))


def _block_size(row: int, share: int) -> int:
    """Neurons of a block: row is the scratch memory for one, share how many a thread has."""
    least, most = BLOCK_SIZES
    size = min(SCRATCH // row, share // SHARES)
    return min(max(size // least * least, least), most)


@functools.cache
def _choices(rule: Rule) -> tuple[float, ...]:
    """What `Arguments` says of the rule, from ``reset`` on."""
    k = rule.slope
    return (
        RESETS.index(rule.reset),
        rule.update == "spikingjelly",
        rule.decay_input,
        SURROGATES.index(rule.surrogate),
        not rule.detach and rule.reset != "none",
        k / 2,
        math.pi / 2 * k,
        k,
        k**2,
    )


def _past(written: Tensor, neurons: int) -> bool:
    """Whether a tensor [T, ...] is written past the cache, which its rows must allow."""
    return (
        written.nbytes >= LARGE and neurons % _line(written) == 0 and written.data_ptr() % LINE == 0
    )


def _size(tensor: Tensor) -> tuple[int, int]:
    """Steps of a tensor [T, ...], and how many neurons it has at each."""
    steps = len(tensor)
    return steps, tensor.numel() // steps


def _line(tensor: Tensor) -> int:
    """How many of a tensor's numbers fill a cache line, the fewest that the loops step."""
    return LINE // tensor.element_size()


# A layer that does not fill a cache line is stepped among neurons that get no current.


def _widened(tensor: Tensor) -> Tensor:
    """[T, ...] as [T, a line], with zeros behind."""
    steps, neurons = _size(tensor)
    return functional.pad(tensor.reshape(steps, neurons), (0, _line(tensor) - neurons))


def _widened_one(value: Tensor, current: Tensor) -> Tensor:
    """A parameter [M] likewise; one number for all stays as it is."""
    if value.numel() == 1:
        return value
    return functional.pad(value, (0, _line(current) - value.numel()))


def _narrowed(tensor: Tensor, like: Tensor) -> Tensor:
    """[T, a line] without what `_widened` added."""
    return tensor[:, : _size(like)[1]].reshape(like.shape)
