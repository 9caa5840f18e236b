"""Chapter 6: training samples as a network that was trained on them sees them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from snnbd_book.figures import style

__all__ = ["draw_clusters", "draw_isolated"]


def draw_clusters(
    found: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> Figure:
    """Samples of one label in two dimensions, one panel for each training set.

    Colour and mark say the cluster, the larger one first; poisoned samples have a ring.

    Args:
        found: title -> components [N, >= 2], of which two are drawn, clusters int [N] of 0 and 1,
            and which samples are poisoned, bool [N].
    """
    figure = style.new_figure(2.6)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (title, (places, side, poisoned)) in zip(panels, found.items(), strict=True):
        larger = np.bincount(side, minlength=2).argmax()
        for rows, name, colour, mark in (
            (side == larger, "larger cluster", style.SERIES[0], "o"),
            (side != larger, "smaller cluster", style.SERIES[2], "^"),
        ):
            axes.scatter(
                *places[rows, :2].T, s=16, color=colour, marker=mark, linewidths=0, label=name
            )
        axes.scatter(
            *places[poisoned, :2].T,
            s=45,
            facecolors="none",
            edgecolors=style.MARK,
            linewidths=0.9,
            label="poisoned",
        )
        axes.set(title=title, xlabel="first component", xticks=[], yticks=[])
    panels[0].set_ylabel("second component")
    style.legend_below(figure, panels[0])
    return figure


def draw_isolated(losses: Tensor, poisoned: np.ndarray, share: float) -> Figure:
    """The loss of poisoned and of clean samples, and up to where samples are set aside.

    Args:
        losses: of each training sample, [N].
        poisoned: rows of these.
        share: of the samples that is set aside, those with the lowest losses; at least one is.
    """
    figure = style.new_figure(2.5)
    axes = figure.subplots()
    values = losses.cpu().numpy()
    marked = np.zeros(len(values), dtype=bool)
    marked[poisoned] = True
    edges = np.linspace(0, float(values.max()), 41)
    for name, rows, colour, line in (
        ("clean", ~marked, style.SERIES[0], "-"),
        ("poisoned", marked, style.MARK, "--"),
    ):
        shares = np.histogram(values[rows], edges)[0] / max(1, int(rows.sum()))
        axes.stairs(100 * shares, edges, color=colour, linestyle=line, label=name, linewidth=1.6)
    limit = float(np.sort(values)[max(1, round(share * len(values))) - 1])
    axes.axvspan(0, limit, color=style.CURRENT, alpha=0.3, linewidth=0, label="set aside")
    axes.set(xlabel="loss of a sample (squared error)", ylabel="samples of the kind (%)")
    axes.legend()
    return figure
