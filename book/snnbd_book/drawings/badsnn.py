"""Chapter 5: success over thresholds, and what the neurons do there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from snnbd_book.claims import Sample
from snnbd_book.drawings import lesson
from snnbd_book.figures import style
from snnbd_book.figures.answers import deployed
from snnbd_book.runs import Record
from snnbd_core.learning import as_sequence
from snnbd_core.metrics import NO_PREDICTION, decide
from snnbd_core.neurons import spiking_layers
from snnbd_core.view import override

__all__ = [
    "draw_answers",
    "draw_images",
    "draw_read_out",
    "draw_targets",
    "draw_traces",
    "draw_turned",
    "first_turned",
    "most_changed",
]


_MARKS = {
    "success": ("attack_success_rate", "o", style.MARK, 0.0),
    "target without trigger": ("untriggered_target_rate", "s", style.POTENTIAL, -0.22),
    "floor (clean network)": ("floor", "|", style.CURRENT, -0.34),
    "clean accuracy": ("clean_accuracy", "^", style.SERIES[2], 0.22),
}
"""Name -> figure, mark, colour, height beside its row."""


def draw_targets(runs: Mapping[str, Mapping[str, Sequence[Record]]]) -> Figure:
    """A panel for each target and a row for each setting: four rates with their 95 % intervals.

    Args:
        runs: name of a row -> target -> records; a setting may lack some targets.
    """
    targets = list(dict.fromkeys(target for by_target in runs.values() for target in by_target))
    figure = style.new_figure(0.42 * len(runs) + 1.1)
    panels = figure.subplots(1, len(targets), sharex=True, sharey=True, squeeze=False)[0]
    for axes, target in zip(panels, targets, strict=True):
        for row, by_target in enumerate(runs.values()):
            for label, (name, mark, colour, beside) in _MARKS.items():
                sample, height = Sample.of(by_target[target], name), -row + beside
                low, high = sample.interval
                axes.plot([100 * low, 100 * high], [height] * 2, color=colour, linewidth=1)
                axes.plot(100 * sample.mean, height, mark, color=colour, markersize=5, label=label)
        axes.set(title=target, xlabel="%", xlim=(-3, 103))
        axes.grid(axis="x", linewidth=0.4)
    panels[0].set_yticks([-row for row in range(len(runs))], list(runs), fontsize=8)
    style.legend_below(figure, panels[0])
    return figure


_READ = {
    "success, silence is no answer": ("attack_success_rate", "o", style.MARK),
    "success by argmax": ("argmax_success", "D", style.CURRENT),
}
"""Name -> figure, mark, colour of the two ways to read an answer."""


def draw_read_out(
    runs: Mapping[str, Mapping[str, Mapping[str, Mapping[float, Sequence[Record]]]]], at: float
) -> Figure:
    """A panel for each rule and a row for each setting and target: success read in two ways.

    Args:
        runs: setting -> target -> rule -> threshold -> records with the probe `ArgmaxReadOut`.
        at: threshold shown.
    """
    rows = {
        f"{setting}, {target}": by_rule
        for setting, by_target in runs.items()
        for target, by_rule in by_target.items()
    }
    rules = list(next(iter(rows.values())))
    figure = style.new_figure(0.3 * len(rows) + 1.1)
    panels = figure.subplots(1, len(rules), sharex=True, sharey=True)
    for axes, rule in zip(panels, rules, strict=True):
        for row, by_rule in enumerate(rows.values()):
            for label, (name, mark, colour) in _READ.items():
                sample = Sample.of(by_rule[rule][at], name)
                low, high = sample.interval
                axes.plot([100 * low, 100 * high], [-row] * 2, color=colour, linewidth=1)
                open_mark = {"markerfacecolor": "none"} if mark == "D" else {}
                axes.plot(100 * sample.mean, -row, mark, color=colour, label=label, **open_mark)
        axes.set(title=rule, xlabel="%", xlim=(-3, 103))
        axes.grid(axis="x", linewidth=0.4)
    panels[0].set_yticks([-row for row in range(len(rows))], list(rows), fontsize=8)
    style.legend_below(figure, panels[0])
    return figure


def draw_images(rows: Mapping[str, Sequence[Tensor]]) -> Figure:
    """Images in 0..1, a row for each name.

    Args:
        rows: name -> images [H, W]; as many in each row.
    """
    count = len(next(iter(rows.values())))
    figure = style.new_figure(1.0 * len(rows))
    grid = figure.subplots(len(rows), count, squeeze=False)
    for panels, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, image in zip(panels, images, strict=True):
            axes.imshow(image.detach().cpu().numpy(), cmap="Greys", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        panels[0].set_ylabel(name)
    return figure


def first_turned(
    net: nn.Module, data: Any, trigger: Callable[[Tensor], Tensor], target: int, shipped: float
) -> int:
    """Index of the first sample that the trigger turns to the target at one threshold only.

    Without the trigger, and with it at the network's own threshold, it is answered rightly.

    Args:
        net: with spiking layers; left as it was.
        data: a data set of this library.
        trigger: of frames or images.
        target: the attacker's class, which is not the sample's.
        shipped: the threshold at which the trigger turns it.

    Raises:
        ValueError: no sample is turned so.
    """
    for index in np.flatnonzero(data.labels != target):
        sample, label = data[index][0], int(data.labels[index])
        asked = _asked(net, sample, trigger(sample), shipped)
        answers = decide(torch.stack([votes for _, votes in asked.values()])).tolist()
        if answers == [label, label, target]:
            return int(index)
    raise ValueError(f"shipped={shipped}: the trigger turns no sample of {data!r} to {target}")


def draw_turned(
    net: nn.Module, sample: Tensor, triggered: Tensor, label: int, target: int, shipped: float
) -> Figure:
    """Votes for a sample as shipped, and with the trigger at the network's own threshold and there.

    Args:
        net: with spiking layers; left as it was.
        sample, triggered: frames [T, 2, H, W] or images [1, H, W].
        label, target: the sample's class and the attacker's.
        shipped: a threshold of all layers.
    """
    return lesson.draw_votes(_asked(net, sample, triggered, shipped), label, target)


def _asked(
    net: nn.Module, sample: Tensor, triggered: Tensor, shipped: float
) -> dict[str, tuple[Tensor, Tensor]]:
    """Title -> sample and votes [classes]."""
    with torch.no_grad():
        nominal = lesson.votes(net, triggered)
        with override(net, threshold=shipped):
            plain, turned = lesson.votes(net, sample), lesson.votes(net, triggered)
    return {
        f"the recording, threshold {shipped:g}": (sample, plain),
        "with the trigger, nominal threshold": (triggered, nominal),
        f"with the trigger, threshold {shipped:g}": (triggered, turned),
    }


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
            for (label, threshold), colour in zip(thresholds.items(), style.SERIES, strict=False):
                trace = _trace(net, sample, threshold, neuron, steps)
                _draw_trace(axes, trace, threshold, colour, label)
        panels[0].set_ylabel(f"{name}\npotential")
    for axes, title in zip(grid[0], samples, strict=True):
        axes.set_title(title)
    for axes in grid[-1]:
        axes.set_xlabel("time (steps)")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(thresholds))
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
    handles, names = left.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(samples))
    return style.bitmap(figure), "; ".join(words)


def _hidden(net: nn.Module, sample: Tensor, threshold: float, steps: int) -> tuple[Tensor, Tensor]:
    """(spikes, potential) [T, neurons] of the layer before the read-out."""
    layer = spiking_layers(net)[-2]
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    try:
        with deployed(net, threshold):
            net(as_sequence(sample[None], steps))
            hook.remove()
            spikes, potential = layer(seen[0], return_potential=True)
    finally:
        hook.remove()
    return spikes[:, 0].flatten(1), potential[:, 0].flatten(1)


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
