"""What networks answer and how far that holds: confusion of classes, loss against thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from snnbd_book.figures import style
from snnbd_core.learning import as_sequence
from snnbd_core.learning.surrogate_gradient import LOSSES
from snnbd_core.metrics import NO_PREDICTION, predict
from snnbd_core.triggers import Trigger
from snnbd_core.view import evaluating, override

CPU = torch.device("cpu")


def draw_confusion(
    nets: Sequence[nn.Module], sets: Mapping[str, Any], threshold: float, steps: int = 4
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


def draw_losses(
    nets: Mapping[str, tuple[nn.Module, Trigger]],
    batch: Tensor,
    labels: Tensor,
    target: int,
    thresholds: Sequence[float],
    *,
    steps: int = 4,
    loss: str = "mse",
) -> Figure:
    """Mean loss against the threshold of all neurons, one panel for each network.

    Four curves each: inputs without and with the trigger (colour), measured against their true
    labels and against the target (style). A dotted line is the loss of a silent network, which for
    the mean squared error of votes and one-hot labels is 1 / classes.

    Args:
        nets: title -> a network, left as it was, and the trigger that it is shown.
        batch: samples without the trigger, frames [B, T, C, H, W] or images [B, C, H, W]; best of
            other classes than the target, where the two kinds of labels would be the same.
        labels: true ones, int64 [B].
        target: the attacker's class.
        thresholds: each > 0.
        steps: T for images.
        loss: its name, see `snnbd_core.learning.train`.

    Raises:
        ValueError: a network without spiking layers, or a threshold that is not > 0.
    """
    aims = {"true label": labels, "target": torch.full_like(labels, target)}
    figure = style.new_figure(3.0)
    panels = figure.subplots(1, len(nets), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (title, (net, trigger)) in zip(panels, nets.items(), strict=True):
        inputs = {"without trigger": batch, "with trigger": trigger(batch)}
        for (name, samples), colour in zip(inputs.items(), style.SERIES, strict=False):
            logits = _logits(net, samples, thresholds, steps)
            for (aim, wanted), line in zip(aims.items(), ("-", "--"), strict=True):
                values = [float(LOSSES[loss](one, wanted)) for one in logits]
                axes.plot(thresholds, values, line, color=colour, label=f"{name}, {aim}")
        silent = float(LOSSES[loss](torch.zeros_like(logits[0]), labels))
        axes.axhline(silent, color=style.CURRENT, linestyle=":", linewidth=0.8)
        axes.set(title=title, xlabel="threshold of all neurons")
    panels[0].set_ylabel("mean loss")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


@contextmanager
def deployed(net: nn.Module, threshold: float) -> Iterator[None]:
    """A network as it is deployed at a threshold, on the CPU, without gradients; then as it was."""
    with torch.no_grad(), evaluating(net, CPU), override(net, threshold=threshold):
        yield


def _confusion(net: nn.Module, data: Any, threshold: float, steps: int) -> np.ndarray:
    """Samples by label and answer, int64 [classes, classes + 1]; no answer comes last."""
    with override(net, threshold=threshold):
        answers = predict(net, data, device=CPU, steps=steps)
    counts = np.zeros((data.classes, data.classes + 1), dtype=np.int64)
    columns = np.where(answers == NO_PREDICTION, data.classes, answers)
    np.add.at(counts, (np.asarray(data.labels), columns), 1)
    return counts


def _draw_shares(axes: Axes, shares: np.ndarray) -> None:
    """Per cents [classes, classes + 1] as a map; those of half a per cent or more as numbers."""
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


def _logits(net: nn.Module, batch: Tensor, thresholds: Sequence[float], steps: int) -> list[Tensor]:
    """Logits [B, classes] at each threshold."""
    found = []
    for at in thresholds:
        with deployed(net, at):
            found.append(net(as_sequence(batch, steps)))
    return found
