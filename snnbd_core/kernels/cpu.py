"""The fused neuron on the CPU: all T steps of a layer in one compiled call, in torch's threads.

Bytes moved per neuron and step, float32: forward 8 (current read, spikes written), backward 12
(current and the spikes' gradient read, the current's gradient written). Bytes kept for backward:
4, the current itself, which the caller has already.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snnbd_core.kernels import cpu_loops, lanes, threads
from snnbd_core.kernels.rule import RESETS, SURROGATES, Rule

# Bytes of a block's membrane over all T steps: a quarter of a typical second-level cache. Long
# recordings take more: below 1024 neurons a row is too short to be fetched ahead.
SCRATCH = 256 * 1024
BLOCK_SIZES = (1024, 4096)
# Neurons x steps that keep one thread busy for some tens of microseconds.
SMALLEST_WORK = 32 * 1024
# From so many bytes on, an output is written faster past the cache.
LARGE = 4 * 1024**2

_NUMBERS = {torch.float32: np.float32, torch.float64: np.float64}


def forward(
    current: Tensor, beta: Tensor, threshold: Tensor, rule: Rule, potential: bool, learns: bool
) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
    """See ``fused.Kernel``."""
    steps, neurons = current.shape
    wide = max(neurons, _line(current))
    spikes = current.new_empty(steps, wide)
    out = current.new_empty(steps, wide) if potential else None
    _run(
        cpu_loops.forward, cpu_loops.FORWARD_ROWS, _widened(current, wide),
        _widened(beta, wide), _widened(threshold, wide), rule, spikes, potential=out,
    )  # fmt: skip
    out = None if out is None else _narrowed(out, neurons)
    return _narrowed(spikes, neurons), out, (current,)


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
    steps, neurons = current.shape
    wide = max(neurons, _line(current))
    d_spikes = None if d_spikes is None else _widened(d_spikes, wide)
    d_potential = None if d_potential is None else _widened(d_potential, wide)
    d_current = current.new_empty(steps, wide)
    d_beta, d_threshold = current.new_empty(2, wide).unbind() if learns else (None, None)
    _run(
        cpu_loops.backward, steps + cpu_loops.BACKWARD_ROWS, _widened(current, wide),
        _widened(beta, wide), _widened(threshold, wide), rule, d_current, d_spikes=d_spikes,
        d_potential=d_potential, d_beta=d_beta, d_threshold=d_threshold,
    )  # fmt: skip
    d_current = _narrowed(d_current, neurons)
    if d_beta is None or d_threshold is None:
        return d_current, None, None
    return d_current, d_beta[:neurons], d_threshold[:neurons]


def _run(
    loops: Callable[[type, bool], int],
    rows: int,
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    rule: Rule,
    written: Tensor,
    potential: Tensor | None = None,
    d_spikes: Tensor | None = None,
    d_potential: Tensor | None = None,
    d_beta: Tensor | None = None,
    d_threshold: Tensor | None = None,
) -> None:
    """Calls compiled loops with `cpu_loops.Arguments`.

    Args:
        loops: ``cpu_loops.forward`` or ``cpu_loops.backward``.
        rows: of scratch memory, for each thread.
        written: what the loops write: the spikes, or the current's gradient.
    """
    steps, neurons = current.shape
    if beta.numel() != threshold.numel():
        beta, threshold = beta.expand(neurons).contiguous(), threshold.expand(neurons).contiguous()
    size = _block_size(steps, current.element_size())
    enough = min(-(-neurons // size), neurons * steps // SMALLEST_WORK)
    # All of torch's threads or one: a smaller team would end those that it leaves out.
    workers = torch.get_num_threads() if enough > 1 else 1
    scratch = current.new_empty(workers, rows, size)
    others = (potential, d_spikes, d_potential, d_beta, d_threshold)
    arguments = cpu_loops.Arguments(
        0, 0, steps, neurons, size, scratch.data_ptr(), current.data_ptr(),
        current.stride(0) != 0, beta.data_ptr(), threshold.data_ptr(), *_choices(rule),
        written.data_ptr(), _past(written), *(value for one in others for value in _rows(one)),
    )  # fmt: skip
    work = loops(_NUMBERS[current.dtype], len(beta) > 1)
    held = (scratch, current, beta, threshold, written, *others)
    threads.run(work, arguments, workers, held)


@functools.cache
def _choices(rule: Rule) -> tuple[float, ...]:
    """What `cpu_loops.Arguments` says of the rule, from ``reset`` on."""
    k = rule.slope
    return (
        RESETS.index(rule.reset), rule.update == "spikingjelly", rule.decay_input,
        SURROGATES.index(rule.surrogate), not rule.detach and rule.reset != "none",
        k / 2, math.pi / 2 * k, k, k**2,
    )  # fmt: skip


def _rows(tensor: Tensor | None) -> tuple[int, int]:
    """Address and length of a tensor [T, M] or [M] that may be missing."""
    return (0, 0) if tensor is None else (tensor.data_ptr(), len(tensor))


def _past(written: Tensor) -> bool:
    """Whether a tensor [T, M] is written past the cache, which its rows must allow."""
    return (
        written.nbytes >= LARGE
        and written.shape[1] % _line(written) == 0
        and written.data_ptr() % lanes.LINE == 0
    )


def _line(tensor: Tensor) -> int:
    """How many of a tensor's numbers fill a cache line, the fewest that the loops step."""
    return lanes.LINE // tensor.element_size()


def _widened(tensor: Tensor, neurons: int) -> Tensor:
    """[..., M] with zeros for more neurons, if M is less; one number for all stays as it is."""
    have = tensor.shape[-1]
    if have >= neurons or tensor.shape == (1,):
        return tensor
    return functional.pad(tensor, (0, neurons - have))


def _narrowed(tensor: Tensor, neurons: int) -> Tensor:
    """The first M of [T, neurons or more]."""
    return tensor if tensor.shape[1] == neurons else tensor[:, :neurons].contiguous()


def _block_size(steps: int, itemsize: int) -> int:
    least, most = BLOCK_SIZES
    size = SCRATCH // (steps * itemsize)
    return min(max(size // least * least, least), most)
