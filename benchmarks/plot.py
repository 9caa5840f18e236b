"""Draws the benchmarks' JSON: time per run of each peer, relative to a copy of the bytes moved.

python -m benchmarks.plot benchmarks/results/neurons.json figure.svg
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

OURS, PEER, FLOOR = "#0072B2", "#999999", "#D55E00"
TITLES = {"forward": "forward", "forward_backward": "forward + backward"}
Panel = tuple[str, dict[str, dict[str, float]], float | None]


def figure(results: dict[str, Any]) -> Figure:
    """One panel per workload; bars are medians, whiskers quartiles, a line the floor."""
    panels = _panels(results)
    columns = 2
    rows = -(-len(panels) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(9, 2.1 * rows), squeeze=False, constrained_layout=True
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        _draw(axis, *panel)
    machine = results["machine"]
    fig.suptitle(f"{machine['processor']}, {machine['threads']} threads", fontsize=10)
    return fig


def _panels(results: dict[str, Any]) -> list[Panel]:
    panels: list[Panel] = []
    for workload, name in (("lif", "LIF"), ("linear", "LIF after Linear")):
        for result in results.get(workload, []):
            steps, batch, neurons = result["shape"]
            for measure, title in TITLES.items():
                times = dict(result[measure])
                floor = times.pop("copy")["median"] * result["copies"][measure]
                times.pop("Linear", None)
                label = f"{name}, T={steps}, B={batch}, N={neurons}: {title}"
                panels.append((label, times, floor))
    if "training" in results:
        panels.append(("training step of nmnist-conv", results["training"]["step"], None))
    if "poisoning" in results:
        label = f"trigger on {results['poisoning']['recordings']} recordings"
        panels.append((label, results["poisoning"]["run"], None))
    return panels


def _draw(axis: Axes, title: str, times: dict[str, dict[str, float]], floor: float | None) -> None:
    names = sorted(times, key=lambda name: -times[name]["median"])
    medians = [times[name]["median"] for name in names]
    errors = [
        [times[name]["median"] - times[name]["q1"] for name in names],
        [times[name]["q3"] - times[name]["median"] for name in names],
    ]
    colours = [OURS if name == "snnbd" else PEER for name in names]
    axis.barh(names, medians, xerr=errors, color=colours, error_kw={"elinewidth": 1})
    for row, median in enumerate(medians):
        axis.annotate(
            f"{median:.3g}", (median, row), (4, 0), textcoords="offset points", va="center",
            fontsize=8,
        )  # fmt: skip
    if floor is not None:
        axis.axvline(floor, color=FLOOR, linestyle="--", linewidth=1, label="copy of the bytes")
        axis.legend(fontsize=7, loc="upper right", frameon=False)
    if max(medians) > 20 * min(medians):
        axis.set_xscale("log")
    axis.margins(x=0.15)
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("ms", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("figure", type=Path)
    arguments = parser.parse_args()
    figure(json.loads(arguments.results.read_text())).savefig(arguments.figure, dpi=150)


if __name__ == "__main__":
    main()
