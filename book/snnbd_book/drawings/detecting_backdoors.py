"""Chapter 6: what detectors say, and what they see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from torch import Tensor, nn

from snnbd_book.figures import style
from snnbd_core.defenses.detectors.hyper_parameters import Card
from snnbd_core.learning import as_sequence
from snnbd_core.neurons import spiking_layers

__all__ = [
    "draw_activity_change",
    "draw_by_level",
    "draw_cards",
    "draw_clusters",
    "draw_features",
    "draw_masks",
]


def draw_by_level(
    found: Mapping[str, tuple[Sequence[float], np.ndarray, int]], *, xlabel: str, ylabel: str
) -> Figure:
    """What each class gets as something is turned up, one panel for each network.

    Args:
        found: title -> the levels, values [levels, classes], and the class that the detector
            suspects, which is drawn thick.
        xlabel: what the levels are, with their unit.
        ylabel: what the values are, with their unit.
    """
    figure = style.new_figure(2.6)
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (title, (levels, values, suspect)) in zip(panels, found.items(), strict=True):
        for number, curve in enumerate(np.asarray(values).T):
            if number != suspect:
                axes.plot(levels, curve, color=style.CURRENT, linewidth=0.8, label="other classes")
        axes.plot(
            levels,
            np.asarray(values)[:, suspect],
            color=style.MARK,
            marker="o",
            markersize=4,
            linewidth=2,
            label="suspected class",
        )
        axes.set(title=f"{title}\nclass {suspect}", xlabel=xlabel)
    panels[0].set_ylabel(ylabel)
    style.legend_below(figure, panels[0])
    return figure


def draw_cards(found: Mapping[str, Card]) -> Figure:
    """Threshold and decay of each layer of neurons, one panel each, one mark for each card.

    Args:
        found: name -> settings as `snnbd_core.defenses.detectors.card` gives them; layers are
            numbered from 1.
    """
    figure = style.new_figure(2.4)
    panels = figure.subplots(1, 2)
    marks = ("o", "x", "^", "s")
    for number, (axes, title) in enumerate(zip(panels, ("threshold", "decay"), strict=True)):
        columns = {name: [float(row[1 + number]) for row in card] for name, card in found.items()}
        for (name, values), colour, mark in zip(columns.items(), style.SERIES, marks, strict=False):
            face = "none" if mark != "x" else colour
            layers = np.arange(1, len(values) + 1)
            axes.plot(
                layers,
                values,
                linestyle=":",
                linewidth=0.8,
                color=colour,
                marker=mark,
                markersize=9,
                markerfacecolor=face,
                label=name,
            )
        highest = max(value for values in columns.values() for value in values)
        axes.set(title=title, xlabel="layer of neurons", xticks=layers, ylim=(0, 1.25 * highest))
    style.legend_below(figure, panels[0])
    return figure


def draw_clusters(
    found: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> Figure:
    """Samples of one label in two dimensions, one panel for each training set.

    Colour and mark say the cluster, the larger one first; poisoned samples have a ring.

    Args:
        found: title -> components [N, >= 2], of which two are drawn, clusters int [N] of 0 and 1,
            and which samples are poisoned, bool [N].
    """
    figure = style.new_figure(2.6)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (title, (places, side, poisoned)) in zip(panels, found.items(), strict=True):
        larger = np.bincount(side, minlength=2).argmax()
        for rows, name, colour, mark in (
            (side == larger, "larger cluster", style.SERIES[0], "o"),
            (side != larger, "smaller cluster", style.SERIES[2], "^"),
        ):
            axes.scatter(
                *places[rows, :2].T, s=16, color=colour, marker=mark, linewidths=0, label=name
            )
        axes.scatter(
            *places[poisoned, :2].T,
            s=45,
            facecolors="none",
            edgecolors=style.MARK,
            linewidths=0.9,
            label="poisoned",
        )
        axes.set(title=title, xlabel="first component", xticks=[], yticks=[])
    panels[0].set_ylabel("second component")
    style.legend_below(figure, panels[0])
    return figure


def draw_masks(masks: Mapping[str, Sequence[Tensor]]) -> Figure:
    """The masks [H, W] that were found for each class, one row for each network."""
    count = max(len(row) for row in masks.values())
    figure = style.new_figure(0.9 * len(masks) + 0.3)
    grid = figure.subplots(len(masks), count, squeeze=False)
    for axes_row, (name, row) in zip(grid, masks.items(), strict=True):
        for number, (axes, mask) in enumerate(zip(axes_row, row, strict=True)):
            axes.imshow(mask.cpu().numpy(), cmap="Greys", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"{number}: {float(mask.sum()):.1f}", fontsize=7)
        axes_row[0].set_ylabel(name, fontsize=8)
    return figure


def draw_features(hidden: np.ndarray, groups: Mapping[str, np.ndarray], seed: int = 0) -> Figure:
    """t-SNE of features [N, neurons], one colour for each group of rows (bool [N])."""
    places = TSNE(2, random_state=seed, init="pca", perplexity=20).fit_transform(hidden)
    figure = style.new_figure(3.4)
    axes = figure.subplots()
    marks = ("o", "^", "s", "D")
    for (name, rows), colour, mark in zip(groups.items(), style.SERIES, marks, strict=False):
        x, y = places[rows].T
        axes.scatter(x, y, s=14, color=colour, marker=mark, label=name, alpha=0.7)
    axes.set(xticks=[], yticks=[])
    axes.legend()
    return figure


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
