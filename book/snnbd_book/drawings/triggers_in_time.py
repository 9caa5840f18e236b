"""Chapter 12: when events come, before and after, and what success depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn

from snnbd_book.claims import Sample
from snnbd_book.drawings import lesson
from snnbd_book.figures import style
from snnbd_book.figures.marks import draw_band, draw_interval, name_rows
from snnbd_book.runs import Record
from snnbd_core.data import FrameDataset
from snnbd_core.data.events import Binning, bin_events
from snnbd_core.learning import as_sequence
from snnbd_core.metrics import Rate, decide
from snnbd_core.triggers import Trigger
from snnbd_core.triggers.events import in_order

__all__ = [
    "cut",
    "draw_against",
    "draw_areas",
    "draw_cameras",
    "draw_moved",
    "first_moved",
    "jittered",
    "rates_behind",
    "scores_table",
    "shaken",
]

SCORES = {
    "rate_change": "change of the event rate",
    "ssim_sum": "SSIM of the sum",
    "ssim_frames": "SSIM per frame",
    "nearest": "distance to the nearest clean",
}
Camera = Callable[[np.ndarray, int], torch.Tensor]
"""A recording and its index -> frames [T, 2, H, W]."""
Rates = Mapping[str, Mapping[str, Sequence[Rate]]]
"""Name of a camera -> what is measured -> a rate for each network."""
_BEHIND = ("success", "floor (clean network)", "clean accuracy")


@torch.no_grad()
def first_moved(net: nn.Module, test: FrameDataset, trigger: Trigger, target: int) -> int:
    """Index of the first recording that is answered rightly, and with the trigger the target.

    Args:
        net: of logits for frames.
        test: recordings.
        trigger: of space "events".
        target: the attacker's class, which is not the recording's.

    Raises:
        ValueError: no recording is answered so.
    """
    for index in np.flatnonzero(np.asarray(test.labels) != target):
        events = test.events(int(index))
        pair = torch.stack([test.bin(events), test.bin(trigger(events))])
        if decide(net(as_sequence(pair, test.frames))).tolist() == [test.labels[index], target]:
            return int(index)
    raise ValueError(f"target={target}: the trigger changes the answer to no recording of {test!r}")


def draw_moved(before: np.ndarray, after: np.ndarray, rows: range) -> Figure:
    """Events of a few sensor rows as dots over time, before and after a trigger.

    Args:
        before, after: recordings with fields x, y, t (microseconds), p.
        rows: of the sensor; each pixel has a height of its own.
    """
    figure = style.new_figure(3.4)
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, title, events in zip(
        panels, ("clean", "with the trigger"), (before, after), strict=True
    ):
        shown = events[(events["y"] >= rows.start) & (events["y"] < rows.stop)]
        for polarity, colour in ((0, style.POTENTIAL), (1, style.MARK)):
            some = shown[shown["p"] == polarity]
            height = (some["y"] - rows.start) + some["x"] / 40.0
            axes.plot(some["t"] / 1000, height, ".", color=colour, markersize=2.5)
        axes.set_title(title, fontsize=9)
        axes.set(yticks=[], ylabel="pixels")
    panels[-1].set_xlabel("time (ms)")
    return figure


def draw_against(runs: Mapping[str, Mapping[float, Sequence[Record]]], label: str) -> Figure:
    """Success against a setting, with 95 % intervals; grey ticks are floors.

    Args:
        runs: name of a line -> value of the setting -> the records of its seeds.
        label: of the setting, with its unit.
    """
    figure = style.new_figure(3.0)
    axes = figure.subplots()
    for name, by_value, colour, mark in style.told_apart(runs):
        values = sorted(by_value)
        success = [Sample.of(by_value[value], "attack_success_rate") for value in values]
        draw_band(axes, values, success, f"{mark}-", colour=colour, label=name)
        floors = [100 * Sample.of(by_value[value], "floor").mean for value in values]
        axes.plot(values, floors, "_", color=style.CURRENT, markersize=12)
    axes.set(xlabel=label, ylabel="success rate (%)", ylim=(-3, 103))
    axes.legend()
    return figure


def draw_cameras(found: Rates) -> Figure:
    """A row for each camera: success, floor and clean accuracy with 95 % intervals over networks.

    Args:
        found: as `rates_behind` gives it.
    """
    return lesson.draw_samples(
        {
            camera: {name: Sample(tuple(values)) for name, values in rates.items()}
            for camera, rates in found.items()
        }
    )


def draw_areas(found: Mapping[str, Sequence[Record]]) -> Figure:
    """A row for each detector: area under its ROC curve with its 95 % interval; 50 is chance.

    Args:
        found: name of a detector -> the records that it probed.
    """
    figure = style.new_figure(0.32 * len(found) + 0.8)
    axes = figure.subplots()
    for row, records in enumerate(found.values()):
        sample = Sample.of(records, "detection_area")
        draw_interval(axes, sample, -row, "o", colour=style.SERIES[0])
    axes.axvline(50, color=style.CURRENT, linewidth=0.8, linestyle=":")
    name_rows(axes, found)
    axes.set(xlabel="area under the ROC curve x 100", xlim=(-3, 103))
    return figure


def scores_table(found: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Scores of stealth, mean of the seeds: those that count, then those that look at when.

    Args:
        found: name of an attack -> the records of its seeds.
    """
    return pd.DataFrame.from_dict(
        {
            name: {
                label: f"{Sample.of(records, score).mean:.3f}" for score, label in SCORES.items()
            }
            for name, records in found.items()
        },
        orient="index",
    )


