"""Chapter 8: what a trigger at the input does in the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snnbd_book.figures import style
from snnbd_book.figures.detecting import pool_scores
from snnbd_book.runs import Record, test_sets
from snnbd_core.learning import as_sequence
from snnbd_core.view import View

__all__ = ["beyond_table", "draw_activity_change"]


@torch.no_grad()
def draw_activity_change(net: nn.Module, clean: Tensor, triggered: Tensor, steps: int) -> Figure:
    """Rate of each layer and time step under the trigger, less that without, as a map.

    Args:
        net: a network with spiking layers.
        clean, triggered: the same samples without and with the trigger, [B, ...].
        steps: T of static images.
    """
    change = np.stack(_rates(net, triggered, steps)) - np.stack(_rates(net, clean, steps))
    limit = max(float(np.abs(change).max()), 1e-9)
    figure = style.new_figure(2.2)
    axes = figure.subplots()
    picture = axes.imshow(change, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    axes.set_yticks(range(len(change)), [f"layer {n + 1}" for n in range(len(change))])
    axes.set_xlabel("time step")
    figure.colorbar(picture, label="spikes per neuron:\nchange")
    return figure


def _rates(net: nn.Module, batch: Tensor, steps: int) -> list[np.ndarray]:
    """Mean rate of each layer at each step, [T] each."""
    sequence = as_sequence(batch, steps)
    view = View(net, sequence)
    with view.read(view.spiking_layers, "spikes") as spikes:
        view(sequence)
    return [layer.flatten(1).mean(dim=1).numpy() for layer in spikes]


def beyond_table(found: Mapping[str, Sequence[Record]], false_alarms: float) -> pd.DataFrame:
    """Clean inputs beyond the threshold that leaves a share of them, and those of the target.

    Args:
        found: attack -> records of its seeds, probed by a detector of inputs.
        false_alarms: the share, 0..1.
    """
    rows = {}
    for name, records in found.items():
        scores = pool_scores(records)["clean"]
        each = len(scores) // len(records)
        labels = [test_sets(one.experiment)[1].labels[:each] for one in records]
        of_target = np.concatenate(labels) == records[0].experiment.target
        beyond = scores > np.quantile(scores, 1 - false_alarms)
        rows[name] = {
            "clean inputs": len(scores),
            "beyond": int(beyond.sum()),
            "of them of the target": int((beyond & of_target).sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
