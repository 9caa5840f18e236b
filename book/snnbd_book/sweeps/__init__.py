"""Sweeps: a grid of experiments on Dask, from two cores to a cluster.

    grid = load_grid("grid.yaml")
    frame = run(grid.experiments())        # a tidy table, one row per run

=========  =====================================================================================
module     one subject
=========  =====================================================================================
grid       ``grid.yaml`` -> `Grid` -> experiments
execution  `run`: submit, watch, collect; failures and killed workers; `local_workers`
display    the live table of done / running / failed
frame      records -> a tidy table, and its file
command    ``snnbd sweep``
=========  =====================================================================================
"""

from __future__ import annotations

from snnbd_book.sweeps.command import cli
from snnbd_book.sweeps.execution import records, run
from snnbd_book.sweeps.frame import write_frame
from snnbd_book.sweeps.grid import Grid, load_grid
from snnbd_book.sweeps.workers import (
    MEMORY_PER_WORKER,
    SchedulerUnreachable,
    answering,
    card,
    fitting,
    local_workers,
    memory_here,
)

__all__ = [
    "MEMORY_PER_WORKER",
    "Grid",
    "SchedulerUnreachable",
    "answering",
    "card",
    "cli",
    "fitting",
    "load_grid",
    "local_workers",
    "memory_here",
    "records",
    "run",
    "write_frame",
]
