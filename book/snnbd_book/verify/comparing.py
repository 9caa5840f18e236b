"""A record and its rerun: equal bits, or figure by figure."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from scipy.stats import t as student

from snnbd_book.runs import Record
from snnbd_book.verify.groups import FIRST_LOSS, Groups, figures, measured, rates
from snnbd_core.attacks import Dynamic, Generated
from snnbd_core.metrics.stealth import Stealth
from snnbd_core.triggers import Recipe

STEALTH = tuple(field.name for field in fields(Stealth))
# What no training stands behind is computed alike everywhere, up to the order of its sums.
UNTRAINED = 1e-4
# Trainings from random weights begin alike: in the first epoch, differences of rounding have not
# grown yet. Seen: 1.3e-4 between AVX-512 and no vectors at all, 2.4e-3 between two makers.
BEGINNING = 1e-2


@dataclass(frozen=True)
class Check:
    """One figure of both runs, and how likely so large a difference is by training's luck.

    Attributes:
        figure: its name.
        recorded, again: its values.
        scale: the standard deviation of their difference; 0 where nothing is known to scatter.
        p: two-sided.
    """

    figure: str
    recorded: float
    again: float
    scale: float
    p: float

    @property
    def z(self) -> float:
        """The difference in standard deviations."""
        if self.again == self.recorded:
            return 0.0
        difference = self.again - self.recorded
        return difference / self.scale if self.scale else math.copysign(math.inf, difference)


@dataclass(frozen=True)
class Comparison:
    """What became of one record.

    Attributes:
        record, again: the record and its rerun.
        bits: whether equal bits were asked for: processor, torch and precision are the record's.
        faults: what is wrong whatever the luck of training, each in one sentence.
        checks: figures that depend on it; none where bits were asked for.
    """

    record: Record
    again: Record
    bits: bool
    faults: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()


def compare(record: Record, again: Record, groups: Groups) -> Comparison:
    """Compares a record with a rerun of its experiment.

    On the kind of processor that made the record all numbers must be equal. Other kinds add in
    another order, and trainings drift apart: there, the sizes of samples, the schedule and all
    that no training stands behind must be equal, no two seeds may share their numbers, and each
    figure is tested against the luck of two trainings. A rate's variance is that of two binomial
    ones plus twice that over seeds; a number's is twice that over seeds. Degrees of freedom are
    Satterthwaite's.

    Args:
        record, again: of one experiment.
        groups: all records, for the spread over seeds.
    """
    bits = _alike(record, again)
    faults = [*_structure(record, again), *_doubled(record, groups)]
    if bits:
        faults += _unequal(record, again)
        return Comparison(record, again, bits, tuple(faults))
    faults += _untrained(record, again)
    return Comparison(record, again, bits, tuple(faults), tuple(checks(record, again, groups)))


def _alike(record: Record, again: Record) -> bool:
    """Whether both were made by one kind of processor, by one torch and in one precision."""
    made, now = record.provenance, again.provenance
    return made.processor is not None and all(
        getattr(made, name) == getattr(now, name)
        for name in ("processor", "torch", "precision", "device", "threads")
    )


def _structure(record: Record, again: Record) -> list[str]:
    before, after = rates(record), rates(again)
    faults = []
    if odd := measured(record) ^ measured(again):
        faults.append(f"only one of both has {', '.join(sorted(odd))}")
    for name in before.keys() & after.keys():
        if before[name].total != after[name].total:
            faults.append(f"{name} counts {before[name].total} samples, now {after[name].total}")
    ours, theirs = record.history.learning_rate, again.history.learning_rate
    if len(ours) != len(theirs):
        faults.append(f"{len(ours)} epochs, now {len(theirs)}")
    elif not all(map(_close(1e-9), ours, theirs)):
        faults.append("another schedule of the learning rate")
    return faults


def _doubled(record: Record, groups: Groups) -> list[str]:
    """Another seed of the setting with the very same training: one seed stands for two.

    A network that never fires has the same loss in each epoch, whatever the seed.
    """
    return [
        f"its losses are those of seed {other.experiment.seed}"
        for other in groups.others(record)
        if len(set(record.history.loss)) > 1 and other.history.loss == record.history.loss
    ]


def _unequal(record: Record, again: Record) -> list[str]:
    """Where equal bits are asked for: the first parts that are not."""
    before, after = figures(record), figures(again)
    faults = [
        f"{name} was {before[name]!r}, is {after[name]!r}"
        for name in before
        if name in after and before[name] != after[name]
    ]
    timeless = (replace(run.history, seconds=()) for run in (record, again))
    if not faults and (record.report != again.report or len(set(timeless)) > 1):
        faults.append("the report or the training differs")
    return faults


def _untrained(record: Record, again: Record) -> list[str]:
    """What does not depend on the luck of training: how much a trigger shows, the first loss."""
    before, after = figures(record), figures(again)
    learnt = isinstance(record.experiment.trigger, Recipe | Dynamic | Generated)
    tolerances = {} if learnt else dict.fromkeys(STEALTH, UNTRAINED)
    trained = record.experiment.training
    if trained.rule.source(trained) is None:
        tolerances[FIRST_LOSS] = BEGINNING
    return [
        f"{name} was {before[name]:.6g}, is {after[name]:.6g}, beyond what rounding does"
        for name, tolerance in tolerances.items()
        if name in before and name in after and not _close(tolerance)(before[name], after[name])
    ]


def checks(record: Record, again: Record, groups: Groups) -> list[Check]:
    """A test of each figure that depends on the luck of training, see `compare`."""
    before, after, counted = figures(record), figures(again), rates(record)
    found = []
    for name in before:
        if name not in after or name in (*STEALTH, FIRST_LOSS):
            continue
        spread, freedom = groups.spread(record, name)
        by_seeds = 2 * spread**2
        by_samples = 0.0
        if name in counted:
            total = counted[name].total
            # Agresti and Caffo: one hit and one miss more in each, so that 0 and 1 have a spread.
            share = (total * (before[name] + after[name]) + 2) / (2 * total + 4)
            by_samples = 2 * share * (1 - share) / (total + 2)
        found.append(_check(name, before[name], after[name], by_seeds, by_samples, freedom))
    return found


def _check(
    name: str, before: float, after: float, by_seeds: float, by_samples: float, freedom: int
) -> Check:
    variance = by_seeds + by_samples
    scale = math.sqrt(variance)
    if before == after or variance == 0:
        return Check(name, before, after, scale, float(before == after))
    degrees = freedom * (variance / by_seeds) ** 2 if by_seeds else math.inf
    p = 2 * student.sf(abs(after - before) / scale, min(degrees, 1e6))
    return Check(name, before, after, scale, float(p))


def _close(tolerance: float) -> Callable[[float, float], bool]:
    return functools.partial(math.isclose, rel_tol=tolerance, abs_tol=1e-12)
