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

import functools
import importlib
import os
import warnings

import torch
from torch import Tensor

from snnbd_core.kernels import fused, reference
from snnbd_core.kernels import threads as threads  # used by `cpu`; here it is told of every fork
from snnbd_core.kernels.rule import RESETS, SURROGATES, UPDATES, Rule

__all__ = ["KERNELS", "RESETS", "SURROGATES", "UPDATES", "Rule", "compute_dtype", "step"]

KERNELS = ("auto", "cpu", "cuda", "reference")
COMPILERS = {"cpu": "numba", "cuda": "triton"}


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

    In a network under `torch.compile` it stays outside of the graphs.
    """
    # Asked for here, as a decorator would import TorchDynamo, which takes more than a second.
    run = torch.compiler.disable(_step) if torch.compiler.is_dynamo_compiling() else _step
    return run(current, beta, threshold, rule, return_potential, kernel)


def _step(
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    rule: Rule,
    return_potential: bool,
    name: str | None,
) -> tuple[Tensor, Tensor | None]:
    device, dtype = current.device, compute_dtype(current)
    chosen = _chosen(name or _default(), device.type)
    # Asked for first: even a conversion that does nothing takes as long as a small layer.
    if beta.dtype != dtype or beta.device != device:
        beta = beta.to(device, dtype)
    if threshold.dtype != dtype or threshold.device != device:
        threshold = threshold.to(device, dtype)
    kernel = _fused(chosen) if chosen != "reference" and current.numel() else None
    given = current.dtype
    if given != dtype and (kernel is None or given not in kernel.DTYPES):
        current = current.to(dtype)
    if kernel is None:
        spikes, potential = reference.step(
            current, beta, threshold, rule, return_potential=return_potential
        )
    else:
        spikes, potential = fused.step(kernel, current, beta, threshold, rule, return_potential)
    if spikes.dtype == given:
        return spikes, potential
    return spikes.to(given), None if potential is None else potential.to(given)


@functools.cache
def _default() -> str:
    return os.environ.get("SNNBD_KERNEL", "auto")


def _chosen(name: str, device: str) -> str:
    if name not in KERNELS:
        raise ValueError(f"kernel={name!r} is unknown; allowed: {', '.join(KERNELS)}")
    if name == "auto":
        return device if device in COMPILERS and _available(device) else "reference"
    if name != "reference" and name != device:
        raise ValueError(
            f"kernel={name!r} does not run on {device!r}; allowed there: auto, reference"
        )
    return name


@functools.cache
def _available(name: str) -> bool:
    """Whether a kernel's compiler is there; says so once if not."""
    try:
        _fused(name)
    except ImportError as missing:
        warnings.warn(
            f"{COMPILERS[name]} is not available ({missing}): neurons run on {name!r} by the "
            "reference kernel, many times slower",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


@functools.cache
def _fused(name: str) -> fused.Kernel:
    # Imported at first use: the compilers take a second to load and may be missing.
    kernel: fused.Kernel = importlib.import_module(f"snnbd_core.kernels.{name}")
    return kernel
