"""Chapter 7: what detectors of models see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from snnbd_book.claims import Sample
from snnbd_book.figures import style
from snnbd_book.figures.marks import draw_interval, name_rows
from snnbd_book.runs import Record

__all__ = ["draw_alarms", "draw_by_level", "draw_masks", "draw_sweep"]


def draw_by_level(
    found: Mapping[str, tuple[Sequence[float], np.ndarray, int]], *, xlabel: str, ylabel: str
) -> Figure:
    """What each class gets as something is turned up, one panel for each network.

    Args:
        found: title -> the levels, values [levels, classes], and the class that the detector
            suspects, which is drawn thick.
        xlabel: what the levels are, with their unit.
        ylabel: what the values are, with their unit.
    """
    rows = math.ceil(len(found) / 3)
    figure = style.new_figure(2.4 * rows + 0.2)
    grid = figure.subplots(rows, math.ceil(len(found) / rows), sharey=True, squeeze=False)
    for axes, (title, (levels, values, suspect)) in zip(grid.flat, found.items(), strict=True):
        for number, curve in enumerate(np.asarray(values).T):
            if number != suspect:
                axes.plot(levels, curve, color=style.CURRENT, linewidth=0.8, label="other classes")
        axes.plot(
            levels,
            np.asarray(values)[:, suspect],
            color=style.MARK,
            marker="o",
            markersize=4,
            linewidth=2,
            label="suspected class",
        )
        axes.set_title(f"{title}\nclass {suspect}")
    for axes in grid[-1]:
        axes.set_xlabel(xlabel)
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    style.legend_below(figure, grid[0, 0])
    return figure


def draw_masks(masks: Mapping[str, Sequence[Tensor]]) -> Figure:
    """The size of each class's mask in pixels, and below it the smallest, a column a network.

    Args:
        masks: name of a network -> a mask [H, W] in 0..1 for each class.
    """
    figure = style.new_figure(5.1)
    grid = figure.subplots(2, len(masks), sharey="row", squeeze=False)
    for above, below, (name, row) in zip(*grid, masks.items(), strict=True):
        sizes = [float(mask.sum()) for mask in row]
        least = int(np.argmin(sizes))
        bars = above.bar(range(len(sizes)), sizes, color=style.BOTH)
        bars[least].set(facecolor=style.MARK, edgecolor="black", linewidth=0, hatch="///")
        above.set(title=name, xlabel="class", xticks=range(len(sizes)))
        below.imshow(row[least].cpu().numpy(), cmap="Greys", vmin=0, vmax=1)
        below.set(xticks=[], yticks=[], title=f"class {least}: {sizes[least]:.1f} pixels")
        below.spines[:].set_visible(True)
    grid[0, 0].set_ylabel("size of the mask (pixels)")
    return figure


def draw_alarms(found: Mapping[str, Mapping[str, Sequence[Record]]]) -> Figure:
    """A row for each detector: alarms of clean and of attacked networks, with 95 % intervals.

    Args:
        found: row -> records that the detector probed, of "clean" and of "attacked" networks.
    """
    figure = style.new_figure(0.36 * len(found) + 0.95)
    axes = figure.subplots()
    looks = {"clean": ("o", style.POTENTIAL, 0.14), "attacked": ("^", style.MARK, -0.14)}
    for row, groups in enumerate(found.values()):
        for name, (mark, colour, beside) in looks.items():
            sample = Sample.of(groups[name], "alarm")
            draw_interval(axes, sample, beside - row, mark, colour=colour, label=name)
    name_rows(axes, found)
    axes.set(xlabel="networks accused (%)", xlim=(-3, 103))
    axes.grid(axis="x", linewidth=0.4)
    style.legend_below(figure, axes)
    return figure


def draw_sweep(
    runs: Mapping[str, Mapping[str, Mapping[float, Sequence[Record]]]], field: str, label: str
) -> Figure:
    """A rate against the threshold, one panel for each target, with least and greatest seed.

    Args:
        runs: target -> kind of network -> threshold -> records of its seeds.
        field: of their reports.
        label: of the vertical axis.
    """
    figure = style.new_figure(2.6)
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    for axes, (title, networks) in zip(panels, runs.items(), strict=True):
        for name, by_threshold, colour, _ in style.told_apart(networks):
            at = sorted(by_threshold)
            rates = [
                [100 * each for each in Sample.of(by_threshold[one], field).floats] for one in at
            ]
            axes.fill_between(
                at, [min(r) for r in rates], [max(r) for r in rates], color=colour, alpha=0.2
            )
            axes.plot(at, [sum(r) / len(r) for r in rates], "o-", color=colour, label=name)
        axes.set(title=title, xlabel="threshold", ylim=(-3, 103))
    panels[0].set_ylabel(label)
    style.legend_below(figure, panels[0])
    return figure
