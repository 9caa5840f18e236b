"""Pictures of neurons: current, membrane potential and spikes over time.

Time is counted in steps; potential, threshold and current share one unit without a name (the
threshold of 1 is the usual choice), see :class:`snnbd_core.neurons.LIF`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from snnbd_book.figures import style

Numbers = torch.Tensor | np.ndarray
Trace = tuple[torch.Tensor, torch.Tensor]
"""Spikes and potential of one neuron, each [T]."""


def draw_neuron(
    current: Numbers,
    spikes: Numbers,
    potential: Numbers,
    threshold: float = 1.0,
) -> Figure:
    """Draw one neuron: the current that comes in, its potential, the spikes that go out.

    Args:
        current: input [T].
        spikes: 0 or 1, [T].
        potential: membrane potential [T].
        threshold: drawn as a dashed line.

    Raises:
        ValueError: if the three are not of one length T, or not one-dimensional.
    """
    incoming, fired, voltage = _equal_lengths(
        {"current": current, "spikes": spikes, "potential": potential}
    )
    figure = style.new_figure(3.8)
    axes = figure.subplots(3, 1, sharex=True, height_ratios=(2, 4, 1))
    axes[0].step(np.arange(len(incoming)), incoming, where="mid", color=style.CURRENT)
    axes[0].set(ylabel="current", ylim=(0, max(1e-3, 1.25 * float(incoming.max(initial=0)))))
    _draw_potential(axes[1], voltage, threshold)
    axes[1].legend(loc="upper right", ncols=2, bbox_to_anchor=(1, 1.2), borderaxespad=0)
    _draw_spikes(axes[2], fired)
    axes[2].set(xlabel="time (steps)")
    figure.align_ylabels(axes)
    return figure


def draw_comparison(runs: Mapping[str, Trace], threshold: float = 1.0) -> Figure:
    """Draw several neurons under each other on one time axis, each with its name and spike count.

    Args:
        runs: name -> (spikes [T], potential [T]).
        threshold: drawn as a dashed line.

    Raises:
        ValueError: if ``runs`` is empty, or a pair is not of one length.
    """
    if not runs:
        raise ValueError("runs is empty; allowed: one neuron or more")
    figure = style.new_figure(1.25 * len(runs) + 0.9)
    grid = figure.subplots(len(runs), 1, sharex=True, squeeze=False).ravel()
    for axes, (name, (spikes, potential)) in zip(grid, runs.items(), strict=True):
        fired, voltage = _equal_lengths({"spikes": spikes, "potential": potential})
        _draw_potential(axes, voltage, threshold)
        for time in np.flatnonzero(fired):
            axes.axvline(time, color=style.SPIKE, linewidth=0.8, alpha=0.5)
        axes.set_title(f"{name}: {int(fired.sum())} spikes", loc="left")
    grid[-1].set(xlabel="time (steps)")
    handles = [
        *grid[0].get_legend_handles_labels()[0],
        Line2D([], [], color=style.SPIKE, linewidth=0.8, alpha=0.5, label="spike"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def draw_curves(
    x: Numbers,
    curves: Mapping[str, Numbers],
    *,
    xlabel: str,
    ylabel: str,
) -> Figure:
    """Draw named curves over one axis; names stand in the legend, line styles also differ.

    Args:
        x: [N].
        curves: name -> [N].
        xlabel: what x is, with its unit.
        ylabel: what the curves are, with their unit.

    Raises:
        ValueError: if ``curves`` is empty or a curve is not as long as ``x``.
    """
    if not curves:
        raise ValueError("curves is empty; allowed: one curve or more")
    at, *values = _equal_lengths({"x": x, **curves})
    figure = style.new_figure(3.0)
    axes = figure.subplots()
    styles = ("-", "--", "-.", ":")
    for number, (name, value) in enumerate(zip(curves, values, strict=True)):
        colour = style.SERIES[number % len(style.SERIES)]
        axes.plot(at, value, styles[number % len(styles)], color=colour, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_ylim(bottom=min(0.0, *(float(value.min(initial=0)) for value in values)))
    axes.legend()
    return figure


def _draw_potential(axes: Axes, voltage: np.ndarray, threshold: float) -> None:
    axes.axhline(threshold, color=style.THRESHOLD, linestyle="--", linewidth=1, label="threshold")
    axes.plot(voltage, color=style.POTENTIAL, marker=".", markersize=4, label="potential")
    axes.set(ylabel="potential", xlim=(-0.5, len(voltage) - 0.5))
    lowest, highest = voltage.min(initial=0), voltage.max(initial=threshold)
    axes.set_ylim(1.15 * float(lowest), 1.15 * float(highest))


def _draw_spikes(axes: Axes, fired: np.ndarray) -> None:
    axes.vlines(np.flatnonzero(fired), 0, 1, color=style.SPIKE, linewidth=1.5)
    axes.set(ylabel="spikes", yticks=[], ylim=(0, 1.1))


def _equal_lengths(
    named: Mapping[str, Numbers],
) -> list[np.ndarray]:
    arrays = {name: _array(value) for name, value in named.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) != 1:
        raise ValueError(f"shapes are {shapes}; allowed: one dimension, of one length")
    return list(arrays.values())


def _array(value: Numbers) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
