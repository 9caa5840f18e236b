"""What a network computes in while it is trained: float32, or bfloat16 where that is faster.

In bf16 convolutions and dense layers compute in bfloat16 (`torch.autocast`), and what goes from
layer to layer is held so: spikes, which bfloat16 holds exactly, currents, and their gradients.
Weights, the neurons' state, the statistics of batch norm, logits, loss and optimiser stay float32.

"auto" is bf16 on CUDA devices that have it, and on processors with AMX for networks of a million
weights or more; elsewhere it is float32. Without AMX there is nothing to gain: on a Xeon that has
only AVX-512's instructions for bfloat16, convolutions took up to twice as long in it. On a CPU a
network with other neurons than ours, whose state might not stay float32, is trained in float32
unless bf16 is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.neurons import LIF
from snnbd_core.view import libraries
from snnbd_core.view.ours import Ours

__all__ = ["Precision", "chosen", "computing", "has_bf16", "is_half"]

Precision = Literal["auto", "float32", "bf16"]
LARGE = 1_000_000  # weights of a network that gains

_now: ContextVar[str | None] = ContextVar("precision", default=None)


def chosen(precision: str, net: nn.Module, device: torch.device) -> str:
    """What a network is trained in on a device: "float32" or "bf16".

    Raises:
        ValueError: an unknown precision; bf16 on a device without it, or of weights that are not
            float32.
    """
    if checks.choice("precision", precision, get_args(Precision)) == "float32":
        return "float32"
    single = all(weight.dtype == torch.float32 for weight in net.parameters())
    if precision == "auto":
        return "bf16" if single and _gains(net, device) else "float32"
    if not single:
        raise ValueError("precision='bf16' needs weights in float32: allowed here is auto, float32")
    if not has_bf16(device):
        raise ValueError(
            f"precision='bf16' needs instructions for bfloat16, which {device.type!r} has not here "
            "(on a CPU: AVX-512 BF16, AMX, or ARM's): allowed is auto, float32"
        )
    return "bf16"


@contextmanager
def computing(precision: str) -> Iterator[None]:
    """Has networks compute in what was chosen, for a block."""
    token = _now.set(precision)
    try:
        yield
    finally:
        _now.reset(token)


def is_half(device: torch.device) -> bool:
    """Whether a network computes in bfloat16 now; outside of a training it does so on CUDA."""
    now = _now.get()
    return now == "bf16" if now else device.type == "cuda" and has_bf16(device)


def has_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    kinds = ("avx512_bf16", "amx_tile", "bf16")  # "bf16" is ARM's
    return device.type == "cpu" and _allowed("BF16", "AMX") and any(map(_instructions, kinds))


def _gains(net: nn.Module, device: torch.device) -> bool:
    if device.type != "cpu":
        return has_bf16(device)
    large = sum(weight.numel() for weight in net.parameters() if weight.dim() > 1) >= LARGE
    if not large or not (_allowed("AMX") and _instructions("amx_tile")):
        return False
    others = any(not isinstance(adapter, Ours) for _, adapter in libraries.spiking(net))
    return not others and any(isinstance(layer, LIF | nn.ReLU) for layer in net.modules())


def _instructions(name: str) -> bool:
    """Whether the processor has them, by the name that torch has for them."""
    if hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.cpu.get_capabilities().get(name))
    return bool(getattr(torch.cpu, f"_is_{name}_supported", bool)())  # before torch 2.11


def _allowed(*names: str) -> bool:
    """Whether oneDNN, which computes, may use them; its users can hold it to less."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    newest = limit in ("", "ALL", "DEFAULT") or limit.startswith("AVX10")
    return newest or any(name in limit for name in names)
