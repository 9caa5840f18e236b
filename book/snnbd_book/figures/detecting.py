"""What detectors say of networks and samples, drawn: scores and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnbd_book.figures import style
from snnbd_book.runs import Record
from snnbd_core.defenses.detectors import Verdict, pooled_scores

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
    """Histograms of samples' scores, one panel for each attack, in percent of each group.

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
        axes.hist(
            attacked,
            edges,
            weights=_per_cent(attacked),
            histtype="step",
            hatch="///",
            edgecolor=style.MARK,
            linewidth=1.4,
            label=second,
        )
        if false_alarms is not None:
            axes.axvline(
                float(np.quantile(clean, 1 - false_alarms)),
                color=style.SPIKE,
                linestyle="--",
                linewidth=1,
                label=f"{100 * false_alarms:g} % of {first} above",
            )
        axes.set(title=title, xlabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    panels[0].set_ylabel("samples (%)")
    style.legend_below(figure, panels[0])
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


def _said(p_value: float | None) -> str:
    """What a title says of a p-value."""
    if p_value is None:
        return ""
    return ", p < 0.001" if p_value < 0.001 else f", p = {p_value:.3f}"


def _per_cent(values: np.ndarray) -> np.ndarray:
    """Weights that make a histogram's bars add up to 100."""
    return np.full(len(values), 100 / max(1, len(values)))
