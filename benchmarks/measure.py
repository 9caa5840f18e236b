"""How the benchmarks measure: peers by turns, medians and quartiles, peak memory, the machine."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from snnbd_book.runs.machine import processor
from snnbd_book.runs.provenance import git_state

Run = Callable[[], object]


def by_turns(runs: dict[str, Run], rounds: int, warmup: int = 2) -> dict[str, list[float]]:
    """Seconds of each run, ``rounds`` times: in every round each runs once, in random order.

    So whatever slows the machine for a while slows all alike, and ratios stay fair.
    """
    for run in runs.values():
        for _ in range(warmup):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            gc.collect()
            start = time.perf_counter()
            result = runs[name]()
            _synchronise()
            seconds[name].append(time.perf_counter() - start)
            del result
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Median and quartiles, in milliseconds."""
    low, median, high = (
        statistics.quantiles(seconds, n=4, method="inclusive")
        if len(seconds) > 1
        else (seconds[0],) * 3
    )
    return {"median": 1e3 * median, "q1": 1e3 * low, "q3": 1e3 * high, "runs": len(seconds)}


def peak_memory(run: Run) -> int:
    """Bytes by which the process's resident memory rises above where it was, during ``run``.

    Meant for a process of its own: memory that earlier work left to the allocator is not counted
    again. Linux only, whose kernel keeps the peak and can be asked to forget it.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    result = run()
    peak = _status("VmHWM") - before
    del result
    return peak


def commit() -> str:
    """Which code measures: "-dirty" where it differs from its commit."""
    name, dirty = git_state()
    return f"{name}-dirty" if dirty else f"{name}"


def machine(threads: int) -> dict[str, object]:
    """Where the figures come from."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "versions": {name: _version(name) for name in VERSIONED},
    }


VERSIONED = ("torch", "numpy", "numba", "triton", "snntorch", "spikingjelly", "norse", "sinabs")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"field={field!r} is not in /proc/self/status")


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def differing_share(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Share of spikes that are not the same."""
    return float(np.mean((ours.detach() != theirs.detach()).numpy()))
