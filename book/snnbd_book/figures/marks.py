"""Figures with their 95 % intervals, in percent: a mark in a row, a band along an axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes

from snnbd_book.claims import Sample


def name_rows(axes: Axes, names: Iterable[str], size: float = 9) -> None:
    """Names at the heights 0, -1, -2 and so on, in the order of the rows of a figure."""
    told = list(names)
    axes.set_yticks([-row for row in range(len(told))], told, fontsize=size)


def draw_interval(
    axes: Axes,
    sample: Sample,
    height: float,
    mark: str,
    *,
    colour: str,
    label: str | None = None,
    size: float = 6,
    face: str | None = None,
    width: float = 1.2,
) -> None:
    """A share as a mark at a height, filled with `face`, and its interval as a line through it."""
    ends = [100 * end for end in sample.interval]
    axes.plot(ends, [height] * 2, color=colour, linewidth=width)
    mean = 100 * sample.mean
    (drawn,) = axes.plot(mean, height, mark, color=colour, label=label, markersize=size)
    drawn.set_markerfacecolor(face or colour)


def draw_band(
    axes: Axes,
    places: Sequence[float],
    samples: Sequence[Sample],
    line: str,
    *,
    colour: str,
    label: str | None = None,
    size: float = 6,
    alpha: float = 0.15,
) -> None:
    """Means of shares as a line over some places, and their intervals as a band."""
    low, high = ([100 * one.interval[end] for one in samples] for end in (0, 1))
    axes.fill_between(places, low, high, color=colour, alpha=alpha)
    means = [100 * one.mean for one in samples]
    axes.plot(places, means, line, color=colour, label=label, markersize=size)
