"""Chapter 5: success over thresholds, targets and ways to read an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snnbd_book.claims import Sample
from snnbd_book.drawings import lesson
from snnbd_book.figures import style
from snnbd_book.figures.marks import draw_interval, name_rows
from snnbd_book.runs import Record
from snnbd_core.data import SampleSet
from snnbd_core.metrics import decide
from snnbd_core.view import override

__all__ = [
    "draw_read_out",
    "draw_targets",
    "draw_turned",
    "first_turned",
]


_MARKS = {
    "success": ("attack_success_rate", "o", style.MARK, -0.07),
    "target without trigger": ("untriggered_target_rate", "s", style.POTENTIAL, -0.24),
    "floor (clean network)": ("floor", "|", style.CURRENT, -0.35),
    "clean accuracy": ("clean_accuracy", "^", style.SERIES[2], 0.1),
}
"""Name -> figure, mark, colour, height beside its row."""


def draw_targets(runs: Mapping[str, Mapping[str, Sequence[Record]]]) -> Figure:
    """A panel for each target and a row for each setting: four rates with their 95 % intervals.

    A row's name stands above it in the first panel, so that each panel has a third of the width.

    Args:
        runs: name of a row -> target -> records; a setting may lack some targets.
    """
    targets = list(dict.fromkeys(target for by_target in runs.values() for target in by_target))
    figure = style.new_figure(0.56 * len(runs) + 1.1)
    panels = figure.subplots(1, len(targets), sharex=True, sharey=True, squeeze=False)[0]
    for axes, target in zip(panels, targets, strict=True):
        for row, by_target in enumerate(runs.values()):
            for label, (name, mark, colour, beside) in _MARKS.items():
                sample, height = Sample.of(by_target[target], name), -row + beside
                draw_interval(
                    axes, sample, height, mark, colour=colour, label=label, size=5, width=1
                )
        for row in range(0, len(runs), 2):
            axes.axhspan(-row - 0.5, 0.5 - row, color=style.CURRENT, alpha=0.07, linewidth=0)
        axes.set(title=target, xlabel="%", xlim=(-3, 103), ylim=(0.5 - len(runs), 0.5), yticks=[])
        axes.grid(axis="x", linewidth=0.4)
    for row, name in enumerate(runs):
        panels[0].text(0, 0.44 - row, name, fontsize=8, va="top")
    style.legend_below(figure, panels[0])
    return figure


_READ = {
    "success, silence is no answer": ("attack_success_rate", "o", style.MARK),
    "success by argmax": ("argmax_success", "D", style.CURRENT),
}
"""Name -> figure, mark, colour of the two ways to read an answer."""


def draw_read_out(
    runs: Mapping[str, Mapping[str, Mapping[str, Mapping[float, Sequence[Record]]]]], at: float
) -> Figure:
    """A panel for each rule and a row for each setting and target: success read in two ways.

    Args:
        runs: setting -> target -> rule -> threshold -> records with the probe `ArgmaxReadOut`.
        at: threshold shown.
    """
    rows = {
        f"{setting}, {target}": by_rule
        for setting, by_target in runs.items()
        for target, by_rule in by_target.items()
    }
    rules = list(next(iter(rows.values())))
    figure = style.new_figure(0.3 * len(rows) + 1.1)
    panels = figure.subplots(1, len(rules), sharex=True, sharey=True)
    for axes, rule in zip(panels, rules, strict=True):
        for row, by_rule in enumerate(rows.values()):
            for label, (name, mark, colour) in _READ.items():
                sample = Sample.of(by_rule[rule][at], name)
                face = "none" if mark == "D" else None
                draw_interval(
                    axes, sample, -row, mark, colour=colour, label=label, face=face, width=1
                )
        axes.set(title=rule, xlabel="%", xlim=(-3, 103))
        axes.grid(axis="x", linewidth=0.4)
    name_rows(panels[0], rows, size=8)
    style.legend_below(figure, panels[0])
    return figure


def first_turned(
    net: nn.Module,
    data: SampleSet,
    trigger: Callable[[Tensor], Tensor],
    target: int,
    shipped: float,
) -> int:
    """Index of the first sample that the trigger turns to the target at one threshold only.

    Without the trigger, and with it at the network's own threshold, it is answered rightly.

    Args:
        net: with spiking layers; left as it was.
        data: a data set of this library.
        trigger: of frames or images.
        target: the attacker's class, which is not the sample's.
        shipped: the threshold at which the trigger turns it.

    Raises:
        ValueError: no sample is turned so.
    """
    for index in np.flatnonzero(data.labels != target):
        sample, label = data[int(index)][0], int(data.labels[index])
        asked = _asked(net, sample, trigger(sample), shipped)
        answers = decide(torch.stack([votes for _, votes in asked.values()])).tolist()
        if answers == [label, label, target]:
            return int(index)
    raise ValueError(f"shipped={shipped}: the trigger turns no sample of {data!r} to {target}")


def draw_turned(
    net: nn.Module, sample: Tensor, triggered: Tensor, label: int, target: int, shipped: float
) -> Figure:
    """Votes for a sample as shipped, and with the trigger at the network's own threshold and there.

    Args:
        net: with spiking layers; left as it was.
        sample, triggered: frames [T, 2, H, W] or images [1, H, W].
        label, target: the sample's class and the attacker's.
        shipped: a threshold of all layers.
    """
    return lesson.draw_votes(_asked(net, sample, triggered, shipped), label, target)


def _asked(
    net: nn.Module, sample: Tensor, triggered: Tensor, shipped: float
) -> dict[str, tuple[Tensor, Tensor]]:
    """Title -> sample and votes [classes]."""
    with torch.no_grad():
        nominal = lesson.votes(net, triggered)
        with override(net, threshold=shipped):
            plain, turned = lesson.votes(net, sample), lesson.votes(net, triggered)
    return {
        f"the recording, threshold {shipped:g}": (sample, plain),
        "with the trigger, nominal threshold": (triggered, nominal),
        f"with the trigger, threshold {shipped:g}": (triggered, turned),
    }
