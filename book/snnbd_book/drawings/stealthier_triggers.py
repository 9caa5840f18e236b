"""Chapter 3: how triggers look, what they cost and how much they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from snnbd_book.claims import Sample
from snnbd_book.figures import style
from snnbd_book.figures.events import polarity_image
from snnbd_book.figures.marks import draw_band, name_rows
from snnbd_book.figures.pictures import COLUMNS, draw_rows
from snnbd_book.runs import Record
from snnbd_core.metrics import stealth

__all__ = [
    "draw_frontier",
    "draw_time_position",
    "draw_triggers",
    "draw_varied",
    "draw_walks",
    "scored",
    "scored_bounded",
    "shaded_image",
    "stealth_words",
]

# score -> its name on an axis; which way is stealthier is in the sign
SCORES = {
    "ssim_frames": "SSIM per frame",
    "ssim_sum": "SSIM of the sum over time",
    "changed": "events added or removed",
    "rate_change": "change of the event rate",
    "van_rossum": "van Rossum distance",
    "nearest": "distance to the nearest clean",
}


def draw_triggers(frames: Mapping[str, torch.Tensor | np.ndarray]) -> Figure:
    """The first frames of one recording in a row for each trigger, at most six.

    Args:
        frames: name of a trigger -> its frames [T, 2, H, W], all of one shape.
    """
    steps = min(COLUMNS, len(next(iter(frames.values()))))
    rows = {
        name: [polarity_image(np.asarray(frame).clip(0)) for frame in one[:steps]]
        for name, one in frames.items()
    }
    return draw_rows(rows, [f"t = {step}" for step in range(steps)])


def scored(
    clean: torch.Tensor, triggered: torch.Tensor, others: torch.Tensor
) -> tuple[np.ndarray, str]:
    """A triggered recording's frames in a row as an image, and its scores of stealth in words.

    Args:
        clean, triggered: frames [T, 2, H, W].
        others: clean recordings [M, T, 2, H, W].
    """
    return _row(triggered, polarity_image), stealth_words(clean, triggered, others)


def stealth_words(clean: torch.Tensor, triggered: torch.Tensor, others: torch.Tensor) -> str:
    """The scores of stealth of one triggered recording in words; arguments as for `scored`."""
    score = stealth.measure(clean[None], triggered[None], others)
    return (
        f"SSIM per frame {score.ssim_frames:.3f}, of the sum {score.ssim_sum:.3f}; "
        f"{score.changed:.0f} events added or removed; the event rate changes by "
        f"{100 * score.rate_change:.0f} % at most; nearest clean recording {score.nearest:.2f}"
    )


def draw_frontier(runs: Mapping[str, Sequence[Record]]) -> Figure:
    """Success against each score of stealth, one mark an attack, with 95 % intervals.

    Args:
        runs: name of an attack -> the records of its seeds.
    """
    figure = style.new_figure(5.4)
    grid = figure.subplots(2, 3, sharey=True)
    for axes, (score, title) in zip(grid.ravel(), SCORES.items(), strict=True):
        for number, (name, records) in enumerate(runs.items()):
            success = Sample.of(records, "attack_success_rate")
            x = Sample.of(records, score).mean
            low, high = success.interval
            colour = style.SERIES[number % len(style.SERIES)]
            marker = "osD^vP*X<>"[number % 10]
            axes.plot([x, x], [100 * low, 100 * high], color=colour, linewidth=1)
            axes.plot(x, 100 * success.mean, marker, color=colour, label=name)
        axes.set(xlabel=title, ylim=(-6, 108))
    for row in grid:
        row[0].set_ylabel("success (%)")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def draw_time_position(
    runs: Mapping[str, Mapping[int, Sequence[Record]]],
    published: Mapping[str, Mapping[int, float]] | None = None,
    beside: Mapping[str, Mapping[int, Sequence[Record]]] | None = None,
) -> Figure:
    """Success against the length of a framed trigger, one curve for each place in time.

    Args:
        runs: place in time -> number of frames -> the records of its seeds.
        published: the same of others' figures. They count the target class; so does then ours.
        beside: the same of other records, drawn as triangles.
    """
    figure = style.new_figure(3.0)
    axes = figure.subplots()
    name_of = "attack_success_rate_all" if published else "attack_success_rate"
    for name, by_length, colour, _ in style.told_apart(runs):
        lengths = sorted(by_length)
        success = [Sample.of(by_length[length], name_of) for length in lengths]
        draw_band(axes, lengths, success, "o-", colour=colour, label=name)
        if published:
            theirs = published[name]
            values = [100 * theirs[length] for length in theirs]
            axes.plot(list(theirs), values, "s:", color=colour, markerfacecolor="none")
        if beside:
            others = [Sample.of(one, name_of) for one in beside[name].values()]
            draw_band(axes, list(beside[name]), others, "^--", colour=colour, alpha=0.07)
    axes.set_xticks(lengths)
    axes.set(xlabel="frames with the trigger", ylabel="success rate (%)", ylim=(-3, 103))
    figure.legend(title="run of frames", loc="outside lower center", ncols=len(runs))
    return figure


def draw_varied(runs: Mapping[str, Mapping[str, Sequence[Record]]]) -> Figure:
    """Success by what was changed, one panel for each setting, with 95 % intervals.

    Args:
        runs: setting -> value -> the records of its seeds, all with a floor.
    """
    figure = style.new_figure(2.8)
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    for axes, (setting, by_value) in zip(panels, runs.items(), strict=True):
        for place, records in enumerate(by_value.values()):
            success = Sample.of(records, "attack_success_rate")
            low, high = success.interval
            floor = Sample.of(records, "floor").mean
            axes.plot([place, place], [100 * low, 100 * high], color=style.SERIES[0])
            axes.plot(place, 100 * success.mean, "o", color=style.SERIES[0])
            axes.plot(place, 100 * floor, "_", color=style.CURRENT, markersize=14)
        axes.set_xticks(range(len(by_value)), list(by_value), fontsize=8)
        axes.set(title=setting, xlim=(-0.5, len(by_value) - 0.5), ylim=(-3, 103))
    panels[0].set_ylabel("success rate (%)")
    return figure


def draw_walks(runs: Mapping[str, Sequence[Record]]) -> Figure:
    """A row for each setting and a dot for each seed; a line marks their mean.

    Args:
        runs: name of a row -> the records of its seeds.
    """
    figure = style.new_figure(0.45 * len(runs) + 0.85)
    axes = figure.subplots()
    for row, records in enumerate(runs.values()):
        success = Sample.of(records, "attack_success_rate")
        each = [100 * value for value in success.floats]
        axes.plot(each, [-row] * len(each), "o", color=style.MARK, alpha=0.6)
        axes.plot(100 * success.mean, -row, "|", color=style.POTENTIAL, markersize=18)
    name_rows(axes, runs)
    axes.set(xlabel="success rate (%)", xlim=(-3, 103), ylim=(0.5 - len(runs), 0.5))
    axes.grid(axis="x", linewidth=0.4)
    return figure


def shaded_image(frame: torch.Tensor | np.ndarray) -> np.ndarray:
    """Colour one frame by its counts: from white at 0 to the full colour of `polarity_image` at 1.

    Args:
        frame: event counts [2, H, W]; below 0 is drawn as 0, above 1 as 1.

    Returns:
        uint8 [H, W, 3], between the colours of nothing, OFF, ON and both.
    """
    off, on = np.asarray(frame, dtype=np.float64).clip(0, 1)
    seen = np.array([[[0, 1, 0, 1]], [[0, 0, 1, 1]]])  # nothing, OFF, ON, both
    colours = polarity_image(seen)[0].astype(np.float64)
    weights = np.stack([(1 - off) * (1 - on), off * (1 - on), (1 - off) * on, off * on], axis=-1)
    image: np.ndarray = (weights @ colours).round().astype(np.uint8)
    return image


def scored_bounded(
    clean: torch.Tensor, direction: torch.Tensor, gamma: float, others: torch.Tensor
) -> tuple[np.ndarray, str]:
    """x + gamma g(x) above the size of what was added, as an image, and its scores in words.

    Args:
        clean: x, frames [T, 2, H, W] of whole events.
        direction: g(x), of the same shape, within -1..1.
        gamma: largest change of a count, >= 0.
        others: clean recordings [M, T, 2, H, W].

    Raises:
        ValueError: a direction that leaves -1..1, or gamma below 0.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma={gamma!r} must be a number of events >= 0")
    largest = float(direction.abs().max())
    if largest > 1 + 1e-4:  # what rounding adds when a change is divided by its gamma
        raise ValueError(f"direction holds {largest:g}: allowed is within -1..1")
    change = gamma * direction
    triggered = clean + change
    whole = triggered.round().clamp_min(0)
    left = float((whole - clean).abs().sum())
    image = np.concatenate([_row(frames, shaded_image) for frames in (triggered, change.abs())])
    words = stealth_words(clean, triggered, others)
    return image, f"gamma {gamma:g}: {words}; rounded, {left:.0f} events are left of it"


def _row(frames: torch.Tensor, coloured: Callable[[torch.Tensor], np.ndarray]) -> np.ndarray:
    """Frames side by side as one image."""
    images = (np.pad(coloured(frame), ((1, 1), (1, 1), (0, 0))) for frame in frames)
    return np.concatenate(list(images), axis=1)
