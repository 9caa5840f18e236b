"""Maps of defences against attacks: each cell a number and its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnbd_book.claims import Sample
from snnbd_book.claims.pairs import effectiveness, separation
from snnbd_book.figures import style
from snnbd_book.figures.pages import address, as_html
from snnbd_book.runs import Record

Cells = Mapping[str, Mapping[str, Sample]]
"""Attack -> defence -> a figure over the seeds."""

Grid = Mapping[str, Mapping[str, Sequence[Record]]]

NARROW_SCREEN = "(max-width: 576px)"  # as in the book's style
_TOGETHER = 4  # columns that fit a narrow screen
_NARROW = 3.6  # inches, of a telephone's column

_LIGHT = 0.6  # share of the scale above which letters are white


def figures_of(runs: Grid, figure: str) -> dict[str, dict[str, Sample]]:
    """A figure of records, nested as they are."""
    return {
        name: {inner: Sample.of(group, figure) for inner, group in groups.items()}
        for name, groups in runs.items()
    }


def turned(cells: Cells) -> dict[str, dict[str, Sample]]:
    """The same cells with the inner names outside."""
    return {
        name: {outer: groups[name] for outer, groups in cells.items() if name in groups}
        for name in _rows(cells)
    }


def effectiveness_of(runs: Grid) -> dict[str, dict[str, Sample]]:
    """DER of each repair: attack -> repair, or "nothing" -> records becomes a figure for each."""
    return {
        attack: {
            repair: effectiveness(by_repair["nothing"], after)
            for repair, after in by_repair.items()
            if repair != "nothing"
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


def show_map(cells: Cells, *, label: str, colours: str = "Oranges", least: float = 0.0) -> HTML:
    """Attacks by defences: `draw_map` on wide screens, `draw_stacked` on narrow ones.

    Arguments are those of `draw_map`. The alternative text is the cell's, see `build.stage`.
    """
    drawn = (
        draw(cells, label=label, colours=colours, least=least) for draw in (draw_map, draw_stacked)
    )
    wide, narrow = (address(partial(one.savefig, format="png", dpi=200)) for one in drawn)
    source = f'<source media="{NARROW_SCREEN}" srcset="{narrow}">'
    return as_html(f'<picture class="snnbd-map">{source}<img alt="" src="{wide}"></picture>')


def draw_map(cells: Cells, *, label: str, colours: str = "Oranges", least: float = 0.0) -> Figure:
    """Attacks by defences, in percent.

    Args:
        cells: attack -> defence -> share or area; a cell that is not there stays empty.
        label: what a cell holds, above the map.
        colours: a colour map of matplotlib.
        least: the value of the palest colour.
    """
    figure = style.new_figure(0.42 * len(_rows(cells)) + 1.3)
    axes = figure.subplots()
    _fill(axes, cells, colours, least)
    axes.set_title(label)
    return figure


def draw_stacked(
    cells: Cells, *, label: str, colours: str = "Oranges", least: float = 0.0
) -> Figure:
    """The same as `draw_map` for narrow screens: at most four attacks in a panel."""
    attacks = list(cells)
    parts = np.array_split(np.arange(len(attacks)), math.ceil(len(attacks) / _TOGETHER))
    panels = [{attacks[at]: cells[attacks[at]] for at in part} for part in parts]
    widest = max(len(part) for part in parts)
    heights = [len(_rows(panel)) + 1.5 for panel in panels]
    figure = style.new_figure(0.37 * sum(heights) + 0.3, width=_NARROW)
    grid = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    for axes, panel in zip(grid, panels, strict=True):
        _fill(axes, panel, colours, least)
        axes.set_xlim(-0.5, widest - 0.5)  # cells of one width in all panels
    figure.suptitle(label, fontsize=9)
    return figure


def _rows(cells: Cells) -> list[str]:
    """Names of the defences, each once."""
    return list(dict.fromkeys(name for groups in cells.values() for name in groups))


def _fill(axes: Axes, cells: Cells, colours: str, least: float = 0.0) -> None:
    """A map of cells, each with its number and interval in percent."""
    attacks = list(cells)
    rows = _rows(cells)
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
