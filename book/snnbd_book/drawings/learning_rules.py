"""Chapter 4: learning rules, conversion and migration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from snnbd_book.claims import Sample
from snnbd_book.claims.pairs import migrated
from snnbd_book.claims.sample import show
from snnbd_book.figures import style
from snnbd_book.figures.marks import draw_band
from snnbd_book.runs import Record
from snnbd_core.learning.conversion import HalfStart

__all__ = [
    "cost_table",
    "dense_operations",
    "draw_deployed",
    "draw_migration",
    "draw_pipeline",
    "draw_rates_of_conversion",
    "migration_table",
]

# Energy of one 32-bit floating point operation at 45 nm, in pJ (Horowitz 2014).
MULTIPLY_ACCUMULATE, ACCUMULATE = 4.6, 0.9
_LANES = (
    ("LR_B", ("poisoned data", "train SNN,\nsurrogate gradient", "SNN")),
    ("LR_C", ("poisoned data", "train ANN", "convert", "SNN")),
    ("LR_H", ("poisoned data", "train ANN", "convert", "fine-tune SNN", "SNN")),
    ("DSR", ("poisoned data", "train SNN,\nrate gradient", "SNN")),
)


def draw_pipeline() -> Figure:
    """The four rules as lanes of boxes; what the attacker can touch is orange."""
    figure = style.new_figure(3.0)
    axes = figure.subplots()
    axes.set(xlim=(-0.35, 5), ylim=(-0.6, len(_LANES) - 0.4))
    axes.set_axis_off()
    for row, (name, boxes) in enumerate(reversed(_LANES)):
        axes.text(-0.3, row, name, va="center", weight="bold", fontsize=9)
        _draw_lane(axes, row, boxes)
    return figure


def _draw_lane(axes: Axes, row: int, texts: Sequence[str]) -> None:
    """One rule's boxes at a height, with arrows from edge to edge whatever their widths are."""
    boxes = []
    for column, text in enumerate(texts):
        colour = style.SERIES[1] if column == 0 else style.SERIES[0]
        look = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour}
        drawn = axes.text(column + 0.5, row, text, ha="center", va="center", fontsize=8, bbox=look)
        boxes.append(drawn.get_bbox_patch())
    for column, (left, right) in enumerate(pairwise(boxes)):
        arrow = {"arrowstyle": "->", "color": "#555", "patchA": left, "patchB": right}
        axes.annotate("", (column + 1.5, row), (column + 0.5, row), arrowprops=arrow)


def draw_rates_of_conversion(steps: Sequence[int] = (4, 16, 64)) -> Figure:
    """Firing rate of an IF neuron with soft reset against its current, beside a ReLU.

    Args:
        steps: numbers of time steps, one curve each.
    """
    current = torch.linspace(-0.3, 1.4, 300)
    figure = style.new_figure(2.8)
    axes = figure.subplots()
    axes.plot(current, current.clamp_min(0), color="#555", linestyle="--", label="ReLU")
    for count, colour in zip(steps, style.SERIES[: len(steps)], strict=True):
        spikes = HalfStart()(current.expand(count, 1, len(current)))
        axes.plot(current, spikes.mean(dim=0)[0], color=colour, label=f"IF, T = {count}")
    axes.set(xlabel="current per step, in thresholds", ylabel="spikes per step")
    axes.legend()
    return figure


def draw_migration(runs: Mapping[str, Mapping[int, Sequence[Record]]]) -> Figure:
    """Clean accuracy, success and per-sample migration against T, with 95 % bands.

    Args:
        runs: name of a conversion -> time steps -> the records of its seeds.
    """
    figure = style.new_figure(2.9)
    panels = figure.subplots(1, 3, sharey=True)
    titles = {
        "clean_accuracy": "clean accuracy",
        "attack_success_rate": "success rate",
        "migration_per_sample": "migration per sample (MR2)",
    }
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        for label, by_steps, colour, _ in style.told_apart(runs):
            steps = sorted(by_steps)
            samples = [Sample.of(by_steps[count], name) for count in steps]
            draw_band(axes, steps, samples, "o-", colour=colour, label=label)
        axes.set_xscale("log", base=2)
        axes.set_xticks(steps, [str(count) for count in steps])
        axes.set(xlabel="time steps T", title=title, ylim=(-3, 104))
    panels[0].set_ylabel("%")
    panels[0].legend(loc="lower right")
    return figure


