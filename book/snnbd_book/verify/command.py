"""``snnbd verify``, ``snnbd stale`` and ``snnbd reproduce``."""

from __future__ import annotations

import datetime
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from snnbd_book import claims, sweeps
from snnbd_book.claims.pages import table
from snnbd_book.runs import (
    Experiment,
    Record,
    all_recorded,
    commit,
    machine,
    records_in,
    resolve,
    results_dir,
)
from snnbd_book.runs.command import told
from snnbd_book.runs.profiles import sizes
from snnbd_book.runs.provenance import git_state
from snnbd_book.verify import choosing, costs, holdings
from snnbd_book.verify.comparing import compare
from snnbd_book.verify.groups import Groups
from snnbd_book.verify.history import Entry, append, now
from snnbd_book.verify.judging import AGREES, DIFFERS, EQUAL, Judgement, judge
from snnbd_book.verify.rerunning import again, rerun
from snnbd_book.verify.sampling import draw, shard
from snnbd_core import checks, data
from snnbd_core.data import DataNotFound
from snnbd_core.data.downloads import BY_HAND, SOURCES

_HEADLINES = ("clean_accuracy", "attack_success_rate", "floor", "spikes_clean")
_WIDTH = 160  # of a table without a terminal
_SHARE = 0.8  # of the time, for which runs are drawn: the rest is their start
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


