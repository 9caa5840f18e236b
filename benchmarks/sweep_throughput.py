"""How much two worker processes gain over one: equal runs on local Dask workers.

    python benchmarks/sweep_throughput.py [--runs 8] [--out benchmarks/sweep_throughput.json]

Each run is a clean training of the quick profile with a seed of its own, with one thread. Starting
the workers is not part of the time: a sweep that is worth a second worker lasts longer than that.
Workers are warmed up by one run each, which loads torch and the data. On a machine with other
work the ratio says little; take the best of several repeats.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from snnbd_book.runs import Experiment
from snnbd_book.sweeps.execution import _Task
from snnbd_book.sweeps.workers import client_of


def seconds(workers: int, runs: int, repeat: int) -> float:
    """Wall time of equal runs on so many one-thread workers, warmed up."""
    # New seeds each time: what is in the store or in the cache would not be run.
    first = 1000 * (1 + 10 * repeat + workers)
    with tempfile.TemporaryDirectory() as folder, client_of(None, workers, 1) as client:
        task = _Task(folder, "cpu", 1, fresh=True, keep=False)
        client.wait_for_workers(workers)
        for place in client.scheduler_info()["workers"]:
            item = Experiment(seed=first + 500, epochs=1)
            client.submit(task, item.to_json(), workers=[place], pure=False).result()
        start = time.perf_counter()
        items = [Experiment(seed=first + index) for index in range(runs)]
        futures = [client.submit(task, item.to_json(), pure=False) for item in items]
        client.gather(futures)
        return time.perf_counter() - start


def main(
    runs: Annotated[int, typer.Option(min=2, help="Equal runs.")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="Measurements, the best counts.")] = 1,
    out: Annotated[Path | None, typer.Option(help="A file for the figures, JSON.")] = None,
) -> None:
    """Measure one worker against two."""
    one = [seconds(1, runs, repeat) for repeat in range(repeats)]
    two = [seconds(2, runs, repeat) for repeat in range(repeats)]
    figures = {
        "runs": runs,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "torch": torch.__version__,
        "seconds_one_worker": [round(value, 2) for value in one],
        "seconds_two_workers": [round(value, 2) for value in two],
        "throughput_ratio": round(min(one) / min(two), 3),
    }
    text = json.dumps(figures, indent=1)
    typer.echo(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
