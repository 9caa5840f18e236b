"""One figure measured with several seeds: its mean and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from snnbd_book.claims.intervals import Interval, exact, newcombe, over_networks, wilson
from snnbd_book.runs import Record
from snnbd_core.metrics import Rate


@dataclass(frozen=True)
class Sample:
    """A figure's values, one per seed: all rates, or all plain numbers.

    Attributes:
        values: one per seed.
        most, least: what a plain number cannot exceed, and cannot fall below.
        within: of a plain number, the interval of its mean that the test set alone gives, where
            that is known.

    Raises:
        ValueError: no values, or rates mixed with numbers.
    """

    values: tuple[Rate | float, ...]
    most: float = math.inf
    least: float = -math.inf
    within: Interval | None = None

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("values=() must hold at least one seed's figure")
        if self.is_rate != any(isinstance(value, Rate) for value in self.values):
            raise ValueError(f"values={self.values!r} must be all rates or all numbers")

    @classmethod
    def of(cls, records: Iterable[Record], figure: str) -> Sample:
        """One figure of some records; those where it was not measured are left out."""
        chosen = list(records)
        found = [record.report.figure(figure) for record in chosen]
        values = tuple(value for value in found if value is not None)
        if figure == "detection_area":
            return cls(values, 1.0, 0.0, _within(chosen, values))
        # Structural similarity and p-values end at 1; other plain figures are open above.
        return cls(values, 1.0 if figure.startswith(("ssim", "p_value")) else math.inf)

    @property
    def is_rate(self) -> bool:
        """Whether the figure is a share of samples."""
        return all(isinstance(value, Rate) for value in self.values)

    @property
    def floats(self) -> tuple[float, ...]:
        """The values as numbers."""
        return tuple(float(value) for value in self.values)

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return sum(self.floats) / len(self.floats)

    @property
    def interval(self) -> Interval:
        """95 % interval of the mean; `intervals` says which for what.

        Of one seed, what its test set says; of a plain number of one seed nothing is known, and
        the interval is infinite unless the number has ends.
        """
        totals = [value.total for value in self.values if isinstance(value, Rate)]
        if totals and max(totals) == 1:  # one answer for each network
            return exact(round(sum(self.floats)), len(totals))
        within = wilson(self.mean, min(totals)) if totals else self.within
        least, most = (0.0, 1.0) if totals else (self.least, self.most)
        low, high = over_networks(self.floats, within, (least, most) == (0.0, 1.0))
        return max(low, least), min(high, most)

    def __str__(self) -> str:
        return show(self.mean, self.interval, self.is_rate)


def _within(records: Sequence[Record], areas: Sequence[Rate | float]) -> Interval:
    """What the scores of one test set say of an area."""
    scores = records[0].report.extra
    counts = [len(scores[name]) for name in ("clean_scores", "attacked_scores")]  # type: ignore[arg-type]  # lists
    return newcombe(sum(map(float, areas)) / len(areas), *counts)


def show(value: float, interval: Interval | None, is_rate: bool) -> str:
    """ "97.2 % (95.1-98.9)"; "2893 (2800-2986)" or "0.995 (0.993-0.997)" for a plain number."""
    text = _figure(value, is_rate) + (" %" if is_rate else "")
    if interval is None:
        return text
    low, high = (_figure(bound, is_rate) for bound in interval)
    return f"{text} ({low}-{high})"


def _figure(number: float, is_rate: bool) -> str:
    if is_rate:
        return f"{100 * number:.1f}"
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"
