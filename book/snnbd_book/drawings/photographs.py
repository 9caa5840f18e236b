"""Chapter 5: BadSNN on photographs, beside the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnbd_book.claims import Paper, Sample
from snnbd_book.drawings.lesson import MARKS
from snnbd_book.figures import style
from snnbd_book.figures.marks import draw_interval
from snnbd_book.runs import Record

__all__ = ["draw_beside_paper"]

_HEIGHTS = {
    "success": 0.27,
    "target without trigger": 0.09,
    "floor (clean network)": -0.09,
    "clean accuracy": -0.27,
}
"""Name of one of `MARKS` -> its height beside the row."""


def draw_beside_paper(
    sets: Mapping[str, Mapping[str, Mapping[float, Sequence[Record]]]], paper: Paper
) -> Figure:
    """A panel for each set and trigger, a row for each threshold; open marks are the paper's.

    Args:
        sets: title of a set -> trigger, such as "T_p" or "T_p, not standardised" -> inference
            threshold -> records of its seeds; the nominal threshold, which the paper does not ship,
            is passed over.
        paper: its claims are named by set and threshold, "gtsrb-1.10", and have the figures "CA"
            and "ASR (T_p)".
    """
    figure = style.new_figure(2.1 * len(sets) + 0.7)
    columns = len(next(iter(sets.values())))
    grid = figure.subplots(len(sets), columns, sharex=True, sharey=True, squeeze=False)
    for panels, (title, by_trigger) in zip(grid, sets.items(), strict=True):
        for axes, (trigger, by_threshold) in zip(panels, by_trigger.items(), strict=True):
            shipped = {at: records for at, records in by_threshold.items() if at > 1}
            for row, (at, records) in enumerate(shipped.items()):
                data = records[0].experiment.data.removesuffix("-small")
                figures = paper[f"{data}-{at:.2f}"].figures
                quoted = {one.label: one.paper for one in figures}
                said = quoted[f"ASR ({trigger.partition(',')[0]})"]
                theirs = {"success": said, "clean accuracy": quoted["CA"]}
                _draw_row(axes, row, records, theirs)
            axes.set_yticks([-row for row in range(len(shipped))], [f"{at:.2f}" for at in shipped])
            name, comma, how = trigger.partition(",")
            axes.set_title(f"{title},\n${name}${comma}{how}")
            axes.set(xlim=(-3, 103), ylim=(0.5 - len(shipped), 0.5))
            axes.grid(axis="x", linewidth=0.4)
        panels[0].set_ylabel("threshold")
    for axes in grid[-1]:
        axes.set_xlabel("%")
    style.legend_below(figure, grid[0, 0], columns=3)
    return figure


def _draw_row(
    axes: Axes, row: int, records: Sequence[Record], theirs: Mapping[str, float | None]
) -> None:
    for name, beside in _HEIGHTS.items():
        field, mark, colour, _ = MARKS[name]
        sample, height = Sample.of(records, field), beside - row
        draw_interval(axes, sample, height, mark, colour=colour, label=name)
        said = theirs.get(name)
        if said is not None:
            label = f"{name}, the paper"
            (open_mark,) = axes.plot(
                100 * said, height, mark, color=colour, markersize=7, label=label
            )
            open_mark.set_markerfacecolor("none")
