"""A paper's figures beside ours: one row per claim, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure as Picture
from matplotlib.lines import Line2D

from snnbd_book.claims import Judgement, Sample
from snnbd_book.claims.pages import breakable
from snnbd_book.figures import style
from snnbd_book.runs import Experiment, Record, code_fingerprint


def claims_table(
    judgements: Sequence[Judgement], labels: Sequence[str] = ("CA", "ASR")
) -> pd.DataFrame:
    """The rows of a paper's table: setting, the paper's figures, ours with floor, the verdict.

    Args:
        judgements: of claims that each test one setting.
        labels: the claims' figures to show, in order.
    """
    rows = []
    for item in judgements:
        cells = {"setting": setting(_attacked(item))}
        for label in labels:
            figure = next((one for one in item.figures if one.label == label), None)
            cells[f"{label}, paper"] = "-" if figure is None else figure.paper_text
            cells[f"{label}, ours (95 %)"] = "-" if figure is None else figure.ours_text
        floors = [one.floor_text for one in item.figures if one.floor is not None]
        cells["floor (95 %)"] = floors[0] if floors else "-"
        rows.append({"row": item.claim.where, **cells, "verdict": item.verdict})
    return pd.DataFrame(rows).set_index("row").rename_axis(None)


def verdict(item: Judgement) -> Markdown:
    """A claim, its verdict in this profile, every figure that it rests on, and the test."""
    figures = [
        f"- {figure.label}: {figure.ours_text}"
        + ("" if figure.paper is None else f", the paper {figure.paper_text}")
        for figure in item.figures
    ]
    lines = [
        f"**Claim.** {item.claim.statement}",
        f"**Verdict: {item.verdict}.**",
        "\n".join(figures),
        f"The test: {breakable(item.reason)}",
    ]
    show: Callable[[str], Markdown] = Markdown  # IPython has no type hints; this gives it ours
    return show("\n\n".join(lines))


def compare(settings: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Settings side by side: means over the seeds with their 95 % intervals.

    Args:
        settings: name -> the records of its seeds, all with a trigger.
    """
    columns = {
        "clean accuracy": "clean_accuracy",
        "attack success rate": "attack_success_rate",
        "floor": "floor",
    }
    rows = {
        name: {column: str(Sample.of(records, field)) for column, field in columns.items()}
        for name, records in settings.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def kept_note(records: Collection[Record]) -> str:
    """How many committed records are shown, how many other code than this made, and its commits."""
    commits = {(one.provenance.commit or "unknown")[:7] for one in records}
    older = sum(one.provenance.code != code_fingerprint() for one in records)
    return f"{len(records)} stored records, {older} by other code than this, of: {sorted(commits)}"


def draw_claims(judgements: Sequence[Judgement], label: str = "ASR") -> Picture:
    """Draw one figure of each claim: ours with its interval, the paper's, and the floor.

    Args:
        judgements: of claims that each test one setting.
        label: the figure's name in the claims; claims without it, or not run, are left out.

    Raises:
        ValueError: no claim has been run and has such a figure.
    """
    chosen = [item for item in judgements if item.records and _has(item, label)]
    if not chosen:
        raise ValueError(f"no claim with a figure {label!r} has been run; nothing to draw")
    picture = style.new_figure(0.42 * len(chosen) + 1.1)
    axes = picture.subplots()
    for height, item in enumerate(reversed(chosen)):
        figure = next(f for f in item.figures if f.label == label)
        assert figure.value is not None and figure.interval is not None  # it has records
        low, high = figure.interval
        axes.plot([100 * low, 100 * high], [height, height], color=style.SERIES[0], linewidth=3)
        axes.plot(100 * figure.value, height, "o", color=style.SERIES[0])
        if figure.paper is not None:
            axes.plot(100 * figure.paper, height, "D", color=style.SERIES[1], fillstyle="none")
        if figure.floor is not None:
            ends = [100 * end for end in figure.floor.interval]
            axes.plot(ends, [height, height], color=style.CURRENT, linewidth=1)
            axes.plot(100 * figure.floor.mean, height, "|", color=style.CURRENT, markersize=14)
    names = [f"{item.claim.where}: {setting(_attacked(item))}" for item in reversed(chosen)]
    axes.set_yticks(range(len(chosen)), names, fontsize=8)
    axes.set(xlim=(-3, 103), xlabel=f"{label} (%)")
    axes.grid(axis="x", linewidth=0.5)
    _legend(picture)
    return picture


def draw_rates(runs: Mapping[str, Mapping[float, Sequence[Record]]]) -> Picture:
    """Draw success against the poisoning rate, with 95 % bands over seeds; dotted, the floor.

    Args:
        runs: attack -> poisoning rate (0..1) -> the records of its seeds, all with a floor.
    """
    picture = style.new_figure(3.2)
    axes = picture.subplots()
    for (name, by_rate), colour in zip(runs.items(), style.SERIES, strict=False):
        rates = sorted(by_rate)
        success = [Sample.of(by_rate[rate], "attack_success_rate") for rate in rates]
        floor = [Sample.of(by_rate[rate], "floor") for rate in rates]
        x = [100 * rate for rate in rates]
        low, high = zip(*(one.interval for one in success), strict=True)
        axes.fill_between(
            x, [100 * end for end in low], [100 * end for end in high], color=colour, alpha=0.15
        )
        axes.plot(x, [100 * one.mean for one in success], "o-", color=colour, label=name)
        axes.plot(x, [100 * one.mean for one in floor], ":", color=colour)
    axes.set_xscale("log")
    axes.set_xticks(x, [f"{one:g}" for one in x])
    axes.minorticks_off()
    axes.set(xlabel="poisoned training samples (%)", ylabel="success rate (%)", ylim=(-3, 103))
    axes.grid(axis="y", linewidth=0.5)
    picture.legend(loc="outside lower center", ncols=4)
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


def _attacked(item: Judgement) -> Experiment:
    """The setting that a claim tests: its first experiment with a trigger, else its first."""
    named = [item.claim.settings[f.experiment] for f in item.claim.figures if f.experiment]
    settings = [by_profile[item.profile] for by_profile in named]
    return next((one for one in settings if one.trigger is not None), settings[0])


def _has(item: Judgement, label: str) -> bool:
    return any(figure.label == label for figure in item.figures)


def _legend(picture: Picture) -> None:
    marks = [
        Line2D([], [], color=style.SERIES[0], marker="o", linewidth=3, label="ours, 95 %"),
        Line2D([], [], color=style.SERIES[1], marker="D", fillstyle="none", linestyle="",
               label="the paper"),
        Line2D([], [], color=style.CURRENT, marker="|", markersize=14, linestyle="",
               label="floor (clean network), 95 %"),
    ]  # fmt: skip
    picture.legend(handles=marks, loc="outside lower center", ncols=3)
