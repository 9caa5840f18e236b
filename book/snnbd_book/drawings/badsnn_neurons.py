"""Chapter 5: what single neurons do at a threshold, and how a network answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from snnbd_book.drawings import lesson
from snnbd_book.figures import style
from snnbd_book.figures.answers import deployed
from snnbd_core.learning import as_sequence
from snnbd_core.metrics import NO_PREDICTION, decide
from snnbd_core.view import View

__all__ = ["draw_answers", "draw_traces", "most_changed"]


def most_changed(
    net: nn.Module, clean: Tensor, triggered: Tensor, threshold: float, steps: int = 4
) -> int:
    """The neuron of the last hidden layer whose number of spikes a trigger changes most.

    Args:
        net: a network with spiking layers; left as it was.
        clean, triggered: one sample without and with the trigger, frames [T, C, H, W] or image
            [C, H, W].
        threshold: of all layers.
        steps: T for images.

    Returns:
        Its number in the flattened layer; of several, the first, and so 0 where nothing changes.
    """
    before, after = (_hidden(net, one, threshold, steps)[0].sum(0) for one in (clean, triggered))
    return int((after - before).abs().argmax())


def draw_traces(
    neurons: Mapping[str, tuple[nn.Module, int]],
    samples: Mapping[str, Tensor],
    thresholds: Mapping[str, float],
    steps: int = 4,
) -> Figure:
    """Potential of one neuron of the last hidden layer, a row for each network.

    Args:
        neurons: name of a row -> a network with spiking layers, left as it was, and the neuron's
            number in the flattened layer, as `most_changed` gives it.
        samples: title -> frames [T, C, H, W] or image [C, H, W]; a column each.
        thresholds: label -> threshold of all layers; one curve each.
        steps: T for images.
    """
    figure = style.new_figure(1.5 * len(neurons) + 1.1)
    grid = figure.subplots(len(neurons), len(samples), sharex=True, sharey="row", squeeze=False)
    for panels, (name, (net, neuron)) in zip(grid, neurons.items(), strict=True):
        for axes, sample in zip(panels, samples.values(), strict=True):
            for label, threshold, colour, _ in style.told_apart(thresholds):
                trace = _trace(net, sample, threshold, neuron, steps)
                _draw_trace(axes, trace, threshold, colour, label)
        panels[0].set_ylabel(f"{name}\npotential")
    for axes, title in zip(grid[0], samples, strict=True):
        axes.set_title(title)
    for axes in grid[-1]:
        axes.set_xlabel("time (steps)")
    style.legend_below(figure, grid[0, 0], len(thresholds))
    return figure


def draw_answers(
    net: nn.Module,
    samples: Mapping[str, Tensor],
    threshold: float,
    neuron: int,
    *,
    potentials: tuple[float, float] | None = None,
    steps: int = 4,
) -> tuple[np.ndarray, str]:
    """Votes for the classes beside the potential of one hidden neuron, and both in words.

    Args:
        net: a network with spiking layers; left as it was.
        samples: name -> frames [T, C, H, W] or image [C, H, W]; a bar and a curve each.
        threshold: of all layers.
        neuron: its number in the last hidden layer, as for `draw_traces`.
        potentials: lowest and highest that is shown, the same for pictures to be compared; None
            takes what there is.
        steps: T for images.

    Returns:
        An image uint8 [H, W, 3] for `stills`, and each answer with how often the neuron fires.
    """
    figure = style.new_figure(2.4, 5.6)
    left, right = figure.subplots(1, 2)
    votes, words = {}, []
    for number, (name, sample) in enumerate(samples.items()):
        with deployed(net, threshold):
            votes[name] = 100 * lesson.votes(net, sample, steps)
        trace = _trace(net, sample, threshold, neuron, steps)
        # ticks of the first stand out above those of the second, where both fire
        _draw_trace(right, trace, threshold, style.SERIES[number], name, 14 / (1 + number))
        answer = int(decide(votes[name][None]))
        words.append(
            f"{name} the answer is {'none' if answer == NO_PREDICTION else answer} and the neuron "
            f"fires in {int(trace[0].sum())} of {len(trace[0])} steps"
        )
    _draw_groups(left, votes)
    left.set(xlabel="class", ylabel="votes (%)", ylim=(0, 100))
    left.set_xticks(range(len(votes[name])))
    right.set(xlabel="time (steps)", ylabel="potential", ylim=potentials)
    style.legend_below(figure, left, len(samples))
    return style.bitmap(figure), "; ".join(words)


def _hidden(net: nn.Module, sample: Tensor, threshold: float, steps: int) -> tuple[Tensor, Tensor]:
    """(spikes, potential) [T, neurons] of the layer before the read-out."""
    sequence = as_sequence(sample[None], steps)
    with deployed(net, threshold):
        view = View(net, sequence)
        layer = view.spiking_layers[-2:-1]
        with view.read(layer, "spikes") as spikes, view.read(layer, "potential") as potential:
            view(sequence)
    return spikes[0][:, 0].flatten(1), potential[0][:, 0].flatten(1)


def _trace(
    net: nn.Module, sample: Tensor, threshold: float, neuron: int, steps: int
) -> tuple[Tensor, Tensor]:
    """(spikes, potential) [T] of one neuron of the layer before the read-out."""
    spikes, potential = _hidden(net, sample, threshold, steps)
    return spikes[:, neuron], potential[:, neuron]


def _draw_trace(
    axes: Axes,
    trace: tuple[Tensor, Tensor],
    threshold: float,
    colour: str,
    label: str,
    tick: float = 10,
) -> None:
    """Spikes and potential [T]: a curve, the threshold as a dotted line, ticks at spikes."""
    spikes, potential = trace
    axes.plot(potential, color=colour, label=label)
    fired = spikes.nonzero()[:, 0]
    axes.plot(fired, [threshold] * len(fired), "|", color=colour, markersize=tick)
    axes.axhline(threshold, color=colour, linestyle=":", linewidth=0.8)


def _draw_groups(axes: Axes, groups: Mapping[str, Sequence[float] | Tensor]) -> None:
    """Bars side by side at 0, 1, ...: name -> heights, all as many."""
    width = 0.8 / len(groups)
    for number, (name, heights) in enumerate(groups.items()):
        shift = (number - (len(groups) - 1) / 2) * width
        places = np.arange(len(heights)) + shift
        axes.bar(places, np.asarray(heights), width, color=style.SERIES[number], label=name)
