"""Figures of two groups of records: what a repair is worth, how well scores tell networks apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from snnbd_book.claims.intervals import Interval, area_of_networks, wilson
from snnbd_book.claims.sample import Sample
from snnbd_book.runs import Record
from snnbd_core.defenses import defence_effectiveness
from snnbd_core.metrics import Rate
from snnbd_core.metrics.migration_rates import migration_rate

Records = Sequence[Record]


def effectiveness(before: Records, after: Records) -> Sample:
    """DER of a repair, seed by seed, with what the test set says of success and accuracy.

    Args:
        before, after: without and with the repair, in the same order of seeds.
    """
    values = tuple(
        defence_effectiveness(one.report, other.report)
        for one, other in zip(before, after, strict=True)
    )
    gained = _fall(before, after, "attack_success_rate")
    lost = _fall(before, after, "clean_accuracy")
    ends = [(max(0.0, gained[side]) - max(0.0, lost[1 - side]) + 1) / 2 for side in (0, 1)]
    mean = sum(values) / len(values)
    return Sample(values, 1.0, 0.0, (min(ends[0], mean), max(ends[1], mean)))


def separation(clean: Records, attacked: Records) -> Sample:
    """Area under the curve of a score of networks: one value, with the interval of all networks."""
    area, interval = area_of_networks(*(_suspicions(group) for group in (clean, attacked)))
    return Sample((area,), 1.0, 0.0, interval)


def right_target(attacked: Records) -> Sample:
    """Share of attacked networks that a detector accuses of the attacker's class."""
    return Sample(
        tuple(
            Rate(
                int(
                    one.report.extra["alarm"] == Rate(1, 1)
                    and one.report.extra.get("suspected_class") == one.experiment.target
                ),
                1,
            )
            for one in attacked
        )
    )


def migrated(snn: Records, ann: Records) -> Sample:
    """MR1: the share of the ANN's gain over its floor that is found in the converted networks."""
    rates = [migration_rate(one.report, other.report) for one, other in zip(snn, ann, strict=True)]
    # A share of the ANN's gain, unless a seed gains more than its ANN or less than nothing.
    return Sample(tuple(rates), max(1.0, *rates), min(0.0, *rates))


OF_GROUPS: Mapping[str, tuple[int, Callable[..., Sample]]] = {
    "der": (2, effectiveness),
    "auc": (2, separation),
    "named": (1, right_target),
    "mr1": (2, migrated),
}
"""Name in a test -> how many groups it takes, and what it makes of them."""


def _fall(before: Records, after: Records, figure: str) -> Interval:
    """By how much a rate fell, with the luck of one test set (Newcombe 1998, method 10)."""
    first, second = (Sample.of(group, figure) for group in (before, after))
    (p, (l1, u1)), (q, (l2, u2)) = ((one.mean, _of_test_set(one)) for one in (first, second))
    return p - q - math.hypot(p - l1, u2 - q), p - q + math.hypot(u1 - p, q - l2)


def _of_test_set(sample: Sample) -> Interval:
    totals = [value.total for value in sample.values if isinstance(value, Rate)]
    return wilson(sample.mean, min(totals))


def _suspicions(group: Records) -> list[float]:
    return [float(one.report.extra["suspicion"]) for one in group]  # type: ignore[arg-type]  # numbers
