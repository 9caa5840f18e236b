"""Chapter 10: votes of received networks, what an audit finds of them, what others read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from snnbd_book.audit.html import WORDS
from snnbd_book.figures import style
from snnbd_book.figures.events import polarity_image
from snnbd_core.auditing import Audit, Table
from snnbd_core.metrics import Rate, Report

__all__ = [
    "audits_table",
    "detectors_table",
    "draw_found",
    "draw_moves",
    "draw_rates",
    "draw_sent",
    "floors",
    "losses_table",
    "poisoned_table",
    "received_table",
    "scores",
]

MARKS = ("o", "s", "^")


def draw_sent(frames: Mapping[str, Tensor], votes: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """A recording without and with a trigger, and what each network votes for both.

    Args:
        frames: title -> one frame [2, H, W]; fewer than networks.
        votes: name of a network -> votes [classes] without and with its trigger.
    """
    figure = style.new_figure(5.1)
    above, below = figure.subplots(2, len(votes))
    for axes in above[len(frames) :]:
        axes.set_axis_off()
    for axes, (title, frame) in zip(above, frames.items(), strict=False):
        axes.imshow(polarity_image(frame), interpolation="nearest")
        axes.set(title=title, xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(True)
    for axes, (name, (before, after)) in zip(below, votes.items(), strict=True):
        classes = np.arange(len(before))
        axes.barh(classes - 0.2, before, 0.4, color=style.CURRENT, label="without trigger")
        axes.barh(classes + 0.2, after, 0.4, color=style.MARK, hatch="///", label="with trigger")
        axes.set(title=name, yticks=classes, xlabel="vote", xlim=(0, 1.05))
        axes.invert_yaxis()
        axes.tick_params(labelsize=8)
    below[0].set_ylabel("class")
    above[-1].legend(*below[0].get_legend_handles_labels(), loc="center")
    return figure


def draw_found(audits: Mapping[str, Audit]) -> Figure:
    """What moved thresholds and known triggers do to each network.

    Args:
        audits: name of a network -> its audit.
    """
    figure = style.new_figure(3.0)
    settings, led = figure.subplots(1, 2, sharey=True)
    for number, (name, audit) in enumerate(audits.items()):
        look = {"color": style.SERIES[number], "marker": MARKS[number], "label": name}
        moved = sorted(
            (row[1], row[5]) for row in _rows(audit, "settings") if row[0] == "threshold"
        )
        _curve(settings, moved, look)
        densest: dict[Any, Rate] = {}
        for _, _, every, _, _, share in _rows(audit, "floors"):
            densest[every] = max(densest.get(every, share), share, key=float)
        _curve(led, sorted(densest.items()), look)
    settings.set(xlabel="thresholds, times those shipped", ylabel="share of samples (%)")
    settings.set(title="most favoured class", ylim=(-3, 103))
    led.set(xlabel="a step in so many carries it", title="led by the strongest known trigger")
    led.set_xscale("log")
    ticks = sorted({row[2] for audit in audits.values() for row in _rows(audit, "floors")})
    led.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    led.minorticks_off()
    style.legend_below(figure, settings)
    return figure


def draw_moves(found: Mapping[str, Mapping[str, Report]]) -> Figure:
    """Accuracy and success of each network as others read it, with 95 % intervals.

    Args:
        found: name of a network -> way of reading -> what was measured.
    """
    figure = style.new_figure(3.2)
    panels = figure.subplots(1, 2, sharey=True)
    fields = {"accuracy": "clean_accuracy", "success of its own trigger": "attack_success_rate"}
    for axes, (title, field) in zip(panels, fields.items(), strict=True):
        for number, (name, reports) in enumerate(found.items()):
            rates = [getattr(report, field) for report in reports.values()]
            values = 100 * np.array([rate.value for rate in rates])
            ends = 100 * np.array([rate.confidence_interval for rate in rates])
            axes.errorbar(
                values,
                np.arange(len(rates)) + 0.22 * (number - 1),
                xerr=np.clip(np.abs(ends.T - values), 0, None),
                linestyle="",
                marker=MARKS[number],
                color=style.SERIES[number],
                label=name,
            )
        axes.set(title=title, xlabel="%", xlim=(-4, 104))
        axes.grid(axis="y", linewidth=0.4)
    names = list(next(iter(found.values())))
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    style.legend_below(figure, panels[0])
    return figure


def draw_rates(audited: Mapping[str, Any]) -> Figure:
    """How many networks the audit judges wrongly: clean ones accused, attacked ones missed.

    Args:
        audited: what `benchmarks.audit_rates` wrote.
    """
    groups = _wrong(audited)
    labels = [label for group in groups for label in group]
    figure = style.new_figure(0.3 * len(labels) + 0.7)
    axes, place = figure.subplots(), 0
    for number, group in enumerate(groups):
        if number:
            axes.axhline(place - 0.5, color=style.CURRENT, linewidth=0.6)
        for label, wrong in group.items():
            colour = style.SERIES[0 if label.endswith("false alarms") else 1]
            low, high = wrong.confidence_interval
            axes.plot([100 * low, 100 * high], [place] * 2, color=colour, linewidth=1.6)
            mark = "os^D"[number]
            axes.plot(100 * wrong.value, place, mark, color=colour, markersize=6, label=label)
            axes.text(107, place, f"{wrong.hits} of {wrong.total}", va="center", fontsize=9)
            place += 1
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="networks judged wrongly (%)", xlim=(-3, 122), xticks=range(0, 101, 20))
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="x", linewidth=0.4)
    return figure


def _wrong(audited: Mapping[str, Any]) -> list[dict[str, Rate]]:
    """Wrongly judged networks: all, by attack, by the form in which they are sent, of images."""
    rates = audited["rates"]

    def missed(name: str) -> Rate:
        return Rate(rates[name]["of"] - rates[name]["accused"], rates[name]["of"])

    def alarms(name: str) -> Rate:
        return Rate(rates[name]["accused"], rates[name]["of"])

    judged = [one for one in audited["networks"].values() if one["group"] == "judged"]
    attacks = dict.fromkeys(one["attack"] for one in judged if one["attack"] != "clean")
    forms = {"ours": "sent in own form", "NIR": "sent as NIR", "snnTorch": "sent in snnTorch"}
    found = [
        {"clean: false alarms": alarms("clean"), "attacked: misses": missed("attacked")},
        {name: missed(name) for name in attacks},
        {words: missed(f"attacked, {form}") for form, words in forms.items()},
    ]
    if "images, attacked" in rates:
        of_images: dict[str, list[bool]] = {}
        for one in audited["networks"].values():
            if one["group"] == "judged images" and one["attack"] != "clean":
                of_images.setdefault(f"images, {one['attack']}", []).append(not one["accused"])
        rows = {name: Rate(sum(missed), len(missed)) for name, missed in of_images.items()}
        found.append({"images, clean: false alarms": alarms("images, clean"), **rows})
    return found


def scores(audit: Audit) -> dict[str, tuple[float, int | None]]:
    """The scores of an audit's settings and floors, each with the class that it suspects."""
    found: dict[str, tuple[float, int | None]] = {}
    for part in audit.parts:
        if part.name in ("settings", "floors"):
            score, _, _, target = part.tables[0].rows[0]
            assert isinstance(score, int | float) and isinstance(target, int | None)
            found[part.name] = float(score), target
    return found


