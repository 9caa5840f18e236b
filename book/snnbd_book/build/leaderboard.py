"""The generated page *Leaderboard*: attacks against defences, from committed records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snnbd_book.build import records as files
from snnbd_book.claims import Sample
from snnbd_book.claims.pages import breakable
from snnbd_book.leaderboard import SETS, Row, cells, committed, row_of
from snnbd_book.leaderboard.rows import MISSING
from snnbd_book.runs import Record

PAGE = "book/leaderboard"
_HEAD = """# Leaderboard

The attacks that the chapters compare against the defences of chapters 6 to 9, on two embedded data
sets and on the real recordings of N-MNIST. Of {all} pairs, {measured} have records, {missing} were
**not run**, and for {other} the defence does not apply.

A figure is the mean over the networks of some seeds, with its 95 % interval ({{doc}}`intervals`).
The *floor* is what a clean network of the same seed answers to the trigger. Heads sort; *more*
unfolds the rest of a row and the records behind it. The tables are not printed.

**Repairs**: attack success and clean accuracy after the repair; folded, both before it, and the
rating DER of {{doc}}`../notebooks/09_removing_backdoors`.

**Detectors**: the area under the curve says how well scores tell attacked networks, inputs or
training samples from clean ones; 0.5 is chance. Below 0.5 a detector of training sets suspects the
clean samples. That happens where 10 % of the set are poison, as in most attacks but the squares and
BadNets: poison is then the larger half of its class. *Accused* is the share of networks that a
detector accuses at its own threshold. In the rows *no attack*, each of these is a false alarm.
Detectors of networks judge ten attacked networks in some pairs and three in others, beside as many
clean ones or ten; *more* says how many. With three the intervals are wide.

**On the device**: two attacks of {{doc}}`../notebooks/13_low_bits` wake there, one when
weights are rounded to 4 bits, one when a bit of the first threshold flips. Detectors judge it on
the device, beside clean ones that were rounded or flipped alike. A repair gets the network as it
was shipped, and what it leaves is rounded or flipped. A Trojan in a neuron is not here, for no
trigger in a test set wakes it; nor is a watermark, which has no trigger. Floors are those of clean
networks as shipped.

The network is `quick-conv`, trained by surrogate gradient unless the attacker brings a rule. With
the squares and BadNets 5 % of the training set are poisoned for repairs, 10 % for detectors of
networks and of inputs, 2 % for those of training sets; the share is under *more*. Poison is drawn
apart from the order of training ({{doc}}`intervals`). The floor of ABL is that of a clean network
which ABL trained. BadSNN at 1.2 or 1.5 is shipped at that threshold, so detectors of networks have
no area there: the clean networks are not shipped so. *Settings, no card* compares the layers of a
network with each other; with a card it finds BadSNN
({{doc}}`../notebooks/07_a_backdoor_in_the_network`). Seconds are those of a whole run, training
included, on the machine of its record.

`snnbd leaderboard` prints these tables, and `snnbd leaderboard add my_attack.py` measures an attack
of your own against all of these defences ({{doc}}`../notebooks/11_add_your_own`). It executes your
file and what that imports.

