"""Chapter 2: where a patch lies, the paper's claims beside our runs, events in the corners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from IPython.display import HTML
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Picture
from matplotlib.lines import Line2D
from torch import nn

from snnbd_book.claims import Figure, Judgement
from snnbd_book.drawings import lesson
from snnbd_book.figures import animate, style
from snnbd_book.figures.events import Box, polarity_image
from snnbd_book.figures.marks import draw_interval
from snnbd_book.runs import Experiment
from snnbd_core.triggers.frames import Overwriting
from snnbd_core.triggers.placement import Rectangle

__all__ = [
    "animate_votes",
    "corner_sums",
    "draw_claims",
    "draw_corners",
    "patch_boxes",
    "setting",
]

_LABEL = "ASR"  # of the figure that claims call so
_GAP = 2  # empty pixels between the halves of the moving picture
_HEIGHT = 12  # of its votes, in pixels of the sensor
_SIZE = 640  # of the whole, in pixels of the page


def patch_boxes(trigger: Overwriting, frames: torch.Tensor | np.ndarray) -> list[Box | None]:
    """Where a trigger with a ``schedule`` lies in each of T frames, for ``draw_frames(box=...)``.

    Args:
        trigger: ``Static`` or ``Moving``.
        frames: [T, 2, H, W]; only its shape is used.

    Returns:
        One box per frame; None where the trigger is absent or wraps around the edge.
    """
    steps, _, height, width = frames.shape
    boxes: list[Box | None] = [None] * steps
    for patch, when in trigger.schedule(steps, width, height):
        for step in range(*when.indices(steps)):
            boxes[step] = _box(patch)
    return boxes


def animate_votes(
    net: nn.Module, samples: Sequence[torch.Tensor], label: int, target: int, *, alt: str, name: str
) -> HTML:
    """Recordings side by side, and below each the votes that grow as its frames come in.

    Args:
        net: frames [T, B, 2, H, W] -> firing rates [B, classes].
        samples: frames [T, 2, H, W] each.
        label: the class whose column is blue.
        target: the class whose column is orange.
        alt, name: as for `snnbd_book.figures.animate`.
    """
    columns = [_with_votes(net, sample, label, target) for sample in samples]
    gap = np.full_like(columns[0][:, :, :_GAP], 255)
    parts = [part for column in columns for part in (gap, column)][1:]
    return animate(np.concatenate(parts, axis=2), alt=alt, fps=6, name=name, size=_SIZE)


def _with_votes(net: nn.Module, sample: torch.Tensor, label: int, target: int) -> np.ndarray:
    """Images uint8 [T, H, W, 3] of frames [T, 2, H, W], each above the votes up to it."""
    images = []
    for step, frame in enumerate(sample, start=1):
        share = lesson.votes(net, sample[:step]) * step / len(sample)
        bars, image = _bars(share, label, target), polarity_image(frame)
        beside = (0, image.shape[1] - bars.shape[1])
        images.append(np.concatenate([image, np.pad(bars, ((0, 0), beside, (0, 0)), "edge")]))
    return np.stack(images)


def _bars(votes: torch.Tensor, label: int, target: int) -> np.ndarray:
    """Votes [classes] in 0..1 as an image uint8 [H, W, 3], two pixels wide for each class."""
    image = np.full((_HEIGHT + 1, 3 * len(votes) + 1, 3), 255, np.uint8)
    for place, share in enumerate(votes.tolist()):
        colour = {target: style.MARK, label: style.POTENTIAL}.get(place, style.CURRENT)
        top = _HEIGHT - round(_HEIGHT * share)
        image[top:, 3 * place + 1 : 3 * place + 3] = [round(255 * x) for x in to_rgb(colour)]
    return image


def _box(patch: Rectangle) -> Box | None:
    first, count = patch.columns[0], len(patch.columns)
    if patch.columns[-1] != first + count - 1:
        return None
    return first, patch.rows.start, count, patch.rows.stop - patch.rows.start


def draw_claims(judgements: Sequence[Judgement]) -> Picture:
    """Draw each claim's success rate: ours with its interval, the paper's, and the floor.

    Args:
        judgements: of claims that each test one setting; those without a figure "ASR", or not run,
            are left out.

    Raises:
        ValueError: no claim has been run and has such a figure.
    """
    chosen = [item for item in judgements if item.records and _success(item)]
    if not chosen:
        raise ValueError(f"no claim with a figure {_LABEL!r} has been run; nothing to draw")
    picture = style.new_figure(0.42 * len(chosen) + 1.1)
    axes = picture.subplots()
    for height, item in enumerate(reversed(chosen)):
        figure = _success(item)
        assert figure and figure.value is not None and figure.interval is not None  # it has records
        ends = [100 * end for end in figure.interval]
        axes.plot(ends, [height] * 2, color=style.SERIES[0], linewidth=3)
        axes.plot(100 * figure.value, height, "o", color=style.SERIES[0])
        if figure.paper is not None:
            axes.plot(100 * figure.paper, height, "D", color=style.SERIES[1], fillstyle="none")
        if figure.floor is not None:
            draw_interval(axes, figure.floor, height, "|", colour=style.CURRENT, size=14, width=1)
    names = [f"{item.claim.where}: {setting(_attacked(item))}" for item in reversed(chosen)]
    axes.set_yticks(range(len(chosen)), names, fontsize=8)
    axes.set(xlim=(-3, 103), xlabel=f"{_LABEL} (%)")
    axes.grid(axis="x", linewidth=0.5)
    _legend(picture)
    return picture


def setting(experiment: Experiment) -> str:
    """An attack in a few words: ``1 % static off, top-left, s 0.1``."""
    trigger = experiment.trigger
    if trigger is None:
        return "no attack"
    words = [f"{100 * experiment.rate:g} % {type(trigger).__name__.lower()}"]
    words += [trigger.polarity] if hasattr(trigger, "polarity") else []
    place = getattr(trigger, "position", None)
    details = [] if place is None else [place if isinstance(place, str) else f"at {place}"]
    details += [f"s {trigger.size:g}"] if hasattr(trigger, "size") else []
    return ", ".join([" ".join(words), *details])


def corner_sums(samples: torch.Tensor, labels: torch.Tensor, side: int) -> dict[str, list[float]]:
    """Mean events in a pixel of each corner, for each class: corner -> a number for each class.

    Args:
        samples: frames [N, T, 2, H, W].
        labels: int64 [N], each class at least once.
        side: of the corners' squares, in pixels.
    """
    near, far = slice(None, side), slice(-side, None)
    corners = {
        "top left": (near, near),
        "top right": (near, far),
        "bottom left": (far, near),
        "bottom right": (far, far),
    }
    sums = [samples[labels == one].sum(dim=(1, 2)).mean(dim=0) for one in labels.unique()]
    return {name: [float(one[place].mean()) for one in sums] for name, place in corners.items()}


def draw_corners(sums: Mapping[str, Sequence[float]]) -> Picture:
    """What `corner_sums` gives, as bars side by side for each class."""
    picture = style.new_figure(2.6)
    axes = picture.subplots()
    for place, ((name, values), colour) in enumerate(zip(sums.items(), style.SERIES, strict=True)):
        at = [number + 0.2 * (place - 1.5) for number in range(len(values))]
        axes.bar(at, values, 0.2, color=colour, label=name)
    axes.set(xlabel="class it is labelled with", ylabel="events in a pixel")
    axes.set_xticks(range(len(values)))
    style.legend_below(picture, axes)
    return picture


def _attacked(item: Judgement) -> Experiment:
    """The setting that a claim tests: its first experiment with a trigger, else its first."""
    named = [item.claim.settings[f.experiment] for f in item.claim.figures if f.experiment]
    settings = [by_profile[item.profile] for by_profile in named]
    return next((one for one in settings if one.trigger is not None), settings[0])


def _success(item: Judgement) -> Figure | None:
    return next((figure for figure in item.figures if figure.label == _LABEL), None)


def _legend(picture: Picture) -> None:
    looks: tuple[dict[str, Any], ...] = (
        {"color": style.SERIES[0], "marker": "o", "linewidth": 3, "label": "ours, 95 %"},
        {"color": style.SERIES[1], "marker": "D", "fillstyle": "none", "label": "the paper"},
        {"color": style.CURRENT, "marker": "|", "label": "floor (clean network), 95 %"},
    )
    marks = [Line2D([], [], **look) for look in looks]
    marks[1].set_linestyle("")
    marks[2].set(linestyle="", markersize=14)
    picture.legend(handles=marks, loc="outside lower center", ncols=3)
