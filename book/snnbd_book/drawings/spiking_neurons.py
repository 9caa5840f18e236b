"""Chapter 1: traces under three conventions, spikes of layers."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import snntorch
import torch
from IPython.display import HTML
from matplotlib.figure import Figure
from snntorch import spikeplot
from torch import nn

from snnbd_book.figures import style
from snnbd_book.figures.neurons import Trace
from snnbd_book.figures.pages import as_html
from snnbd_core.learning import as_sequence
from snnbd_core.neurons import LIF
from snnbd_core.view import View, evaluating

__all__ = [
    "draw_layers",
    "record_spikes",
    "run_conventions",
    "run_leaky",
    "spike_table",
]

_ROWS = 100


def run_leaky(leaky: snntorch.Leaky, current: torch.Tensor) -> Trace:
    """Step snnTorch's neuron through a current.

    Args:
        leaky: the neuron.
        current: input [T, ...].

    Returns:
        Spikes and potential, each [T, ...].
    """
    potential = torch.zeros_like(current[0])
    fired, potentials = [], []
    for now in current:
        spike, potential = leaky(now, potential)
        fired.append(spike)
        potentials.append(potential)
    return torch.stack(fired), torch.stack(potentials)


def run_conventions(current: torch.Tensor, beta: float = 0.9) -> dict[str, Trace]:
    """Run one neuron under six published update rules.

    Args:
        current: input [T].
        beta: decay per step; SpikingJelly's tau is 1 / (1 - beta).

    Returns:
        Name of the rule -> (spikes [T], potential [T]). snnTorch's rows are computed by snnTorch
        itself, SpikingJelly's by our LIF under its rule (the tests compare it with the original).
    """
    sequence = current[:, None]
    neurons = {
        "snnTorch, subtract (its default)": snntorch.Leaky(beta=beta),
        "snnTorch, subtract, reset_delay=False": snntorch.Leaky(beta=beta, reset_delay=False),
        "snnTorch, zero": snntorch.Leaky(beta=beta, reset_mechanism="zero"),
        "SpikingJelly, hard reset (its default)": LIF(
            beta, reset="zero", update="spikingjelly", decay_input=True
        ),
        "SpikingJelly, hard, decay_input=False": LIF(beta, reset="zero", update="spikingjelly"),
        "SpikingJelly, soft, decay_input=False": LIF(beta, update="spikingjelly"),
    }
    runs = {}
    for name, neuron in neurons.items():
        if isinstance(neuron, LIF):
            spikes, potential = neuron(sequence, return_potential=True)
        else:
            spikes, potential = run_leaky(neuron, sequence)
        runs[name] = (spikes[:, 0], potential[:, 0])
    return runs


def spike_table(runs: Mapping[str, Trace]) -> HTML:
    """Return a table of spike trains, one row a rule, one digit a step.

    HTML, since Markdown in a cell's output is read without tables when the book is built.

    Args:
        runs: name -> (spikes [T], potential [T]).
    """
    rows = [
        f"<tr><th scope='row'>{escape(name)}</th><td><code>{_digits(spikes)}</code></td>"
        f"<td>{int(spikes.sum())}</td></tr>"
        for name, (spikes, _) in runs.items()
    ]
    heads = "".join(f"<th scope='col'>{head}</th>" for head in ("rule", "spikes by step", "count"))
    body = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return as_html(f"<table class='table'>{body}</table>")


def _digits(spikes: torch.Tensor) -> str:
    return "".join(str(int(spike)) for spike in spikes)


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
    place = next(net.parameters()).device
    sequence = as_sequence(sample[None].to(place), steps)
    view = View(net, sequence)
    if not view.spiking:
        raise ValueError(f"net is a {type(net).__name__} without spiking layers; allowed: with")
    with evaluating(net), torch.no_grad(), view.read(view.spiking_layers, "spikes") as spikes:
        view(sequence)
    return [layer[:, 0].flatten(1).cpu() for layer in spikes]


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
    alike = len({min(spikes.shape[1], _ROWS) for spikes in rasters}) == 1
    grid = figure.subplots(1, len(rasters), squeeze=False, sharey=alike).ravel()
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
        axes.tick_params(labelsize=8)
    grid[0].set_ylabel("neuron (row)")
    return figure