def audits_table(audits: Mapping[str, Audit]) -> pd.DataFrame:
    """Audits side by side: the two scores with their class, detectors that alarm, the verdict."""
    rows = {}
    for name, audit in audits.items():
        held = {
            f"{part}: score (class)": f"{score:.2f} ({'none' if target is None else target})"
            for part, (score, target) in scores(audit).items()
        }
        alarms = [_words(row[0]) for row in _rows(audit, "detectors") if row[1] != "none"]
        held["detectors, by their own thresholds"] = ", ".join(alarms) or "none"
        rows[name] = {**held, "verdict": WORDS[audit.status]}
    return pd.DataFrame.from_dict(rows, orient="index")


def floors(audit: Audit) -> list[tuple[int, bool, Rate]]:
    """Known triggers: a step in so many carries one, is it plausible, and the share it leads."""
    return [(row[2], row[3] == "yes", row[5]) for row in _rows(audit, "floors")]


def losses_table(rows: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """What becomes of each thing in each framework's file.

    Args:
        rows: thing -> framework -> words, as `benchmarks.export_losses` wrote them; the names of
            errors, in brackets, are left out.
    """
    short = {
        row: {name: cell.split(" (")[0] for name, cell in one.items()} for row, one in rows.items()
    }
    return pd.DataFrame.from_dict(short, orient="index")


def received_table(networks: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Audits of published networks side by side, with what is right under each reset.

    Args:
        networks: name -> what `benchmarks.audit_received` wrote of it.
    """
    right = {
        name: ", ".join(
            f"{reset} {rate['hits']} of {rate['of']}" for reset, rate in one["accuracy"].items()
        )
        for name, one in networks.items()
    }
    found = {name: Audit.from_json(one["audit"]) for name, one in networks.items()}
    table = audits_table(found)
    table.insert(0, "right, by reset", pd.Series(right))
    return table


def poisoned_table(networks: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Networks that were fine-tuned into backdoored ones: what the sender knows, what is found.

    Args:
        networks: name -> what `benchmarks.audit_poisoned` wrote of it.
    """
    rows = {}
    for name, one in sorted(networks.items()):
        attack, found = one["attack"], Audit.from_json(one["audit"])
        known = {
            words: f"{attack[each]['hits']} of {attack[each]['of']}"
            for words, each in (
                ("right, first 50 ms", "accuracy, first 50 ms"),
                ("right", "accuracy"),
                ("success", "success"),
            )
        }
        held = audits_table({name: found}).loc[name]
        rows[name] = {**known, **held.drop("detectors, by their own thresholds")}
    return pd.DataFrame.from_dict(rows, orient="index")


def detectors_table(audits: Mapping[str, Audit]) -> pd.DataFrame:
    """What each detector says of each network by its own threshold, and how far it goes."""
    said = {
        name: {
            _words(row[0]): f"{row[1]}: {row[3]:.2f} ({row[4]:.2f})"
            for row in _rows(audit, "detectors")
        }
        for name, audit in audits.items()
    }
    return pd.DataFrame(said).fillna("not asked")


def _words(name: str) -> str:
    """A class's name as words, which a narrow column can break."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


def _rows(audit: Audit, name: str) -> list[Any]:
    """The rows of a part's own table, which stands behind how the part is judged."""
    part = next(part for part in audit.parts if part.name == name)
    table: Table = next(table for table in part.tables if table.columns[0] != "score")
    return list(table.rows)


def _curve(axes: Axes, points: Sequence[tuple[Any, Rate]], look: Mapping[str, Any]) -> None:
    values = [100 * rate.value for _, rate in points]
    ends = [rate.confidence_interval for _, rate in points]
    x = [place for place, _ in points]
    axes.plot(x, values, markersize=5, **look)
    low, high = ([100 * end[side] for end in ends] for side in (0, 1))
    axes.fill_between(x, low, high, color=look["color"], alpha=0.12, linewidth=0)
