"""Chapter 9: what repairs leave, cost and touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snnbd_book.figures import style
from snnbd_core.data import SampleSet
from snnbd_core.defenses.bench import frozen
from snnbd_core.defenses.nad import attention
from snnbd_core.defenses.pruning import Choice
from snnbd_core.metrics import Report
from snnbd_core.poisoning import Triggered
from snnbd_core.triggers import Trigger
from snnbd_core.view import View

__all__ = [
    "changed_rates",
    "draw_attention",
    "draw_channels",
    "draw_clamps",
    "draw_gaps",
    "draw_strengths",
]

_KEPT: dict[str, Any] = {"marker": "o", "s": 9, "color": style.SERIES[0], "linewidths": 0}
_SILENCED: dict[str, Any] = {"marker": "x", "s": 18, "color": style.MARK, "linewidths": 1}


def changed_rates(net: nn.Module, data: SampleSet, trigger: Trigger, steps: int) -> list[Tensor]:
    """Rate of each channel under a trigger, less that without, one [C] for each hidden layer.

    Args:
        net: in evaluation mode.
        data: clean samples, with the protocol of `snnbd_core.data`.
        trigger: is put on all of them.
        steps: T of static images.
    """
    place = next(net.parameters()).device
    with frozen(net, data, device=place, steps=steps) as bench:
        triggered, clean = bench.rates(Triggered(data, trigger)), bench.rates(data)
    return [with_it - without for with_it, without in zip(triggered, clean, strict=True)]


def draw_channels(
    choice: Choice, change: Sequence[Tensor], score: str, chosen: str = "silenced"
) -> Figure:
    """What a repair looks at in each channel, against what the trigger does to it.

    Args:
        choice: of the repair.
        change: of each channel's rate by the trigger, [C] for each hidden layer; layers beyond
            those of the choice are left out.
        score: what the repair looks at, the label of the horizontal axis.
        chosen: what it does to the channels that it does not keep.

    Raises:
        ValueError: a layer with another number of channels than its scores.
    """
    figure = style.new_figure(2.4)
    panels = figure.subplots(1, len(choice.scores), squeeze=False)[0]
    layers = zip(panels, choice.scores, choice.keep, choice.limits, change, strict=False)
    for number, (axes, scores, keep, limit, moved) in enumerate(layers, start=1):
        if len(moved) != len(scores):
            raise ValueError(
                f"change of layer {number} has {len(moved)} channels, its scores {len(scores)}"
            )
        for name, these, look in (("kept", keep, _KEPT), (chosen, ~keep, _SILENCED)):
            axes.scatter(scores[these].cpu(), moved[these].cpu(), label=name, **look)
        axes.axhline(0, color=style.CURRENT, linewidth=0.8, linestyle=":")
        if limit is not None:
            axes.axvline(limit, color=style.THRESHOLD, linewidth=1, linestyle="--", label="limit")
        gone = int((~keep).sum())
        axes.set(xlabel=score, title=f"layer {number}: {gone} of {len(keep)} {chosen}")
    panels[0].set_ylabel("change of rate\n(spikes per step)")
    style.legend_below(figure, panels[0])
    return figure


def draw_strengths(reports: Mapping[float, Report], strength: str, log: bool = False) -> Figure:
    """Clean accuracy and attack success against a setting of a repair.

    Args:
        reports: value of the setting -> report of the network repaired with it.
        strength: the setting, with its unit.
        log: True for a logarithmic axis.
    """
    figure = style.new_figure(2.5)
    axes = figure.subplots()
    values = sorted(reports)
    for (name, field), colour, mark in zip(
        (("clean accuracy", "clean_accuracy"), ("attack success", "attack_success_rate")),
        style.SERIES[:2],
        ("o-", "s--"),
        strict=True,
    ):
        shares = [100 * float(getattr(reports[value], field)) for value in values]
        axes.plot(values, shares, mark, color=colour, label=name, markersize=4)
    axes.set(xlabel=strength, ylabel="test samples (%)", ylim=(-3, 103))
    if log:
        axes.set_xscale("log")
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
    axes.legend()
    return figure


@torch.no_grad()
def draw_attention(sequence: Tensor, nets: Mapping[str, nn.Module]) -> Figure:
    """A sample, and the attention of each network's first hidden layer on it, as maps.

    Args:
        sequence: one sample, [T, 1, C, H, W].
        nets: name -> network in evaluation mode.

    Raises:
        ValueError: more than one sample, or a first hidden layer without places.
    """
    if sequence.shape[1] != 1:
        raise ValueError(f"sequence has {sequence.shape[1]} samples: allowed is 1")
    maps = {"sample": sequence.sum(dim=(0, 1, 2))}
    for name, net in nets.items():
        view = View(net, sequence)
        with view.read(view.hidden[:1], "spikes") as spikes:
            view(sequence)
        if spikes[0].dim() != 5:
            raise ValueError(f"the first hidden layer of {name!r} has no places to look at")
        maps[name] = attention(spikes[0]).reshape(spikes[0].shape[-2:])
    figure = style.new_figure(2.5)
    panels = figure.subplots(1, len(maps))
    highest = max(float(maps[name].max()) for name in nets)
    for axes, (name, values) in zip(panels, maps.items(), strict=True):
        top = highest if name in nets else None
        axes.imshow(values.cpu().numpy(), cmap="Greys", vmin=0, vmax=top)
        axes.set(title=name, xticks=[], yticks=[])
    return figure


def draw_clamps(
    clean: Sequence[Tensor], bounds: Sequence[Tensor], triggered: Sequence[Tensor], count: int = 2
) -> Figure:
    """Largest currents without and with the trigger, and the learnt bound, step by step.

    Args:
        clean, bounds, triggered: [T, C] for each hidden layer.
        count: channels of each layer that are drawn: those that the trigger drives furthest above
            their largest clean current, at any step.
    """
    figure = style.new_figure(1.4 * len(clean) + 0.5)
    grid = figure.subplots(len(clean), count, sharex=True, squeeze=False)
    looks = (
        ("largest clean", style.SERIES[0], "-"),
        ("largest triggered", style.SPIKE, ":"),
        ("bound", style.THRESHOLD, "--"),
    )
    layers = zip(grid, clean, triggered, bounds, strict=True)
    for number, (row, *currents) in enumerate(layers, start=1):
        beyond = (currents[1] - currents[0]).amax(dim=0)
        ranked = beyond.argsort(descending=True, stable=True).tolist()
        for axes, channel in zip(row, ranked, strict=False):
            for current, (name, colour, line) in zip(currents, looks, strict=True):
                steps = range(1, len(current) + 1)
                axes.plot(steps, current[:, channel].cpu(), line, color=colour, label=name)
            axes.set_title(f"layer {number}, channel {channel}")
        row[0].set_ylabel("current")
    for axes in grid[-1]:
        axes.set_xlabel("time step")
    style.legend_below(figure, grid[0, 0])
    return figure


def draw_gaps(networks: Mapping[str, Sequence[Tensor]], margin: float) -> Figure:
    """How far potentials are from the threshold, layer by layer, in each of two networks.

    Args:
        networks: name -> potential less threshold, one tensor for each layer of neurons.
        margin: the neighbourhood of the threshold, which is shaded; three times as much is drawn.
    """
    count = len(next(iter(networks.values())))
    figure = style.new_figure(2.5)
    panels = figure.subplots(1, count, squeeze=False)[0]
    edges = np.linspace(-3 * margin, 3 * margin, 31)
    for number, axes in enumerate(panels):
        axes.axvspan(-margin, margin, color=style.CURRENT, alpha=0.2, linewidth=0)
        axes.axvline(0, color=style.SPIKE, linewidth=0.8, linestyle=":")
        lines = ("-", "--")[: len(networks)]
        for (name, layers, colour, _), line in zip(style.told_apart(networks), lines, strict=True):
            values = layers[number].flatten().cpu().numpy()
            shares = np.histogram(values, edges)[0] / len(values)
            axes.stairs(100 * shares, edges, color=colour, linestyle=line, label=name)
        axes.set(title="read-out" if number == count - 1 else f"layer {number + 1}")
        axes.set_xlabel("potential less threshold")
        axes.tick_params(labelsize=8)
    panels[0].set_ylabel("neurons and steps (%)")
    style.legend_below(figure, panels[0])
    return figure
