"""Which kernel runs on a device; the package says what there is."""

from __future__ import annotations

import functools
import importlib
import os
import warnings

from snnbd_core.kernels.fused import Kernel

KERNELS = ("auto", "cpu", "cuda", "reference")
COMPILERS = {"cpu": "numba", "cuda": "triton"}


def chosen(name: str | None, device: str) -> str:
    """The kernel of a name, None for that of ``SNNBD_KERNEL``, on a type of device.

    Raises:
        ValueError: an unknown kernel, or one for another device.
    """
    name = name or default()
    if name not in KERNELS:
        raise ValueError(f"kernel={name!r} is unknown; allowed: {', '.join(KERNELS)}")
    if name == "auto":
        return device if device in COMPILERS and available(device) else "reference"
    if name != "reference" and name != device:
        raise ValueError(
            f"kernel={name!r} does not run on {device!r}; allowed there: auto, reference"
        )
    return name


@functools.cache
def default() -> str:
    """What ``SNNBD_KERNEL`` names; read once."""
    return os.environ.get("SNNBD_KERNEL", "auto")


@functools.cache
def available(name: str) -> bool:
    """Whether a kernel's compiler is there; says so once if not."""
    try:
        module(name)
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
def module(name: str) -> Kernel:
    """A kernel; its compiler takes a second to load, so it is imported at first use."""
    kernel: Kernel = importlib.import_module(f"snnbd_core.kernels.{name}")
    return kernel