"""
_COLUMNS = {
    "Repairs": (
        "attack",
        "defence",
        "success after",
        "floor",
        "accuracy after",
        "seconds",
        "more",
    ),
    "Detectors": (
        "attack",
        "detector",
        "area",
        "accused",
        "success",
        "floor",
        "seconds",
        "more",
    ),
}
_WHAT = {
    "digits-events": "a simulated camera's recordings of handwritten digits",
    "digits": "images of handwritten digits",
    "nmnist": "real recordings",
}


def write(folder: Path) -> None:
    """Writes the page and the records that it leads to into the staged book."""
    find = committed()
    rows = {data: [row_of(one, find) for one in cells(data)] for data in SETS}
    every = [row for of_set in rows.values() for row in of_set]
    path = (folder / PAGE).with_suffix(".md")
    path.write_text(page(rows), encoding="utf-8")
    files.write([one for row in every for one in _behind(row)], path.parent)


def page(rows: dict[str, list[Row]]) -> str:
    """MyST text: for each data set a table of repairs and one of detectors."""
    every = [row for of_set in rows.values() for row in of_set]
    measured = sum(bool(row.records) for row in every)
    missing = sum(row.note == MISSING for row in every)
    other = len(every) - measured - missing
    counts = {"all": len(every), "measured": measured, "missing": missing, "other": other}
    return _HEAD.format(**counts) + "\n".join(
        _of_set(data, of_set) for data, of_set in rows.items()
    )


def _of_set(data: str, rows: Sequence[Row]) -> str:
    parts = [f"## {data}\n"]
    repairs = [row for row in rows if row.cell.kind == "repair"]
    for title, chosen in (
        ("Repairs", repairs),
        ("Detectors", [row for row in rows if row.cell.kind != "repair"]),
    ):
        names = _COLUMNS[title]
        line = _repair if title == "Repairs" else _detector
        # Heads sort by what is shown first: what has a record.
        order = sorted(chosen, key=lambda row: not row.records)
        table = [names, ["---"] * len(names), *map(line, order)]
        body = "\n".join(f"| {' | '.join(cells)} |" for cells in table)
        caption = f"{title} on {data}: {_WHAT[data]}"
        parts.append(f":::{{table}} {caption}\n:class: runs board\n\n{body}\n:::\n")
    return "\n".join(parts)


def _repair(row: Row) -> list[str]:
    cell = row.cell
    if row.note:
        return [cell.attack, cell.defence, *_empty(row, "Repairs")]
    figures = [_shown(one) for one in (row.success, row.floor, row.accuracy)]
    return [cell.attack, cell.defence, *figures, f"{row.seconds:.0f}", _more(row)]


def _detector(row: Row) -> list[str]:
    names = [row.cell.attack, row.cell.named]
    if row.note:
        return [*names, *_empty(row, "Detectors")]
    figures = (row.area, row.accused, row.success, row.floor)
    return [*names, *map(_shown, figures), f"{row.seconds:.0f}", _more(row)]


def _shown(figure: Sample | None) -> str:
    return "-" if figure is None else str(figure)


def _empty(row: Row, table: str) -> list[str]:
    """What stands in place of the figures, and why."""
    noted = f'<span class="not-run">{row.note}</span>'
    why = _folded([breakable(row.cell.why.replace("|", "/"))]) if row.cell.why else "-"
    return [noted, *["-"] * (len(_COLUMNS[table]) - 4), why]


def _more(row: Row) -> str:
    """What is folded: figures before a repair, the settings, the records."""
    figures = {
        "success before": row.success_before,
        "accuracy before": row.accuracy_before,
        "DER": row.rating,
        "accused of clean networks": row.false_alarms,
    }
    lines = [f"{name} {figure}" for name, figure in figures.items() if figure is not None]
    one = row.records[0].experiment
    if one.rate:
        lines.append(f"{100 * one.rate:g} % poisoned")
    seeds = [record.experiment.seed for record in row.records]
    networks = f"{len(seeds)} networks, seeds {seeds[0]} to {seeds[-1]}"
    beside = f", beside {len(row.clean)} clean ones" if row.clean else ""
    lines.append(f"{networks}{beside}, {row.seconds:.0f} s a run")
    for name, group in (
        ("records", row.records),
        ("before", row.before),
        ("clean networks", row.clean),
    ):
        if group:
            lines.append(f"{name}: {' '.join(map(_link, group))}")
    return _folded(lines)


def _folded(lines: Sequence[str]) -> str:
    return f"<details><summary>more</summary>{'<br>'.join(lines)}</details>"


def _link(record: Record) -> str:
    return f"[{record.experiment.hash[:6]}]({files.address(record)})"


def _behind(row: Row) -> tuple[Record, ...]:
    return (*row.records, *row.before, *row.clean)