def verify(
    minutes: Annotated[float, typer.Option(min=0.1, help="Wall time.")] = 5,
    seed: Annotated[str, typer.Option(help="Of the sample [default: today's date].")] = "",
    part: Annotated[str, typer.Option("--shard", help="Draw from part K of N: K/N.")] = "0/1",
    record: Annotated[bool, typer.Option("--record", help="Add a line to the history.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a random sample of the committed records again and compare.

    Exit status: 0 all agree, 1 some differ, 2 none could be verified.
    """
    start = time.perf_counter()
    seed = seed or f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    console = Console(stderr=True)
    with told():
        every = all_recorded()
        chosen = draw(
            shard(_here(every), *_part(part)), seed, 60 * minutes * sweeps.fitting() * _SHARE
        )
        if not chosen:
            raise ValueError("no committed record can be run here: its data set is elsewhere")
        again, errors = rerun([item.experiment for item in chosen], 60 * minutes, console=console)
    judgement = _judged(chosen, again, every)
    if record:
        append(_entry(judgement, errors, seed, time.perf_counter() - start))
    _tell(judgement, errors, as_json)
    if not judgement.holds or errors:
        raise typer.Exit(1)
    if not judgement.comparisons:
        raise typer.Exit(2)


def stale(as_json: AsJson = False) -> None:
    """List committed records that are not what a run would give now, and what running costs."""
    with told():
        found = [(item, _why(item)) for item in all_recorded()]
    kinds: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for item, why in found:
        if why is not None:
            kinds[item.experiment.name, why.split()[0]].append(item)
    if as_json:
        rows = [
            {"runs": name, "other": what, "count": len(items), "seconds": _seconds(items)}
            for (name, what), items in sorted(kinds.items())
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    for (name, what), items in sorted(kinds.items()):
        typer.echo(f"{len(items):5}  {_seconds(items):8.0f} s  other {what:5}  {name}")
    old = [item for item, why in found if why is not None]
    typer.echo(
        f"{len(old)} of {len(found)} records are stale; running them again takes about "
        f"{_seconds(old) / 60:.0f} minutes of one core"
    )


def reproduce(
    profile: Annotated[str, typer.Option(help="quick, sample or paper.")] = "quick",
    paper: Annotated[str | None, typer.Option(help="Only a paper's claims.")] = None,
    only_stale: Annotated[
        bool, typer.Option("--stale", help="Only records that other code or data made.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it takes.")] = False,
    replace: Annotated[
        bool, typer.Option("--commit", help="Put the new records in place of the committed.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--data", help="Only runs on this set; may be repeated, the first comes first."
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Begin no run after so many; those begun end.")
    ] = None,
) -> None:
    """Run every run of the book again on this machine, and say what agrees.

    A run that is done is not repeated: the same command goes on where it was stopped. Sets that are
    not here are downloaded where that is possible; runs on others are left out. In profile paper a
    part of a set is refused. With --paper the paper's figures stand beside ours at the end.
    Runs go side by side as far as cores and memory allow, on a card one after the other;
    $SNNBD_SCHEDULER names the scheduler of a cluster.
    """
    start = time.perf_counter()
    console = Console(stderr=True)
    with told():
        sizes(profile)
        checks.choice("device", device.partition(":")[0], ("auto", "cpu", "cuda", "mps"))
        about = None if paper is None else claims.load(paper)
        every = all_recorded()
        wanted = choosing.wanted(every, profile, about, names or ())
        if only_stale:
            wanted = _old(wanted, every)
        here = holdings.held(wanted)
        if dry_run:
            typer.echo(costs.told(wanted, every, here, holdings.parts(here, profile)))
            if wanted:
                typer.echo(choosing.told(wanted, device))
            return
        holdings.refuse(here, profile)
        left_out = _fetched(sorted({item.data for item in wanted} - here.keys()), console)
        wanted = [one for one in wanted if one.data not in left_out]
        fetched = [one for one in wanted if one.data not in here]
        holdings.refuse(holdings.held(fetched), profile)
        folder = results_dir() / "reproduced"
        holdings.opened(wanted)
        begin = None if minutes is None else 60 * minutes - (time.perf_counter() - start)
        errors, left = again(wanted, folder, device, begin, first=names or (), console=console)
        hashes = {item.hash for item in wanted}
        made = [item for item in records_in(folder) if item.experiment.hash in hashes]
        judgement = _judged(every, made, every)
        if replace:
            commit(made)
        if about is not None:
            judged = [
                claims.judge(claim, profile, run=False, results=folder) for claim in about.claims
            ]
            Console(width=None if console.is_terminal else _WIDTH).print(table(judged))
    _tell(judgement, errors, as_json=False)
    if left:
        typer.echo(f"{left} runs are left; the same command goes on from there")
    if not judgement.holds or errors:
        raise typer.Exit(1)


def _old(wanted: Iterable[Experiment], every: Iterable[Record]) -> list[Experiment]:
    """Those of some runs whose committed record other code or data made."""
    by_hash = {item.experiment.hash: item for item in every}
    found = ((run, by_hash.get(run.hash)) for run in wanted)
    return [run for run, item in found if item is not None and _why(item) is not None]


def _here(records: Iterable[Record]) -> list[Record]:
    """Records whose data set is here, and is what it was."""
    return [item for item in records if _dataset(item.experiment) == item.provenance.dataset]


def _dataset(experiment: Experiment) -> str | None:
    """The fingerprint of an experiment's data set; None where it is not here."""
    try:
        return resolve(experiment).fingerprint
    except DataNotFound:
        return None


def _why(record: Record) -> str | None:
    return record.provenance.staleness(record.experiment, _dataset(record.experiment))


def _fetched(absent: Iterable[str], console: Console) -> list[str]:
    """Downloads the sets for which that is possible; gives the others."""
    rest = []
    for name in absent:
        if name in SOURCES:
            data.load(name, download=True)
        else:
            rest.append(name)
            how = f"{name} is not here and must be got by hand: its runs are left out"
            console.print(f"{how}. {BY_HAND[name]}", soft_wrap=True)
    return rest


def _part(text: str) -> tuple[int, int]:
    number, slash, count = text.partition("/")
    if not (slash and number.isdigit() and count.isdigit()):
        raise ValueError(f"--shard {text!r} must be K/N, such as 0/7")
    return int(number), int(count)


def _judged(records: Iterable[Record], again: Iterable[Record], every: list[Record]) -> Judgement:
    groups = Groups(every)
    by_hash = {item.experiment.hash: item for item in again}
    return judge(
        [
            compare(item, by_hash[item.experiment.hash], groups)
            for item in records
            if item.experiment.hash in by_hash
        ]
    )


def _entry(judgement: Judgement, errors: dict[str, str], seed: str, seconds: float) -> Entry:
    counts = Counter(judgement.verdicts)
    made_on = Counter(
        item.record.provenance.processor or "unknown" for item in judgement.comparisons
    )
    return Entry(
        date=now(),
        seed=seed,
        commit=git_state()[0],
        processor=machine.processor(),
        made_on=dict(made_on),
        equal=counts[EQUAL],
        agrees=counts[AGREES],
        differs=counts[DIFFERS],
        reasons=(*judgement.reasons, *(f"{name}: failed" for name in errors)),
        seconds=round(seconds, 1),
    )


def _tell(judgement: Judgement, errors: dict[str, str], as_json: bool) -> None:
    counts = Counter(judgement.verdicts)
    if as_json:
        values = asdict(_entry(judgement, errors, "", 0.0)) | {"power": judgement.power}
        typer.echo(json.dumps(values, indent=1))
        return
    for reason in judgement.reasons:
        typer.echo(f"differs: {reason}")
    for name, error in errors.items():
        typer.echo(f"failed: {name}: {error.strip().splitlines()[-1]}")
    typer.echo(
        f"{len(judgement.verdicts)} records run again: {counts[EQUAL]} equal to the bit, "
        f"{counts[AGREES]} agree within the luck of training, {counts[DIFFERS]} differ"
    )
    shown = [
        f"{name} {change:.1%}" if name != "spikes_clean" else f"{name} {change:.0f}"
        for name, change in judgement.power.items()
        if name in _HEADLINES
    ]
    if shown:
        typer.echo(f"a change of all of them would be found (4 of 5 times) from {', '.join(shown)}")


def _seconds(records: Iterable[Record]) -> float:
    return sum(item.provenance.seconds for item in records)
