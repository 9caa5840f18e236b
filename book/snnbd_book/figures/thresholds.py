"""Rates over the threshold of the deployed neurons, as curves and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnbd_book.claims import Sample
from snnbd_book.figures import style
from snnbd_book.runs import Record

_CURVES = {
    "success (solid), target\nwithout trigger (dashed)": (
        "attack_success_rate",
        "untriggered_target_rate",
    ),
    "clean accuracy (solid), no\nanswer, triggered (dashed)": (
        "clean_accuracy",
        "no_prediction_triggered",
    ),
}
"""What a row of panels shows -> the figures of its solid and of its dashed curves."""


def draw_thresholds(
    runs: Mapping[str, Mapping[str, Mapping[float, Sequence[Record]]]],
    shipped: Sequence[float] = (),
) -> Figure:
    """Four rates, two a panel, against the inference threshold: means over seeds, 95 % bands.

    Args:
        runs: title of a column -> name of a network -> V_thr^a -> the records of its seeds.
        shipped: thresholds that the paper ships, marked by vertical lines.
    """
    figure = style.new_figure(2.4 * len(_CURVES) + 0.6)
    grid = figure.subplots(len(_CURVES), len(runs), sharex=True, sharey=True, squeeze=False)
    for row, (label, (solid, dashed)) in zip(grid, _CURVES.items(), strict=True):
        row[0].set_ylabel(f"{label} (%)")
        for axes, networks in zip(row, runs.values(), strict=True):
            for (name, by_threshold), colour in zip(networks.items(), style.SERIES, strict=False):
                _draw_rate(axes, by_threshold, solid, fmt="o-", color=colour, label=name)
                _draw_rate(axes, by_threshold, dashed, fmt="s--", color=colour)
            for at in shipped:
                axes.axvline(at, color=style.CURRENT, linestyle=":", linewidth=0.8)
            axes.set(ylim=(-3, 103), yticks=(0, 50, 100))
    for axes, title in zip(grid[0], runs, strict=True):
        axes.set_title(title)
    for axes in grid[-1]:
        axes.set_xlabel("inference threshold")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


def _draw_rate(
    axes: Axes, runs: Mapping[float, Sequence[Record]], field: str, *, fmt: str, **line: str
) -> None:
    thresholds = sorted(runs)
    samples = [Sample.of(runs[at], field) for at in thresholds]
    low, high = zip(*(one.interval for one in samples), strict=True)
    axes.fill_between(
        thresholds, [100 * x for x in low], [100 * x for x in high], color=line["color"], alpha=0.12
    )
    means = [100 * one.mean for one in samples]
    axes.plot(thresholds, means, fmt, markersize=4, **line)  # type: ignore[arg-type]  # all texts
