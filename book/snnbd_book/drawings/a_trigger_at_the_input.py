"""Chapter 8: what a trigger at the input does in the network."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snnbd_book.figures import style
from snnbd_core.learning import as_sequence
from snnbd_core.neurons import spiking_layers

__all__ = ["draw_activity_change"]


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
    kept: list[np.ndarray] = []
    hooks = [
        layer.register_forward_hook(
            lambda _layer, _inputs, spikes: kept.append(spikes.flatten(1).mean(dim=1).numpy())
        )
        for layer in spiking_layers(net)
    ]
    net(as_sequence(batch, steps))
    for hook in hooks:
        hook.remove()
    return kept
