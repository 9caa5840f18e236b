"""``snnbd claims``: verdicts and findings, and a non-zero exit when one is lost or false."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from snnbd_book.chapters.findings import evaluated
from snnbd_book.claims import Judgement, judge, load, load_all, run_missing
from snnbd_book.claims.finding import load_findings
from snnbd_book.claims.pages import summary, table, to_json
from snnbd_book.runs.profiles import sizes

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
    """Judge the papers' claims and test the book's findings.

    Exits with 1 when a claim on record as reproduced no longer is, or a finding does not hold.
    """
    try:
        sizes(profile)
        papers = (load(paper),) if paper else load_all()
        findings = {} if paper else load_findings()
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
    outcomes = evaluated(findings.values())
    false = {name: one for name, one in outcomes.items() if not one.holds}
    lines = [f"finding {name}: {one.error or one.shown}" for name, one in false.items()]
    if not as_json and outcomes:
        lines.append(f"{len(outcomes)} findings, {len(false)} do not hold")
    for line in lines:
        typer.echo(line, err=as_json)
    if false or any(item.lost for item in judgements):
        raise typer.Exit(1)


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
