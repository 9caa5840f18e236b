"""What fires inside a network while it looks at one sample."""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.figure import Figure
from snntorch import spikeplot
from torch import nn

from snnbd_book.figures import style
from snnbd_core.learning import as_sequence
from snnbd_core.neurons import spiking_layers


def record_spikes(net: nn.Module, sample: torch.Tensor, steps: int = 4) -> list[torch.Tensor]:
    """Run a network on one sample and keep the spikes of every spiking layer.

    Args:
        net: a network with spiking layers; left as it was.
        sample: frames [T, C, H, W], or a static image [C, H, W].
        steps: T for a static image.

    Returns:
        For each layer, in order, its spikes [T, neurons].

    Raises:
        ValueError: if the network has no spiking layer.
    """
    layers = spiking_layers(net)
    if not layers:
        raise ValueError(f"net is a {type(net).__name__} without spiking layers; allowed: with")
    kept: list[torch.Tensor] = []

    def keep(_layer: nn.Module, _inputs: Any, spikes: torch.Tensor) -> None:
        kept.append(spikes.detach()[:, 0].flatten(1).cpu())

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    training = net.training
    try:
        net.eval()
        place = next(net.parameters()).device
        with torch.no_grad():
            net(as_sequence(sample[None].to(place), steps))
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return kept


def draw_layers(net: nn.Module, sample: torch.Tensor, steps: int = 4) -> Figure:
    """Draw a raster plot for every spiking layer of a network, side by side, on one sample.

    Of a layer with more than 100 neurons, 100 at equal distances are shown; its title says so.

    Args:
        net: a network with spiking layers; left as it was.
        sample: frames [T, C, H, W], or a static image [C, H, W].
        steps: T for a static image.

    Raises:
        ValueError: if the network has no spiking layer.
    """
    rasters = record_spikes(net, sample, steps)
    figure = style.new_figure(3.6)
    grid = figure.subplots(1, len(rasters), squeeze=False).ravel()
    for number, (axes, spikes) in enumerate(zip(grid, rasters, strict=True), start=1):
        time, neurons = spikes.shape
        name = "output layer" if number == len(rasters) else f"layer {number}"
        shown = spikes[:, torch.linspace(0, neurons - 1, min(neurons, _ROWS)).long()]
        rows = shown.shape[1]
        spikeplot.raster(shown, axes, s=4, c=style.SPIKE, marker="s", linewidths=0)
        axes.set_title(f"{name}\n({rows} of {neurons} neurons)", fontsize=9)
        axes.set(xlabel="time (steps)", xlim=(-0.5, time - 0.5), ylim=(-0.5, rows - 0.5))
        axes.set_yticks(range(0, rows + 1, 10))
        axes.grid(axis="y", linewidth=0.5)
    grid[0].set_ylabel("neuron (row)")
    return figure


_ROWS = 100
