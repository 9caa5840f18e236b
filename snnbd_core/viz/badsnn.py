"""Pictures and tables of the attack on the neuron: traces, layers, and curves over thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snnbd_core.claims import Sample
from snnbd_core.experiment import Record
from snnbd_core.learning import as_sequence
from snnbd_core.neurons import override, spiking_layers
from snnbd_core.viz import style

_CURVES = {
    "clean_accuracy": "clean accuracy",
    "untriggered_target_rate": "untriggered target rate",
    "attack_success_rate": "success under the trigger",
    "no_prediction_triggered": "no prediction, triggered",
}


def draw_thresholds(
    runs: Mapping[str, Mapping[float, Sequence[Record]]], shipped: Sequence[float] = ()
) -> Figure:
    """Four rates against the inference threshold, mean over seeds with 95 % bands.

    Args:
        runs: name of a network -> V_thr^a -> the records of its seeds.
        shipped: thresholds that the paper ships, marked by dotted lines.
    """
    figure = style.new_figure(4.8)
    grid = figure.subplots(2, 2, sharex=True, sharey=True)
    for axes, (field, title) in zip(grid.ravel(), _CURVES.items(), strict=True):
        for (name, by_threshold), colour in zip(runs.items(), style.SERIES, strict=False):
            thresholds = sorted(by_threshold)
            samples = [Sample.of(by_threshold[at], field) for at in thresholds]
            low, high = zip(*(one.interval for one in samples), strict=True)
            axes.fill_between(thresholds, [100 * x for x in low], [100 * x for x in high],
                              color=colour, alpha=0.15)  # fmt: skip
            axes.plot(thresholds, [100 * one.mean for one in samples], "o-",
                      color=colour, label=name, markersize=4)  # fmt: skip
        for at in shipped:
            axes.axvline(at, color=style.CURRENT, linestyle=":", linewidth=0.8)
        axes.set(title=title, ylim=(-3, 103))
    for axes in grid[1]:
        axes.set_xlabel("inference threshold")
    for axes in grid[:, 0]:
        axes.set_ylabel("%")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


def thresholds_table(runs: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Accuracy, untriggered target rate, success and floor of each row, mean over its seeds."""
    fields = {
        "CA": "clean_accuracy",
        "target, no trigger": "untriggered_target_rate",
        "ASR": "attack_success_rate",
        "floor": "floor",
        "silent": "no_prediction_triggered",
    }
    rows = {
        name: {title: str(Sample.of(records, field)) for title, field in fields.items()}
        for name, records in runs.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def draw_traces(
    net: nn.Module, samples: Mapping[str, Tensor], thresholds: Mapping[str, float], steps: int = 4
) -> Figure:
    """Potential of the busiest hidden neuron of the last hidden layer, sample by sample.

    Args:
        net: a network with spiking layers; left as it was.
        samples: title -> frames [T, C, H, W] or image [C, H, W].
        thresholds: label -> threshold of all layers; one curve each.
        steps: T for images.
    """
    figure = style.new_figure(2.6)
    panels = figure.subplots(1, len(samples), sharey=True, squeeze=False)[0]
    busiest = _busiest(net, next(iter(samples.values())), steps)
    for axes, (title, sample) in zip(panels, samples.items(), strict=True):
        for (label, threshold), colour in zip(thresholds.items(), style.SERIES, strict=False):
            spikes, potential = _hidden(net, sample, threshold, steps)
            axes.plot(potential[:, busiest], color=colour, label=label)
            fired = spikes[:, busiest].nonzero()[:, 0]
            axes.plot(fired, [threshold] * len(fired), "|", color=colour, markersize=10)
            axes.axhline(threshold, color=colour, linestyle=":", linewidth=0.8)
        axes.set(title=title, xlabel="time (steps)")
    panels[0].set_ylabel("potential")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(thresholds))
    return figure


def draw_layer_rates(
    nets: Mapping[str, nn.Module],
    batches: Mapping[str, Tensor],
    threshold: float,
    steps: int = 4,
) -> Figure:
    """Mean firing rate of each layer, in each network and batch, as grouped bars.

    Args:
        nets: name -> network.
        batches: name -> samples [B, ...].
        threshold: of all layers.
        steps: T for images.
    """
    figure = style.new_figure(2.6)
    panels = figure.subplots(1, len(nets), sharey=True, squeeze=False)[0]
    width = 0.8 / len(batches)
    for axes, (name, net) in zip(panels, nets.items(), strict=True):
        for number, (label, batch) in enumerate(batches.items()):
            rates = _layer_rates(net, batch, threshold, steps)
            places = [layer + (number - (len(batches) - 1) / 2) * width
                      for layer in range(len(rates))]  # fmt: skip
            axes.bar(places, rates, width, color=style.SERIES[number], label=label)
        axes.set_xticks(range(len(rates)), [f"layer {n + 1}" for n in range(len(rates))])
        axes.set_title(name)
    panels[0].set_ylabel("spikes per neuron and step")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(batches))
    return figure


def _layer_rates(net: nn.Module, batch: Tensor, threshold: float, steps: int) -> list[float]:
    rates: list[float] = []

    def keep(_layer: nn.Module, _inputs: Any, spikes: Tensor) -> None:
        rates.append(float(spikes.mean()))

    hooks = [layer.register_forward_hook(keep) for layer in spiking_layers(net)]
    try:
        with torch.no_grad(), override(net, threshold=threshold):
            net(as_sequence(batch, steps))
    finally:
        for hook in hooks:
            hook.remove()
    return rates


def _hidden(net: nn.Module, sample: Tensor, threshold: float, steps: int) -> tuple[Tensor, Tensor]:
    """(spikes, potential) [T, neurons] of the layer before the read-out."""
    layer = spiking_layers(net)[-2]
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    try:
        with torch.no_grad(), override(net, threshold=threshold):
            net(as_sequence(sample[None], steps))
            hook.remove()
            spikes, potential = layer(seen[0], return_potential=True)
    finally:
        hook.remove()
    return spikes[:, 0].flatten(1), potential[:, 0].flatten(1)


def _busiest(net: nn.Module, sample: Tensor, steps: int) -> int:
    spikes, potential = _hidden(net, sample, 1.0, steps)
    # of the neurons that fire most, the one that is driven hardest
    return int((spikes.sum(dim=0) + potential.mean(dim=0) / 100).argmax())
