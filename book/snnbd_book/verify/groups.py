"""A record among the other seeds of its setting, and how far seeds lie apart."""

from __future__ import annotations

import dataclasses
import functools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable

from snnbd_book.runs import Experiment, Record
from snnbd_core.metrics import Rate

FIRST_LOSS, LAST_LOSS = "first loss", "last loss"


class Groups:
    """Records by their setting, whatever the seed.

    Args:
        records: all of them, each with its seeds.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._members: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            self._members[_setting(record)].append(record)
        self._spreads: dict[tuple[str, str], float] = {}
        self._figures: dict[int, dict[str, float]] = {}  # by the record's own identity

    def others(self, record: Record) -> list[Record]:
        """The other seeds of a record's setting."""
        members = self._members[_setting(record)]
        return [other for other in members if other.experiment.seed != record.experiment.seed]

    def spread(self, record: Record, figure: str) -> tuple[float, int]:
        """The standard deviation of a figure over seeds, and its degrees of freedom.

        It is that of the record's setting, but at least half of what is usual for the figure on
        this data set: three seeds of 100 % do not say that the next is 100 % too.
        """
        found = self._values(self._members[_setting(record)], figure)
        own = statistics.stdev(found) if len(found) > 1 else 0.0
        usual = self._usual(record.experiment.data, figure)
        return max(own, usual / 2), max(len(found) - 1, 1)

    def _usual(self, data: str, figure: str) -> float:
        """The median of the spreads of all settings of a data set."""
        key = (data, figure)
        if key not in self._spreads:
            spreads = []
            for members in self._members.values():
                if members[0].experiment.data == data:
                    found = self._values(members, figure)
                    if len(found) > 1:
                        spreads.append(statistics.stdev(found))
            self._spreads[key] = statistics.median(spreads) if spreads else 0.0
        return self._spreads[key]

    def _values(self, members: Iterable[Record], figure: str) -> list[float]:
        """A figure of those members that have it. The members live as long as this object."""
        found = []
        for member in members:
            if id(member) not in self._figures:
                self._figures[id(member)] = figures(member)
            if figure in self._figures[id(member)]:
                found.append(self._figures[id(member)][figure])
        return found


def _setting(record: Record) -> str:
    return _without_seed(record.experiment)


@functools.lru_cache(maxsize=8192)
def _without_seed(experiment: Experiment) -> str:
    return dataclasses.replace(experiment, seed=0).digest


def figures(record: Record) -> dict[str, float]:
    """All single finite numbers of a record, by name: of its report and of its training."""
    found: dict[str, float] = {}
    for name, value in _parts(record).items():
        if isinstance(value, Rate | float | int) and math.isfinite(float(value)):
            found[name] = float(value)
    if record.history.loss:
        found |= {FIRST_LOSS: record.history.loss[0], LAST_LOSS: record.history.loss[-1]}
    return found


def measured(record: Record) -> set[str]:
    """Names of all that a record's report holds, whatever its values."""
    return {name for name, value in _parts(record).items() if value is not None}


def rates(record: Record) -> dict[str, Rate]:
    """All rates of a record's report, by name."""
    return {name: value for name, value in _parts(record).items() if isinstance(value, Rate)}


def _parts(record: Record) -> dict[str, object]:
    fields = {name: value for name, value in vars(record.report).items() if name != "extra"}
    del fields["target"]
    return {**fields, **record.report.extra}
