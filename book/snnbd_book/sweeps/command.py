"""``snnbd sweep grid.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from snnbd_book.sweeps.execution import run
from snnbd_book.sweeps.frame import SUFFIXES, write_frame
from snnbd_book.sweeps.grid import load_grid
from snnbd_book.sweeps.workers import SchedulerUnreachable
from snnbd_core.data import DataNotFound

MANY = 10_000


def cli(
    grid: Annotated[Path, typer.Argument(help="A grid over Experiment's fields, in YAML.")],
    *,
    scheduler: Annotated[
        str | None,
        typer.Option(help="A Dask scheduler, tcp://host:8786 [default: $SNNBD_SCHEDULER]."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            help="Local processes; 0: those of the scheduler, or as many as "
            "cores and memory allow.",
        ),
    ] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Of torch in each process.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(help="The table: .parquet or .csv [default: beside the grid, .parquet]."),
    ] = None,
    results: Annotated[Path | None, typer.Option(help="The folder for records.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what is done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help=f"Also above {MANY} runs.")] = False,
) -> None:
    """Run a grid of experiments; what is done already is not run again."""
    table = out or grid.with_suffix(".parquet")
    if table.suffix not in SUFFIXES:
        raise _failure(f"--out {table} must end in one of {', '.join(SUFFIXES)}")
    console = Console(stderr=True)
    try:
        chosen = load_grid(grid)
        if len(chosen) > MANY and not yes:
            raise _failure(
                f"{grid} says {len(chosen)} runs, more than {MANY}: add --yes if that is meant"
            )
        frame = run(
            chosen.experiments(),
            scheduler=scheduler,
            workers=workers or None,
            threads=threads,
            results=results,
            device=device,
            fresh=fresh,
            console=console,
        )
    except (ValueError, FileNotFoundError, DataNotFound, SchedulerUnreachable) as error:
        raise _failure(str(error)) from error
    except KeyboardInterrupt:
        console.print("stopped; what is done is kept, the same command goes on from there")
        raise typer.Exit(130) from None
    write_frame(frame, table)
    failed = int((frame["status"] == "failed").sum())
    console.print(f"{len(frame)} runs, {failed} failed; the table is {table}")
    if failed:
        raise typer.Exit(1)


def _failure(reason: str) -> typer.Exit:
    typer.secho(reason, err=True, fg=typer.colors.RED)
    return typer.Exit(2)
