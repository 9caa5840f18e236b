"""Rates of success over the rate of poisoning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure as Picture

from snnbd_book.claims import Sample
from snnbd_book.figures import style
from snnbd_book.figures.marks import draw_band
from snnbd_book.runs import Record


def draw_rates(runs: Mapping[str, Mapping[float, Sequence[Record]]]) -> Picture:
    """Draw success against the poisoning rate, with 95 % bands over seeds; dotted, the floor.

    Args:
        runs: attack -> poisoning rate (0..1) -> the records of its seeds, all with a floor.
    """
    picture = style.new_figure(3.2)
    axes = picture.subplots()
    for name, by_rate, colour, _ in style.told_apart(runs):
        rates = sorted(by_rate)
        success = [Sample.of(by_rate[rate], "attack_success_rate") for rate in rates]
        floor = [Sample.of(by_rate[rate], "floor") for rate in rates]
        x = [100 * rate for rate in rates]
        draw_band(axes, x, success, "o-", colour=colour, label=name)
        axes.plot(x, [100 * one.mean for one in floor], ":", color=colour)
    axes.set_xscale("log")
    axes.set_xticks(x, [f"{one:g}" for one in x])
    axes.minorticks_off()
    axes.set(xlabel="poisoned training samples (%)", ylabel="success rate (%)", ylim=(-3, 103))
    axes.grid(axis="y", linewidth=0.5)
    picture.legend(loc="outside lower center", ncols=4)
    return picture
