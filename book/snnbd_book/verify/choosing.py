"""Which runs are done again, and how many of them at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from snnbd_book import claims, sweeps
from snnbd_book.runs import Experiment, Record
from snnbd_book.verify import costs
from snnbd_core import checks

_GIB = 2**30


def wanted(
    every: Iterable[Record], profile: str, paper: claims.Paper | None, names: Sequence[str] = ()
) -> list[Experiment]:
    """The runs of a profile: those that have a committed record, or those of a paper's claims.

    Where data sets are named, only the runs on these.

    Raises:
        ValueError: a name of a set on which none of the runs is.
    """
    if paper is not None:
        runs = claims.experiments(paper, profile)
    else:
        runs = [item.experiment for item in every if item.experiment.profile == profile]
    allowed = sorted({run.data for run in runs})
    for name in names:
        checks.choice("data", name, allowed)
    return [run for run in runs if not names or run.data in names]


def at_once(runs: Iterable[Experiment], device: str) -> int:
    """How many local workers there are cores and memory for; one on a card."""
    most = max(map(memory, costs.trainings(runs).values()), default=0.0)
    return sweeps.fitting(max(sweeps.MEMORY_PER_WORKER, most), device)


def memory(run: Experiment) -> float:
    """Bytes that a training takes, estimated.

    What layers give, twice, weights with their optimiser, and the set as the cache holds it.
    """
    size = costs.size_of(run.network, run.data, run.width)
    trained = 4.0 * (2 * size.kept * run.frames * run.batch_size + 4 * size.weights)
    return trained + costs.cached(run.data, run.frames)


def told(runs: Sequence[Experiment], device: str) -> str:
    """The memory of the largest of some runs and how many are done at once, for people."""
    largest = max(costs.trainings(runs).values(), key=memory)
    most = memory(largest)
    one = (
        f"memory: up to {most / _GIB:.1f} GiB, for {largest.network} on {largest.data} in "
        f"batches of {largest.batch_size}"
    )
    return f"{one}\nat once: {_workers(min(at_once(runs, device), len(runs)), most, device)}"


def _workers(count: int, most: float, device: str) -> str:
    if scheduler := os.environ.get("SNNBD_SCHEDULER"):
        return f"as many as the scheduler at {scheduler} has workers"
    if card := sweeps.card(device):
        return f"1 worker, on {card}"
    here = sweeps.memory_here()
    less = ": that is too little, so such runs would fail" if most > here else ""
    plural = "s" if count > 1 else ""
    return (
        f"{count} worker{plural}, with up to {count * most / _GIB:.1f} GiB together of "
        f"{here / _GIB:.1f} GiB here{less}"
    )
