"""What networks answer and how far that holds: confusion of classes, loss against thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from snnbd_book.figures import style
from snnbd_core.data import SampleSet
from snnbd_core.metrics import NO_PREDICTION, predict
from snnbd_core.view import evaluating, override

CPU = torch.device("cpu")


def draw_confusion(
    nets: Sequence[nn.Module], sets: Mapping[str, SampleSet], threshold: float, steps: int = 4
) -> Figure:
    """Answers by true class in percent of each class, one panel for each set.

    A silent or tied output is no answer (see `snnbd_core.metrics`): such samples have a column of
    their own.

    Args:
        nets: their answers are pooled, as of several seeds; left as they were.
        sets: title -> data set, such as one and its `snnbd_core.poisoning.Triggered`.
        threshold: of all layers, > 0.
        steps: T for images.

    Raises:
        ValueError: a network without spiking layers, or as `snnbd_core.metrics.predict`.
    """
    figure = style.new_figure(3.7)
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for axes, (title, data) in zip(panels, sets.items(), strict=True):
        counts = np.sum([_confusion(net, data, threshold, steps) for net in nets], axis=0)
        totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        _draw_shares(axes, 100 * counts / totals)
        axes.set(title=title, xlabel="answer")
    panels[0].set_ylabel("label")
    return figure


@contextmanager
def deployed(net: nn.Module, threshold: float) -> Iterator[None]:
    """A network as it is deployed at a threshold, on the CPU, without gradients; then as it was."""
    with torch.no_grad(), evaluating(net, CPU), override(net, threshold=threshold):
        yield


def _confusion(net: nn.Module, data: SampleSet, threshold: float, steps: int) -> np.ndarray:
    """Samples by label and answer, int64 [classes, classes + 1]; no answer comes last."""
    with override(net, threshold=threshold):
        answers = predict(net, data, device=CPU, steps=steps)
    counts = np.zeros((data.classes, data.classes + 1), dtype=np.int64)
    columns = np.where(answers == NO_PREDICTION, data.classes, answers)
    np.add.at(counts, (np.asarray(data.labels), columns), 1)
    return counts


def _draw_shares(axes: Axes, shares: np.ndarray) -> None:
    """Percents [classes, classes + 1] as a map; those of half a percent or more as numbers."""
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.5:
            axes.text(
                column,
                row,
                f"{share:.0f}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if share > 50 else "black",
            )
    classes = len(shares)
    axes.set_xticks(range(classes + 1), [*map(str, range(classes)), "none"], fontsize=8)
    axes.set_yticks(range(classes), [*map(str, range(classes))], fontsize=8)
