"""Maps of defences against attacks: each cell a number and its 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnbd_book.claims import Sample
from snnbd_book.claims.pairs import effectiveness, separation
from snnbd_book.figures import style
from snnbd_book.runs import Record

Cells = Mapping[str, Mapping[str, Sample]]
"""Attack -> defence -> a figure over the seeds."""

Grid = Mapping[str, Mapping[str, Sequence[Record]]]

_LIGHT = 0.6  # share of the scale above which letters are white


def figures_of(runs: Grid, figure: str) -> dict[str, dict[str, Sample]]:
    """A figure of records, nested as they are."""
    return {
        name: {inner: Sample.of(group, figure) for inner, group in groups.items()}
        for name, groups in runs.items()
    }


def turned(cells: Cells) -> dict[str, dict[str, Sample]]:
    """The same cells with the inner names outside."""
    inner = dict.fromkeys(name for groups in cells.values() for name in groups)
    return {
        name: {outer: groups[name] for outer, groups in cells.items() if name in groups}
        for name in inner
    }


def effectiveness_of(runs: Grid, nothing: str = "nothing") -> dict[str, dict[str, Sample]]:
    """DER of each repair: attack -> repair -> its records becomes a figure for each."""
    return {
        attack: {
            repair: effectiveness(by_repair[nothing], after)
            for repair, after in by_repair.items()
            if repair != nothing
        }
        for attack, by_repair in runs.items()
    }


def areas_of_networks(runs: Grid) -> dict[str, dict[str, Sample]]:
    """ "detector, attack" -> clean and attacked networks, as attack -> detector -> area."""
    found: dict[str, dict[str, Sample]] = {}
    for name, groups in runs.items():
        detector, _, attack = name.partition(", ")
        found.setdefault(attack, {})[detector] = separation(groups["clean"], groups["attacked"])
    return found


def draw_map(cells: Cells, *, label: str, colours: str = "Oranges", least: float = 0.0) -> Figure:
    """Attacks by defences, in per cent.

    Args:
        cells: attack -> defence -> share or area; a cell that is not there stays empty.
        label: what a cell holds, above the map.
        colours: a colour map of matplotlib.
        least: the value of the palest colour.
    """
    rows = len(dict.fromkeys(name for groups in cells.values() for name in groups))
    figure = style.new_figure(0.42 * rows + 1.3)
    axes = figure.subplots()
    _fill(axes, cells, colours, least)
    axes.set_title(label)
    return figure


def _fill(axes: Axes, cells: Cells, colours: str, least: float = 0.0) -> None:
    """A map of cells, each with its number and interval in per cent."""
    attacks = list(cells)
    rows = list(dict.fromkeys(name for groups in cells.values() for name in groups))
    values = np.full((len(rows), len(attacks)), np.nan)
    for (row, column), _ in np.ndenumerate(values):
        sample = cells[attacks[column]].get(rows[row])
        if sample is None:
            continue
        values[row, column] = sample.mean
        low, high = sample.interval
        light = (sample.mean - least) / (1 - least) > _LIGHT
        axes.text(
            column,
            row,
            f"{100 * sample.mean:.0f}\n({100 * low:.0f}-{100 * high:.0f})",
            ha="center",
            va="center",
            fontsize=6.5,
            color="white" if light else "black",
        )
    axes.imshow(values, cmap=colours, vmin=least, vmax=1.1, aspect="auto")
    axes.set_xticks(range(len(attacks)), attacks, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
