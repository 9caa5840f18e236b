"""How a layer of neurons is stepped through time: one function, one kernel per kind of device.

=============  ==========================================================================
kernel         what runs
=============  ==========================================================================
``cpu``        compiled by numba, all steps in one call, in torch's own threads
``cuda``       Triton, one kernel forward and one backward
``reference``  plain torch on any device, a Python step per time step
=============  ==========================================================================

``auto`` takes the device's own kernel; where numba or Triton is missing, or a device has none, it
takes ``reference`` and says so once. ``SNNBD_KERNEL`` names a kernel for the whole process; it is
read at the first step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from snnbd_core.kernels import choice, fused, operator, reference
from snnbd_core.kernels import threads as threads  # used by `cpu`; here it is told of every fork
from snnbd_core.kernels.choice import KERNELS
from snnbd_core.kernels.rule import RESETS, SURROGATES, UPDATES, Rule

__all__ = ["KERNELS", "RESETS", "SURROGATES", "UPDATES", "Rule", "compute_dtype", "step"]


def compute_dtype(current: Tensor) -> torch.dtype:
    """What a current is integrated in: its own dtype, or float32 if that has half precision."""
    return torch.float32 if current.dtype in (torch.float16, torch.bfloat16) else current.dtype


def step(
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    rule: Rule,
    *,
    return_potential: bool = True,
    kernel: str | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Steps a layer of neurons over all T time steps, from a potential of 0.

    Args:
        current: input current [T, B, ...], a floating-point tensor.
        beta: decay of the potential per step, a tensor that broadcasts to [B, ...]. It and the
            threshold are brought to the current's device and to the dtype that is integrated in.
        threshold: firing threshold, in the current's units, a tensor that broadcasts to [B, ...].
        rule: the discrete choices (update, reset, surrogate, ...).
        return_potential: False leaves the potential out, which saves its memory.
        kernel: one of ``KERNELS``; None reads ``SNNBD_KERNEL``, whose default is ``"auto"``.

    Returns:
        Spikes (0 or 1, the current's shape and dtype) and the potential at the end of each step
        (as the rule's origin reports it: before the reset with snnTorch's rule, whose reset comes
        one step later, after it with SpikingJelly's) or None. The gradient reaches current, beta
        and threshold. Half-precision currents are integrated in float32.

    Raises:
        ValueError: an unknown kernel, or one for another device than the current's.
        ImportError: a kernel asked for by name whose compiler is not installed.

    torch.compile and torch.export see one operator, see ``operator``; torch.func (vmap over
    networks, say) sees the reference kernel, whatever is asked for.
    """
    dtype = compute_dtype(current)
    # Asked for first: even a conversion that does nothing takes as long as a small layer.
    if beta.dtype != dtype or beta.device != current.device:
        beta = beta.to(current.device, dtype)
    if threshold.dtype != dtype or threshold.device != current.device:
        threshold = threshold.to(current.device, dtype)
    if operator.captured(current):
        return operator.step(current, beta, threshold, rule, return_potential, kernel)
    mapped = torch._C._are_functorch_transforms_active()
    chosen = "reference" if mapped else choice.chosen(kernel, current.device.type)
    by = choice.module(chosen) if chosen != "reference" and current.numel() else None
    given = current.dtype
    if given != dtype and (by is None or given not in by.DTYPES):
        current = current.to(dtype)
    if by is None:
        spikes, potential = reference.step(
            current, beta, threshold, rule, return_potential=return_potential
        )
    else:
        spikes, potential = fused.step(by, current, beta, threshold, rule, return_potential)
    if spikes.dtype == given:
        return spikes, potential
    return spikes.to(given), None if potential is None else potential.to(given)
