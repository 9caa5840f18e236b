"""Where the time of a quick run goes, and how long a fresh process takes to its first spikes.

    python -m benchmarks.quick_run [--rounds 5] [--out FILE]

Runs of the quick profile without a trigger and with one, their networks trained anew, with one
thread in a process that has run before. All times are the processor's own, which other work on the
machine lengthens by a part of itself only.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import torch
import typer
from torch.nn import functional

from benchmarks.measure import machine
from snnbd_book.runs import Experiment, run
from snnbd_book.sweeps.execution import _Task
from snnbd_book.sweeps.workers import client_of
from snnbd_core.files import write_atomically
from snnbd_core.networks.building import Network
from snnbd_core.triggers import Static

PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "forward": ((Network, "forward"),),
    "loss": ((functional, "one_hot"), (functional, "mse_loss")),
    "backward": ((torch.autograd, "backward"),),
    "optimiser": ((torch.optim.Adam, "step"), (torch.optim.Adam, "zero_grad")),
}
RUNS = {
    "clean": Experiment.for_profile("quick", seed=1),
    "with a trigger": Experiment.for_profile("quick", trigger=Static(), rate=0.1, seed=1),
}
FIRST = """
import time
import torch
import snnbd_core as sb
torch.set_num_threads(1)
current, layer = torch.randn(8, 4, 64), sb.LIF(0.5)
start = time.process_time()
layer(current)
print(time.process_time() - start)
"""


def parts_of(experiment: Experiment) -> dict[str, float]:
    """Seconds of the processor that a run's parts take, and all of it."""
    spent = dict.fromkeys(PARTS, 0.0)
    with ExitStack() as stack:
        for name, places in PARTS.items():
            for owner, method in places:
                timed = _timed(getattr(owner, method), name, spent)
                stack.enter_context(patch.object(owner, method, timed))
        start = time.process_time()
        run(experiment, fresh=True, device="cpu", progress=False)
        return {**spent, "all": time.process_time() - start}


def first_forward() -> float:
    """Seconds of the processor of the first forward pass of a fresh process."""
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True)
    return float(done.stdout)


def sweep_start() -> float:
    """Seconds of the processor of a sweep's slower worker until its first small run is done."""
    one = Experiment.for_profile("quick", epochs=1, samples=64).to_json()
    with tempfile.TemporaryDirectory() as folder, client_of(None, 2, 1) as client:
        task = _Task(folder, "cpu", 1, fresh=True, keep=False)
        client.wait_for_workers(2)
        places = list(client.scheduler_info()["workers"])
        client.gather([client.submit(task, one, workers=[at], pure=False) for at in places])
        return max(client.run(time.process_time).values())


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each.")] = 5,
    out: Annotated[Path | None, typer.Option(help="A file for the figures, JSON.")] = None,
) -> None:
    """Measure the parts of a quick run and what a fresh process takes."""
    torch.set_num_threads(1)
    with _own_folders():
        for experiment in RUNS.values():  # loads torch, kernels and data; trains the clean twin
            run(experiment, device="cpu", progress=False)
        measured = {name: [parts_of(one) for _ in range(rounds)] for name, one in RUNS.items()}
        first_forward()
        figures = {
            "machine": machine(1),
            "rounds": rounds,
            "runs": {name: _medians(rows) for name, rows in measured.items()},
            "first_forward": statistics.median(first_forward() for _ in range(rounds)),
            "sweep_start": statistics.median(sweep_start() for _ in range(rounds)),
        }
    text = json.dumps(figures, indent=1) + "\n"
    typer.echo(text)
    if out is not None:
        write_atomically(out, lambda file: file.write(text.encode()))


def _timed(function: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    @wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] += time.process_time() - start

    return timed


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """The median of each part, and of the share that is none of them."""
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    shares = [1 - sum(row[name] for name in PARTS) / row["all"] for row in rows]
    return {**medians, "other": statistics.median(shares)}


@contextmanager
def _own_folders() -> Iterator[None]:
    """Cache and results of the measurement alone."""
    with tempfile.TemporaryDirectory() as folder:
        places = {name: f"{folder}/{name}" for name in ("SNNBD_CACHE", "SNNBD_RESULTS")}
        with patch.dict(os.environ, places):
            yield


if __name__ == "__main__":
    typer.run(main)
