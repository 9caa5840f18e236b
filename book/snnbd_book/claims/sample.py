"""One figure measured with several seeds: its mean and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scipy.stats import t as student

from snnbd_book.runs import Record
from snnbd_core.metrics import Rate

LEVEL = 0.95


@dataclass(frozen=True)
class Sample:
    """A figure's values, one per seed: all rates, or all plain numbers.

    Attributes:
        values: one per seed.
        most, least: what a plain number cannot exceed, and cannot fall below.

    Raises:
        ValueError: no values, or rates mixed with numbers.
    """

    values: tuple[Rate | float, ...]
    most: float = math.inf
    least: float = -math.inf

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("values=() must hold at least one seed's figure")
        if self.is_rate != any(isinstance(value, Rate) for value in self.values):
            raise ValueError(f"values={self.values!r} must be all rates or all numbers")

    @classmethod
    def of(cls, records: Iterable[Record], figure: str) -> Sample:
        """One figure of some records; those where it was not measured are left out."""
        found = [record.report.figure(figure) for record in records]
        # Structural similarity and p-values end at 1; other plain figures are open above.
        most = 1.0 if figure.startswith(("ssim", "p_value")) else math.inf
        return cls(tuple(value for value in found if value is not None), most)

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
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean, the wider of two at either end.

        One is Wilson's, of the hits of all seeds pooled: the luck of a finite test set. It does
        not know that networks differ. The other is Student's, from the spread over the seeds: it
        does not know that three seeds of 100 % can still be luck. A plain number has only the
        second; a single seed only the first (for a number, then, nothing is known: infinite).
        """
        intervals = []
        rates = [value for value in self.values if isinstance(value, Rate)]
        if rates:
            pooled = Rate(sum(rate.hits for rate in rates), sum(rate.total for rate in rates))
            intervals.append(pooled.confidence_interval)
        if len(self.values) > 1:
            intervals.append(self._student())
        if not intervals:
            return -math.inf, math.inf
        low, high = min(low for low, _ in intervals), max(high for _, high in intervals)
        least, most = (0.0, 1.0) if rates else (self.least, self.most)
        return max(low, least), min(high, most)

    def _student(self) -> tuple[float, float]:
        count = len(self.floats)
        variance = sum((value - self.mean) ** 2 for value in self.floats) / (count - 1)
        half = float(student.ppf((1 + LEVEL) / 2, count - 1)) * math.sqrt(variance / count)
        return self.mean - half, self.mean + half

    def __str__(self) -> str:
        return show(self.mean, self.interval, self.is_rate)


def show(value: float, interval: tuple[float, float] | None, is_rate: bool) -> str:
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
