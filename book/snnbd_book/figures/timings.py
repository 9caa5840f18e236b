"""What the benchmarks measured, as bars: one panel for each workload and measure."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnbd_book.figures import style

_OURS = "snnbd"
_WORKLOADS = (("lif", "LIF"), ("linear", "LIF after Linear"))
_MEASURES = {"forward": "forward", "forward_backward": "forward + backward"}
_ROW = 1.7  # inches


def draw_timings(results: dict[str, Any]) -> Figure:
    """Draw median times with quartiles, and a line for a copy of the bytes that must be moved.

    Args:
        results: what ``benchmarks.neurons`` wrote: layers and, where it was measured, a training
            step.
    """
    layers = [(label, one) for name, label in _WORKLOADS for one in results.get(name, [])]
    training = results.get("training")
    rows = len(layers) + (training is not None)
    picture = style.new_figure(_ROW * rows)
    grid = picture.add_gridspec(rows, len(_MEASURES))
    for row, (label, one) in enumerate(layers):
        steps, batch, neurons = one["shape"]
        for column, (measure, title) in enumerate(_MEASURES.items()):
            times = {name: of for name, of in one[measure].items() if name != "Linear"}
            floor = times.pop("copy")["median"] * one["copies"][measure]
            axes = picture.add_subplot(grid[row, column])
            axes.set_title(f"{label}, T={steps}, B={batch}, N={neurons}:\n{title}", fontsize=9)
            _bars(axes, times)
            axes.axvline(floor, color=style.MARK, linestyle="--")
    if training is not None:
        axes = picture.add_subplot(grid[-1, :])
        axes.set_title("training step of nmnist-conv", fontsize=9)
        _bars(axes, training["step"])
    return picture


def _bars(axes: Axes, times: dict[str, dict[str, float]]) -> None:
    """The shortest on top."""
    names = sorted(times, key=lambda name: -times[name]["median"])
    medians = [times[name]["median"] for name in names]
    spread = [
        [times[name]["median"] - times[name]["q1"] for name in names],
        [times[name]["q3"] - times[name]["median"] for name in names],
    ]
    colours = [style.POTENTIAL if name == _OURS else style.CURRENT for name in names]
    axes.barh(names, medians, xerr=spread, color=colours, error_kw={"elinewidth": 1})
    for row, upper in enumerate(medians):
        shown = f"{upper:.0f}" if upper >= 100 else f"{upper:.3g}"
        end = upper + spread[1][row]
        axes.annotate(
            shown, (end, row), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.margins(x=0.18)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("time (ms)", fontsize=8)
