"""``snnbd claims``: the table of verdicts, and a non-zero exit when one is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer
from rich.console import Console

from snnbd_book.claims.pages import summary, table, to_json
from snnbd_book.claims.paper import Claim, load, load_all
from snnbd_book.claims.verdict import Judgement, experiments, judge
from snnbd_book.runs import Experiment, at_hand
from snnbd_book.runs.profiles import sizes
from snnbd_core.data import DataNotFound

_WIDTH_WITHOUT_TERMINAL = 160


def cli(
    profile: Annotated[str, typer.Option(help="quick, sample or paper.")] = "quick",
    paper: Annotated[str | None, typer.Option(help="One paper, as its file in claims/.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="In place of the paper's seeds.")] = None,
    run: Annotated[
        bool | None,
        typer.Option(help="Run what has no record yet [default: in the quick profile only]."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            help="Processes to run in; 0: those of $SNNBD_SCHEDULER, or as "
            "many as cores and memory allow.",
        ),
    ] = 0,
) -> None:
    """Judge the papers' claims; exit with 1 when one on record as reproduced no longer is."""
    try:
        sizes(profile)
        papers = (load(paper),) if paper else load_all()
    except (ValueError, OSError) as error:
        typer.secho(str(error), err=True, fg=typer.colors.RED)
        raise typer.Exit(2) from error
    claims = [claim for each in papers for claim in each.claims]
    may_run = profile == "quick" if run is None else run
    if may_run:
        try:
            run_missing(claims, profile, seed, device=device, workers=workers)
        except ConnectionError as error:  # the scheduler's
            typer.secho(str(error), err=True, fg=typer.colors.RED)
            raise typer.Exit(2) from error
    judgements = [judge(claim, profile, seeds=seed, run=may_run, device=device) for claim in claims]
    _print(judgements, as_json)
    if any(item.lost for item in judgements):
        raise typer.Exit(1)


def run_missing(
    claims: Iterable[Claim],
    profile: str,
    seeds: Sequence[int] | None = None,
    *,
    device: str = "auto",
    workers: int = 0,
    scheduler: Callable[[], str] | None = None,
    console: Console | None = None,
) -> None:
    """Runs side by side what judging the claims will ask for; a judgement then reads the records.

    Args:
        claims, profile, seeds: as for `judge`.
        workers: processes to run in; 0: as `sweeps.run` has them.
        scheduler: gives the address of one whose workers run them; asked if there are any to run.
        console: where progress is shown; default: the standard error.
    """
    todo = [item for item in experiments(claims, profile, seeds) if _is_missing(item)]
    if todo:
        # Dask is slow to import and not needed to read records, as the chapters do.
        from snnbd_book import sweeps

        shown = console or Console(stderr=True)
        address = None if scheduler is None else scheduler()
        sweeps.run(todo, scheduler=address, workers=workers or None, device=device, console=shown)


def _is_missing(item: Experiment) -> bool:
    """Whether it must be run, and can be: without its data set there is nothing to do."""
    try:
        return at_hand(item) is None
    except DataNotFound:
        return False


def _print(judgements: list[Judgement], as_json: bool) -> None:
    if as_json:
        typer.echo(to_json(judgements))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_WITHOUT_TERMINAL)
    console.print(table(judgements))
    lost = [item for item in judgements if item.lost]
    for item in lost:
        console.print(f"{item.claim.paper} {item.claim.id}: was reproduced, is {item.verdict}")
    console.print(summary(judgements))
