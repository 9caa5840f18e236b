"""What each detector looks at: masks, votes, margins, settings, scores, features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.manifold import TSNE
from torch import Tensor

from snnbd_book.figures import style
from snnbd_book.runs import Record
from snnbd_core.defenses.detectors import Verdict, pooled_scores
from snnbd_core.defenses.detectors.hyper_parameters import Card

BINS = 20


def pool_scores(records: Sequence[Record], attacked: str = "triggered") -> dict[str, np.ndarray]:
    """Scores of samples of several seeds, as a panel of `draw_scores`.

    Args:
        records: probed by a detector of inputs or of training sets.
        attacked: what the samples are called that are not "clean".

    Raises:
        ValueError: a record of something else than a detector of samples.
    """
    clean, others = pooled_scores(record.report.extra for record in records)
    return {"clean": clean, attacked: others}


def draw_scores(
    found: Mapping[str, Mapping[str, np.ndarray]],
    *,
    label: str,
    false_alarms: float | None = None,
) -> Figure:
    """Histograms of samples' scores, one panel for each attack, in per cent of each group.

    The first group is filled, the second an outline, so that neither hides the other. All panels
    have the same bins.

    Args:
        found: title -> name of a group -> its scores, two groups each, the clean ones first.
        label: what a score is, with its unit.
        false_alarms: draws in each panel the threshold that this share of the clean ones is above,
            0..1; None draws none.

    Raises:
        ValueError: a panel of other than two groups, or `false_alarms` outside 0..1.
    """
    if false_alarms is not None and not 0 <= false_alarms <= 1:
        raise ValueError(f"false_alarms={false_alarms!r} must be within 0..1")
    figure = style.new_figure(2.6)
    panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    every = np.concatenate(
        [np.asarray(one) for groups in found.values() for one in groups.values()]
    )
    edges = np.histogram_bin_edges(every, BINS)
    for axes, (title, groups) in zip(panels, found.items(), strict=True):
        if len(groups) != 2:
            raise ValueError(f"{title!r} has the groups {list(groups)}: allowed are two")
        (first, clean), (second, attacked) = groups.items()
        axes.hist(clean, edges, weights=_per_cent(clean), color=style.BOTH, label=first)
        axes.hist(attacked, edges, weights=_per_cent(attacked), histtype="step", hatch="///",
                  edgecolor=style.MARK, linewidth=1.4, label=second)  # fmt: skip
        if false_alarms is not None:
            axes.axvline(float(np.quantile(clean, 1 - false_alarms)), color=style.SPIKE,
                         linestyle="--", linewidth=1,
                         label=f"{100 * false_alarms:g} % of {first} above")  # fmt: skip
        axes.set(title=title, xlabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    panels[0].set_ylabel("samples (%)")
    _legend(figure, panels[0])
    return figure


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
        axes.plot(levels, np.asarray(values)[:, suspect], color=style.MARK, marker="o",
                  markersize=4, linewidth=2, label="suspected class")  # fmt: skip
        axes.set(title=f"{title}\nclass {suspect}", xlabel=xlabel)
    panels[0].set_ylabel(ylabel)
    _legend(figure, panels[0])
    return figure


def draw_verdicts(found: Mapping[str, Verdict], *, ylabel: str) -> Figure:
    """What verdicts were made from: a bar for each class, one panel for each network.

    The suspected class is hatched; a p-value stands in the title.

    Args:
        found: title -> what a detector of models said, with values.
        ylabel: what the values are, with their unit.

    Raises:
        ValueError: a verdict without values.
    """
    figure = style.new_figure(2.4)
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (title, verdict) in zip(panels, found.items(), strict=True):
        if not verdict.values:
            raise ValueError(f"{title!r} has a verdict without values: it names no classes")
        classes = np.arange(len(verdict.values))
        for rows, colour, hatch in (
            (classes != verdict.target, style.BOTH, None),
            (classes == verdict.target, style.MARK, "///"),
        ):
            axes.bar(classes[rows], np.asarray(verdict.values)[rows], color=colour, hatch=hatch)
        axes.set(title=f"{title}{_said(verdict.p_value)}", xlabel="class", xticks=classes)
    panels[0].set_ylabel(ylabel)
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
            axes.plot(layers, values, linestyle=":", linewidth=0.8, color=colour, marker=mark,
                      markersize=9, markerfacecolor=face, label=name)  # fmt: skip
        highest = max(value for values in columns.values() for value in values)
        axes.set(title=title, xlabel="layer of neurons", xticks=layers, ylim=(0, 1.25 * highest))
    _legend(figure, panels[0])
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
            axes.scatter(*places[rows, :2].T, s=16, color=colour, marker=mark,
                         linewidths=0, label=name)  # fmt: skip
        axes.scatter(*places[poisoned, :2].T, s=45, facecolors="none", edgecolors=style.MARK,
                     linewidths=0.9, label="poisoned")  # fmt: skip
        axes.set(title=title, xlabel="first component", xticks=[], yticks=[])
    panels[0].set_ylabel("second component")
    _legend(figure, panels[0])
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


def _said(p_value: float | None) -> str:
    """What a title says of a p-value."""
    if p_value is None:
        return ""
    return ", p < 0.001" if p_value < 0.001 else f", p = {p_value:.3f}"


def _per_cent(values: np.ndarray) -> np.ndarray:
    """Weights that make a histogram's bars add up to 100."""
    return np.full(len(values), 100 / max(1, len(values)))


def _legend(figure: Figure, axes: Axes) -> None:
    """One legend below all panels, each name once."""
    handles, names = axes.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=4)