def migration_table(
    runs: Mapping[str, Sequence[Record]], anns: Mapping[str, Sequence[Record]]
) -> pd.DataFrame:
    """Both migration rates of converted networks.

    Args:
        runs: name of a row -> the records of its seeds, with floors.
        anns: name of a row -> records of the ANN it was converted from, seed by seed.
    """
    rows = {}
    for name, records in runs.items():
        ratio = migrated(records, anns[name])
        spread = ratio.interval if len(records) > 1 else None  # one seed says nothing of it
        rows[name] = {
            "MR1": show(ratio.mean, spread, is_rate=True),
            "MR2": str(Sample.of(records, "migration_per_sample")),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def draw_deployed(runs: Mapping[int, Mapping[float, Sequence[Record]]]) -> Figure:
    """Clean accuracy and success against a factor on all thresholds, a panel for each T.

    Args:
        runs: time steps -> factor -> records.
    """
    shown = {"clean accuracy": "clean_accuracy", "attack success": "attack_success_rate"}
    figure = style.new_figure(2.9)
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    for axes, (steps, by_factor) in zip(panels, runs.items(), strict=True):
        for (label, name), colour in zip(shown.items(), style.SERIES[2:0:-1], strict=True):
            samples = [Sample.of(records, name) for records in by_factor.values()]
            draw_band(axes, list(by_factor), samples, "o-", colour=colour, label=label)
        axes.set(xlabel="thresholds times", title=f"T = {steps}", ylim=(-3, 104))
    panels[0].set_ylabel("%")
    style.legend_below(figure, panels[0])
    return figure


def cost_table(runs: Mapping[str, Sequence[Record]], operations: int) -> pd.DataFrame:
    """Training seconds, energy of one inference, and operations that the trigger adds.

    Means with 95 % intervals over the seeds; the ANN's operations are the same for all.

    Args:
        runs: name of a row -> records of its seeds; a row named "ANN" counts multiplications.
        operations: multiply-accumulates of the ANN for one sample, see `dense_operations`.
    """
    rows = {}
    for name, records in runs.items():
        dense = name == "ANN"
        each = MULTIPLY_ACCUMULATE if dense else ACCUMULATE
        counts = [operations] if dense else Sample.of(records, "synops_clean").floats
        rows[name] = {
            "training (s)": _spread([sum(one.history.seconds) for one in records]),
            "energy (nJ)": _spread([each * count / 1000 for count in counts]),
            "under the trigger": "as without" if dense else _change(records),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _spread(values: Sequence[float]) -> str:
    """ "2893 (2800-2986)": mean and 95 % interval over the seeds; of a single value that alone."""
    sample = Sample(tuple(values))
    return show(sample.mean, sample.interval if len(values) > 1 else None, is_rate=False)


def _change(records: Sequence[Record]) -> str:
    """ "+11.2 % (8.1-14.3)": operations that the trigger adds, of those without."""
    shares = [
        float(one.report.figure("synops_triggered") or 0)
        / float(one.report.figure("synops_clean") or 1)
        - 1
        for one in records
    ]
    sample = Sample(tuple(shares))
    spread = sample.interval if len(shares) > 1 else None
    return f"{'+' if sample.mean >= 0 else ''}{show(sample.mean, spread, is_rate=True)}"


def dense_operations(net: nn.Module) -> int:
    """Multiply-accumulates of one frame through all convolutions and dense layers."""
    shape: Any = net.input_shape
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        net(torch.rand(1, 1, *shape))
    return counted.get_total_flops() // 2  # a multiplication and an addition each
