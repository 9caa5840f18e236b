"""Claims and settings beside our runs: a verdict, a comparison, rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure as Picture

from snnbd_book.claims import Judgement, Sample
from snnbd_book.claims.pages import breakable
from snnbd_book.figures import style
from snnbd_book.runs import Record


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


COMPARED = {
    "clean accuracy": "clean_accuracy",
    "attack success rate": "attack_success_rate",
    "floor": "floor",
}


def compare(
    settings: Mapping[str, Sequence[Record]], columns: Mapping[str, str] = COMPARED
) -> pd.DataFrame:
    """Settings side by side: means over the seeds with their 95 % intervals.

    Args:
        settings: name -> the records of its seeds, all with the figures.
        columns: heading -> figure of a report.
    """
    rows = {
        name: {column: str(Sample.of(records, field)) for column, field in columns.items()}
        for name, records in settings.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


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
