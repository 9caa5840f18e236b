"""The fused neuron on the CPU: all T steps of a layer in one compiled call, in torch's threads.

Bytes moved per neuron and step, float32: forward 8 (current read, spikes written), backward 12
(current and the spikes' gradient read, the current's gradient written). Bytes kept for backward:
4, the current itself, which the caller has already.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from snnbd_core.kernels import cpu_loops, threads
from snnbd_core.kernels.rule import RESETS, SURROGATES, Rule

# Bytes of a block's membrane over all T steps: a quarter of a typical second-level cache. Long
# recordings take more: below 1024 neurons a row is too short to be fetched ahead.
SCRATCH = 256 * 1024
BLOCK_SIZES = (1024, 4096)
# Neurons x steps that keep one thread busy for some tens of microseconds.
SMALLEST_WORK = 32 * 1024


def forward(
    current: Tensor, beta: Tensor, threshold: Tensor, rule: Rule, potential: bool, learns: bool
) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
    """See ``fused.Kernel``."""
    steps, neurons = current.shape
    spikes = current.new_empty(steps, neurons)
    out = current.new_empty(steps if potential else 0, neurons)
    size = _block_size(current)
    # Converted here: helper threads then hold arrays only, and these keep the memory alive.
    arguments = (*_current(current), *_parameters(beta, threshold, rule))
    written = (spikes.numpy(), out.numpy())

    def work(first: int, last: int) -> None:
        cpu_loops.forward(*arguments, first, last, size, *_update(rule), *written)

    threads.split(work, neurons, size, max(1, SMALLEST_WORK // steps))
    return spikes, out if potential else None, (current,)


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
    nothing = current.new_empty(0, neurons)
    d_current = current.new_empty(steps, neurons)
    d_beta, d_threshold = current.new_empty(2, neurons if learns else 0).unbind()
    size = _block_size(current)
    arguments = (*_current(current), *_parameters(beta, threshold, rule))
    choices = (
        *_update(rule), rule.decay_input, SURROGATES.index(rule.surrogate),
        _slopes(rule, arguments[0].dtype), not rule.detach and rule.reset != "none",
    )  # fmt: skip
    arrays = (
        (nothing if d_spikes is None else d_spikes).numpy(),
        (nothing if d_potential is None else d_potential).numpy(),
        d_current.numpy(),
        d_beta.numpy(),
        d_threshold.numpy(),
    )

    def work(first: int, last: int) -> None:
        cpu_loops.backward(*arguments, first, last, size, *choices, *arrays)

    threads.split(work, neurons, size, max(1, SMALLEST_WORK // steps))
    return d_current, d_beta if learns else None, d_threshold if learns else None


def _current(flat: Tensor) -> tuple[np.ndarray, int]:
    """The current as a dense array, and its row stride: 0 if all steps are one row."""
    flat = flat.detach()
    return (flat[:1].numpy(), 0) if flat.stride(0) == 0 else (flat.numpy(), 1)


def _parameters(beta: Tensor, threshold: Tensor, rule: Rule) -> tuple[Any, Any, Any]:
    """beta, threshold and the current's scale: three numbers, or three arrays of one value each.

    The kernel is compiled for these two cases; with numbers it loads less.
    """
    if beta.numel() != threshold.numel():
        neurons = max(beta.numel(), threshold.numel())
        beta, threshold = beta.expand(neurons), threshold.expand(neurons)
    b, th = beta.detach().contiguous().numpy(), threshold.detach().contiguous().numpy()
    scale = 1 - b if rule.decay_input else np.ones_like(b)
    return (b[0], th[0], scale[0]) if len(b) == 1 else (b, th, scale)


def _update(rule: Rule) -> tuple[int, bool]:
    return RESETS.index(rule.reset), rule.update == "spikingjelly"


def _slopes(rule: Rule, dtype: np.dtype) -> np.ndarray:
    k = rule.slope
    return np.array([k / 2, math.pi / 2 * k, k, k**2], dtype)


def _block_size(current: Tensor) -> int:
    least, most = BLOCK_SIZES
    size = SCRATCH // (current.shape[0] * current.element_size())
    return min(max(size // least * least, least), most)
