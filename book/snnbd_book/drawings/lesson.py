"""What every lesson shows: its hook, threat model and rates, and the claims beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from textwrap import fill

import numpy as np
import torch
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor, nn

from snnbd_book.claims import Judgement, Sample
from snnbd_book.claims.pages import breakable
from snnbd_book.drawings.stealthier_triggers import shaded_image
from snnbd_book.figures import glue, style
from snnbd_book.figures.marks import draw_interval, name_rows
from snnbd_book.figures.pages import as_html
from snnbd_book.runs import Record
from snnbd_core.data import SampleSet
from snnbd_core.learning import as_sequence
from snnbd_core.metrics import NO_PREDICTION, decide

__all__ = [
    "claims_list",
    "draw_dots",
    "draw_samples",
    "draw_threat_model",
    "draw_votes",
    "first_flipped",
    "glue_rates",
]

WHO = {"attacker": style.MARK, "victim": style.POTENTIAL}
USUAL = ("success", "floor (clean network)", "clean accuracy")
MARKS = {
    "success": ("attack_success_rate", "o", style.MARK, 0.14),
    "floor (clean network)": ("floor", "|", style.CURRENT, 0.0),
    "clean accuracy": ("clean_accuracy", "^", style.SERIES[2], -0.18),
    "target without trigger": ("untriggered_target_rate", "s", style.POTENTIAL, 0.0),
}
"""Name -> figure of a report, mark, colour, height beside its row."""
_TILES = 4  # frames side by side in the picture of a recording


@torch.no_grad()
def votes(net: nn.Module, sample: Tensor, steps: int = 4) -> Tensor:
    """Votes [classes] of a network for one sample, frames [T, C, H, W] or image [C, H, W]."""
    found: Tensor = net(as_sequence(sample[None], steps))[0]
    return found


def first_flipped(
    nets: Sequence[nn.Module],
    data: SampleSet,
    trigger: Callable[[Tensor], Tensor],
    target: int,
    steps: int = 4,
) -> int:
    """Index of the first sample that all networks answer rightly, and with the trigger the target.

    Args:
        nets: of votes.
        data: a data set of this library.
        trigger: of frames or images.
        target: the attacker's class, which is not the sample's.
        steps: T for images.

    Raises:
        ValueError: no sample is answered so.
    """
    labels = data.labels
    for index in np.flatnonzero(labels != target):
        sample = data[int(index)][0]
        pair = sample, trigger(sample)
        shown = torch.stack([votes(net, one, steps) for net in nets for one in pair])
        if decide(shown).tolist() == [int(labels[index]), target] * len(nets):
            return int(index)
    raise ValueError(f"target={target}: the trigger changes the answer to no sample of {data!r}")


def draw_votes(cases: Mapping[str, tuple[Tensor, Tensor]], label: int, target: int) -> Figure:
    """Samples in rows, each beside the votes that it gets.

    Args:
        cases: title -> a sample, frames [T, 2, H, W] or image [1, H, W], and votes [classes].
        label: the sample's class, whose bar is blue.
        target: the attacker's class, whose bar is orange.
    """
    figure = style.new_figure(1.5 * len(cases) + 0.25)
    grid = figure.subplots(len(cases), 2, squeeze=False, width_ratios=(1, 1.1))
    for (shown, bars), (title, (sample, found)) in zip(grid, cases.items(), strict=True):
        image = sample[0].numpy() if sample.dim() == 3 else _tiled(sample)
        shown.imshow(image, cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
        shown.set(xticks=[], yticks=[])
        shown.spines[:].set_visible(True)
        shown.set_title(title, fontsize=9)
        _draw_bars(bars, found, label, target)
    grid[-1, 1].set_xlabel("class")
    return figure


def _tiled(frames: Tensor) -> np.ndarray:
    """Frames [T, 2, H, W] as one image, read like lines of text."""
    images = [np.pad(shaded_image(frame), ((1, 1), (1, 1), (0, 0))) for frame in frames]
    rows = [images[at : at + _TILES] for at in range(0, len(images), _TILES)]
    empty = np.full_like(images[0], 255)
    return np.concatenate(
        [np.concatenate(row + [empty] * (_TILES - len(row)), axis=1) for row in rows]
    )


def _draw_bars(axes: Axes, found: Tensor, label: int, target: int) -> None:
    colours = [style.CURRENT] * len(found)
    colours[label], colours[target] = style.POTENTIAL, style.MARK
    axes.bar(range(len(found)), found.tolist(), color=colours)
    answer = int(decide(found[None])[0])
    words = {label: "right", target: "the attacker's", NO_PREDICTION: "silent or tied"}
    name = "none" if answer == NO_PREDICTION else str(answer)
    axes.set_title(f"answer: {name} ({words.get(answer, 'wrong')})", fontsize=9)
    top = float(found.max()) or 1.0
    axes.set(ylim=(0, 1.05 * top), ylabel="votes")
    axes.set_yticks([0, top], ["0", f"{top:.2g}"])
    axes.set_xticks(range(len(found)))


def draw_threat_model(steps: Mapping[str, tuple[str, str]], checks: str) -> Figure:
    """Who does what on the way from data to answers, and what the victim can check.

    Args:
        steps: name of a step -> "attacker" or "victim", and what it does there.
        checks: what the victim can look at.

    Raises:
        ValueError: somebody else.
    """
    for name, (who, _) in steps.items():
        if who not in WHO:
            raise ValueError(f"steps[{name!r}] is done by {who!r}; allowed: {', '.join(WHO)}")
    figure = style.new_figure(2.1)
    axes = figure.subplots()
    axes.set(xlim=(0, len(steps)), ylim=(0, 1))
    axes.set_axis_off()
    for place, (name, (who, what)) in enumerate(steps.items()):
        _draw_box(axes, place + 0.04, 0.92, WHO[who])
        axes.text(place + 0.5, 0.93, name, ha="center", va="top", fontsize=9, weight="bold")
        axes.text(place + 0.5, 0.81, who, ha="center", va="top", fontsize=8, color=WHO[who])
        words = fill(what, 100 // len(steps))
        axes.text(place + 0.5, 0.69, words, ha="center", va="top", fontsize=8)
        if place:
            arrow = {"arrowstyle": "->", "color": "#555"}
            axes.annotate("", (place + 0.05, 0.6), (place - 0.05, 0.6), arrowprops=arrow)
    words = fill(f"The victim can check: {checks}", 105)
    axes.text(len(steps) / 2, 0.1, words, ha="center", va="center", fontsize=9)
    return figure


def _draw_box(axes: Axes, left: float, width: float, colour: str) -> None:
    look = "round,pad=0,rounding_size=0.05"
    box = FancyBboxPatch((left, 0.24), width, 0.74, boxstyle=look, linewidth=1.5)
    box.set(facecolor="white", edgecolor=colour)
    axes.add_patch(box)


def draw_dots(settings: Mapping[str, Sequence[Record]], marks: Iterable[str] = USUAL) -> Figure:
    """A row for each setting: success, floor and clean accuracy with their 95 % intervals.

    Args:
        settings: name of a row -> records of its seeds; a figure that they lack is left out.
        marks: names of `MARKS` to draw.
    """
    return draw_samples(
        {
            row: {
                label: Sample.of(records, MARKS[label][0])
                for label in marks
                if all(one.report.figure(MARKS[label][0]) is not None for one in records)
            }
            for row, records in settings.items()
        }
    )


def draw_samples(rows: Mapping[str, Mapping[str, Sample]]) -> Figure:
    """A row for each setting: rates with their 95 % intervals.

    Args:
        rows: name of a row -> name of one of `MARKS` -> its rates.
    """
    figure = style.new_figure(0.36 * len(rows) + 0.95)
    axes = figure.subplots()
    for row, samples in enumerate(rows.values()):
        for label, sample in samples.items():
            _, mark, colour, beside = MARKS[label]
            draw_interval(axes, sample, beside - row, mark, colour=colour, label=label)
    name_rows(axes, rows)
    axes.set(xlabel="%", xlim=(-3, 103), ylim=(0.5 - len(rows), 0.5))
    axes.grid(axis="x", linewidth=0.4)
    style.legend_below(figure, axes)
    return figure


def claims_list(judgements: Iterable[Judgement]) -> HTML:
    """A line for each claim: verdict and claim; folded, its figures and its test."""
    lines = []
    for item in judgements:
        figures = "".join(
            f"<li>{escape(figure.label)}: ours {escape(figure.ours_text)}"
            + ("" if figure.paper is None else f"; the paper {escape(figure.paper_text)}")
            + "</li>"
            for figure in item.figures
        )
        kind = item.verdict.replace(" ", "-")
        lines.append(
            f'<details class="claim"><summary><span class="verdict {kind}">{item.verdict}</span> '
            f"{escape(item.claim.where)}. {escape(item.claim.statement)}</summary>"
            f"<ul>{figures}</ul><p>The test: {breakable(escape(item.reason, quote=False))}</p>"
            "</details>"
        )
    return as_html("\n".join(lines))


def glue_rates(runs: Mapping[str, Sequence[Record]], figure: str = "attack_success_rate") -> None:
    """Stores means with their 95 % intervals for ``glue:text``, each under its name."""
    for name, records in runs.items():
        glue(name, str(Sample.of(records, figure)))
