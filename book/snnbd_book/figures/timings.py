"""What the benchmarks measured, as bars: one panel for each workload and measure."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnbd_book.figures import style

_OURS = "snnbd"
_WORKLOADS = (("lif", "LIF"), ("linear", "LIF after Linear"))
_STEPS = (("training", "nmnist-conv"), ("vgg16", "VGG-16"))
_MEASURES = {"forward": "forward", "forward_backward": "forward + backward"}
_NO_BARS = ("Linear", "empty call")
_ROW, _BARS = 1.7, 6  # inches of a panel, and how many bars have room in it


def draw_timings(results: dict[str, Any]) -> Figure:
    """Draw median times with quartiles, and a line for a copy of the bytes that must be moved.

    Args:
        results: what ``benchmarks.neurons`` wrote: layers and, where they were measured, training
            steps.
    """
    layers = [(label, one) for name, label in _WORKLOADS for one in results.get(name, [])]
    steps = [(title, results[name]["step"]) for name, title in _STEPS if name in results]
    heights = [1.0] * len(layers) + [max(1.0, len(times) / _BARS) for _, times in steps]
    picture = style.new_figure(_ROW * sum(heights))
    grid = picture.add_gridspec(len(heights), len(_MEASURES), height_ratios=heights)
    for row, (label, one) in enumerate(layers):
        frames, batch, neurons = one["shape"]
        for column, (measure, title) in enumerate(_MEASURES.items()):
            times = {name: of for name, of in one[measure].items() if name not in _NO_BARS}
            floor = times.pop("copy")["median"] * one["copies"][measure]
            axes = picture.add_subplot(grid[row, column])
            axes.set_title(f"{label}, T={frames}, B={batch}, N={neurons}:\n{title}", fontsize=9)
            _bars(axes, times)
            axes.axvline(floor, color=style.MARK, linestyle="--")
    for row, (title, times) in enumerate(steps, len(layers)):
        axes = picture.add_subplot(grid[row, :])
        axes.set_title(f"training step of {title}", fontsize=9)
        _bars(axes, times)
    return picture


def _bars(axes: Axes, times: dict[str, dict[str, float]]) -> None:
    """The shortest on top."""
    names = sorted(times, key=lambda name: -times[name]["median"])
    medians = [times[name]["median"] for name in names]
    spread = [
        [times[name]["median"] - times[name]["q1"] for name in names],
        [times[name]["q3"] - times[name]["median"] for name in names],
    ]
    colours = [style.POTENTIAL if name.startswith(_OURS) else style.CURRENT for name in names]
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
