"""Rates over the threshold of the deployed neurons, as curves and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from snnbd_book.claims import Sample
from snnbd_book.figures import style
from snnbd_book.figures.marks import draw_band
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
            for name, by_threshold, colour, _ in style.told_apart(networks):
                thresholds = sorted(by_threshold)
                for field, line in ((solid, "o-"), (dashed, "s--")):
                    samples = [Sample.of(by_threshold[at], field) for at in thresholds]
                    shown = axes, thresholds, samples, line
                    named = name if field == solid else None
                    draw_band(*shown, colour=colour, label=named, size=4, alpha=0.12)
            for at in shipped:
                axes.axvline(at, color=style.CURRENT, linestyle=":", linewidth=0.8)
            axes.set(ylim=(-3, 103), yticks=(0, 50, 100))
    for axes, title in zip(grid[0], runs, strict=True):
        axes.set_title(title)
    for axes in grid[-1]:
        axes.set_xlabel("inference threshold")
    style.legend_below(figure, grid[0, 0], 3)
    return figure
