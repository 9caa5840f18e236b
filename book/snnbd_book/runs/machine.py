"""The machine that a run is done on: its processor, its device and its memory."""

from __future__ import annotations

import functools
import os
import platform
import resource
import sys
from pathlib import Path

import torch

CHANGES_NO_NUMBER = True

_CPU_INFO = Path("/proc/cpuinfo")
_SAID = ("model name", "cpu family", "model", "stepping")
_CHOSEN = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_MAX_ISA")


@functools.cache
def processor() -> str:
    """The kind of processor, as far as it decides how sums are rounded.

    "Intel(R) Xeon(R) Processor 6-143-8, AVX512 AMX": two runs of one kind give equal bits; other
    kinds add in another order. Settings that choose other instructions are named as well.
    """
    words = [_model(), torch.backends.cpu.get_cpu_capability()]
    if torch.cpu._is_amx_tile_supported():
        words.append("AMX")
    words += [f"{name}={os.environ[name]}" for name in _CHOSEN if name in os.environ]
    return f"{words[0]}, {' '.join(words[1:])}"


def device_name(device: torch.device) -> str:
    """The GPU's name, or the kind of device and machine."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()})"


def peak_memory(device: torch.device) -> int:
    """Bytes: the most allocated on a CUDA device, else the process's largest resident size."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def _model() -> str:
    """Name, family, model and stepping where the system says them."""
    try:
        first = _CPU_INFO.read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in first.splitlines())
    said = {name.strip(): value.strip() for name, _, value in pairs}
    name, *numbers = (said.get(key, "") for key in _SAID)
    return f"{name or platform.machine()} {'-'.join(filter(None, numbers))}".strip()