def jittered(events: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    """The recording of a camera whose clock jitters: each time is off by a normal error.

    Args:
        events: a sorted recording.
        deviation: standard deviation of the error, in milliseconds.
        seed: draws the errors.
    """
    out, draw = events.copy(), np.random.default_rng(seed)
    moved = events["t"] + np.rint(1000 * deviation * draw.standard_normal(len(events)))
    out["t"] = np.clip(moved, events["t"][0], events["t"][-1]).astype(np.int64)
    return in_order(out)


def cut(test: FrameDataset, steps: int, by: Binning) -> Camera:
    """A victim that cuts recordings into so many frames, by "number" or by "time"."""
    return lambda events, row: torch.from_numpy(
        bin_events(events, steps, test.sensor_size, by).astype(np.float32)
    )


def shaken(test: FrameDataset, deviation: float) -> Camera:
    """A camera that jitters, see `jittered`; each recording has errors of its own."""
    return lambda events, row: test.bin(jittered(events, deviation, row))


@torch.no_grad()
def rates_behind(
    cameras: Mapping[str, Camera],
    victims: Sequence[tuple[nn.Module, nn.Module, Callable[[np.ndarray], np.ndarray]]],
    test: FrameDataset,
    target: int,
) -> dict[str, dict[str, list[Rate]]]:
    """Success, floor and clean accuracy behind other cameras, one rate for each attacked network.

    Args:
        cameras: name -> what makes frames [T, 2, H, W] of a recording and its index.
        victims: of each an attacked network, a clean one for the floor, and the trigger on
            recordings.
        test: recordings; the trigger is put into those of other classes than the target.
        target: the attacker's class.
    """
    labels = torch.as_tensor(np.asarray(test.labels))
    others = labels != target
    rows = range(len(test))
    found: dict[str, dict[str, list[Rate]]] = {}
    for name, camera in cameras.items():
        clean = torch.stack([camera(test.events(row), row) for row in rows])
        rates = found.setdefault(name, {label: [] for label in _BEHIND})
        for attacked, unharmed, trigger in victims:
            triggered = torch.stack([camera(trigger(test.events(row)), row) for row in rows])
            hit, missed, right = (
                decide(net(as_sequence(one, test.frames)))
                for net, one in ((attacked, triggered), (unharmed, triggered), (attacked, clean))
            )
            counts = ((hit == target)[others], (missed == target)[others], right == labels)
            for label, counted in zip(_BEHIND, counts, strict=True):
                rates[label].append(Rate(int(counted.sum()), len(counted)))
    return found
