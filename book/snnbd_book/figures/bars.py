"""A report's rates as bars."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snnbd_book.figures import style
from snnbd_core.metrics import Report


def draw_bars(values: Mapping[str, float]) -> np.ndarray:
    """Shares as horizontal bars, as an image uint8 [H, W, 3] for `stills`."""
    figure = style.new_figure(1.4, 5.0)
    axes = figure.subplots()
    names = list(values)[::-1]
    axes.barh(names, [100 * values[name] for name in names], color=style.SERIES[0])
    axes.set(xlim=(0, 100), xlabel="%")
    return style.bitmap(figure)


def draw_figures(report: Report, figures: Mapping[str, str]) -> tuple[np.ndarray, str]:
    """Some of a report's rates as bars, and in words: what `stills` shows.

    Args:
        report: of a run.
        figures: name to show -> name of the rate.

    Raises:
        ValueError: a figure that the report does not have.
    """
    shown = {}
    for name, figure in figures.items():
        value = report.figure(figure)
        if value is None:
            raise ValueError(f"{figure} was not measured in this run: it cannot be drawn")
        shown[name] = float(value)
    return draw_bars(shown), ", ".join(
        f"{name} {100 * value:.1f} %" for name, value in shown.items()
    )
