"""``snnbd leaderboard`` and ``snnbd leaderboard add``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from snnbd_book.claims import Sample
from snnbd_book.leaderboard.cells import ATTACKS, DEFENCES, SETS, cells
from snnbd_book.leaderboard.measuring import How, measured, planned
from snnbd_book.leaderboard.own import load
from snnbd_book.leaderboard.rows import MISSING, NOT_FOR, Row, committed, row_of
from snnbd_book.runs.command import AsJson, Device, told
from snnbd_core import checks

__all__ = ["app"]

_WIDTH = 160  # of a table without a terminal
_HASHES = 6  # digits of a hash in a table; JSON has whole names
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def leaderboard(
    context: typer.Context,
    data: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(SETS)} [default: all].")
    ] = None,
    attack: Annotated[str | None, typer.Option(help="One attack, by the table's name.")] = None,
    defence: Annotated[str | None, typer.Option(help="One defence, likewise.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also pairs without a record.")] = False,
    as_json: AsJson = False,
) -> None:
    """Every attack of the book against every defence, from committed records.

    snnbd leaderboard --data digits-events --attack static
    """
    if context.invoked_subcommand is not None:
        return
    with told():
        chosen = _chosen(data, attack, defence)
        find = committed()
        rows = [
            row
            for name in chosen
            for one in cells(name)
            if (attack in (None, one.attack)) and (defence in (None, one.defence))
            for row in [row_of(one, find)]
        ]
    _print([row for row in rows if every or not row.note], as_json)
    if not as_json:
        missing = sum(row.note == MISSING for row in rows)
        other = sum(row.note == NOT_FOR for row in rows)
        typer.echo(
            f"{len(rows)} pairs: {len(rows) - missing - other} measured, {missing} not run, "
            f"{other} to which the defence does not apply"
        )


@app.command()
def add(
    file: Annotated[
        str, typer.Argument(help="A Python file with an attack, or FILE:NAME. It is executed.")
    ],
    *,
    data: Annotated[str, typer.Option(help=f"One of {', '.join(SETS)}.")] = "digits-events",
    defence: Annotated[
        list[str] | None, typer.Option(help="Only this one; may be repeated.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Share of the training set that is poisoned.")] = 0.1,
    target: Annotated[int, typer.Option(min=0, help="The attacker's class.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the network.")] = 0,
    minutes: Annotated[
        float, typer.Option(min=0.01, help="After these no other defence is begun.")
    ] = 10,
    results: Annotated[Path | None, typer.Option(help="The folder for records.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure an attack of your own against all defences, and print its rows.

    The file and what it imports are executed, as Python executes a program: name only one that
    you trust. Records know an edit of the file, not one of what it imports. It holds a
    trigger, a frozen dataclass with a `space` and a call, as chapter 11 of the book shows. The
    profile's network is trained under it, and a clean one for the floor. The records go into the
    results folder. One seed is one network: quote three.

    snnbd leaderboard add my_attack.py
    """
    how = How(data, rate, target, seed, minutes, device, results)
    with told():
        checks.choice("--data", data, SETS)
        own = load(file)
        chosen = planned(own, how, defence or ())
        console = Console(stderr=True)
        shown = track(
            measured(own, chosen, how),
            f"{own.name} against {len(chosen)} defences",
            total=len(chosen),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        rows = list(shown)
    _print(rows, as_json)


def _chosen(data: str | None, attack: str | None, defence: str | None) -> Sequence[str]:
    """The data sets to show; raises ValueError for a name that none of them knows."""
    if data is not None:
        checks.choice("--data", data, SETS)
    chosen = list(SETS) if data is None else [data]
    for option, name, known in (("--attack", attack, ATTACKS), ("--defence", defence, DEFENCES)):
        if name is not None:
            checks.choice(option, name, dict.fromkeys(one for of in chosen for one in known[of]))
    return chosen


def _print(rows: Sequence[Row], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([row.to_dict() for row in rows], indent=1, allow_nan=False))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    repairs = [row for row in rows if row.cell.kind == "repair"]
    detectors = [row for row in rows if row.cell.kind != "repair"]
    for title, chosen, names in (
        ("Repairs", repairs, ("success after", "success before", "floor", "accuracy after")),
        ("Detectors", detectors, ("area", "accused", "success", "floor")),
    ):
        if chosen:
            console.print(_table(title, chosen, names))
    for row in rows:
        if row.cell.why:
            said = f"{row.cell.attack}, {row.cell.defence}: {row.cell.why}"
            console.print(said, markup=False, highlight=False)


_NAMED = {
    "success after": "success",
    "success before": "success_before",
    "accuracy after": "accuracy",
}


def _table(title: str, rows: Sequence[Row], names: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for head in ("data", "attack", "defence", *names, "s", "record"):
        table.add_column(head, justify="right" if head == "s" else "left")
    for row in rows:
        cell = row.cell
        figures = [_shown(getattr(row, _NAMED.get(name, name))) for name in names]
        if row.note:
            figures[0] = row.note
        seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
        hashes = " ".join(one.experiment.hash[:_HASHES] for one in row.records[:3])
        table.add_row(cell.data, cell.attack, cell.named, *figures, seconds, hashes)
    return table


def _shown(figure: Sample | None) -> str:
    return "-" if figure is None else str(figure)
