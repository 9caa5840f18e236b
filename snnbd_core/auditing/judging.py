"""From scores to a judgement: how often clean networks score as high, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from snnbd_core.auditing.case import Case
from snnbd_core.auditing.parts import Part, Table
from snnbd_core.metrics import Rate

__all__ = [
    "LEAST",
    "LEVEL",
    "RECORDED",
    "Finding",
    "Score",
    "corrected",
    "p_value",
    "scored",
    "tripped",
]

# Set on clean and attacked networks of seeds from 100 on, see benchmarks/audit_rates.py. Of 20
# recorded networks none may score as high, as 3 / 21 is just below the level. The strongest known
# trigger leads up to 0.34 of the samples in clean ones, and 0.88 or more in attacked ones.
LEVEL = 0.15
LEAST = 0.5
RECORDED: Mapping[str, Mapping[str, Sequence[float]]] = {
    "frames": {"settings": [0.1] * 20, "floors": [0.1] * 20},
    "image": {"settings": [0.1] * 20, "floors": [0.1] * 20},
}


@dataclass(frozen=True)
class Finding:
    """What a part finds, before it is laid beside the others.

    Attributes:
        part: its status is not known yet.
        score: what its p-value is of; None where there are several.
        p: its p-value; None for a part that judges nothing.
        target: the class that it suspects.
    """

    part: Part
    score: float | None = None
    p: float | None = None
    target: int | None = None


@dataclass(frozen=True)
class Score:
    """What a part measures of a network.

    Attributes:
        value: the largest share of samples that a class gains.
        target: this class; None where none gains any.
        words: how that comes about.
        tables: the numbers.
        notes: what could not be done.
        whole: whether all was done; if not, too little was seen to clear a network.
    """

    value: float
    target: int | None
    words: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    whole: bool


def scored(
    case: Case, name: str, title: str, assumes: str, measure: Callable[[Case], Score]
) -> Finding:
    """A part that judges a network by one score beside those of clean networks."""
    found = measure(case)
    given = [each.value for each in case.of_references(measure)]
    known = RECORDED[case.bench.data.kind].get(name, ())
    others = given or known
    as_high = tripped(found.value, others)
    beside = f"{as_high.hits} of {as_high.total} clean networks score as high"
    if not others:
        beside = "no clean networks are known to lay beside it"
    summary = f"{found.words}; {beside}."
    judges = found.whole or found.value >= LEAST
    p = p_value(found.value, known, given, LEAST) if judges else None
    alarms = tripped(LEAST, others) if others else None
    part = Part(name, title, "unjudged", summary, assumes, alarms, found.tables, found.notes)
    return Finding(part, found.value, p, found.target)


def p_value(
    score: float, known: Sequence[float], given: Sequence[float] = (), least: float = 0.0
) -> float | None:
    """How often a clean network scores at least as high; None where nothing is known of them.

    With n recorded clean networks of which k score as high, (k + 1) / (n + 1): a network that is
    one of their kind has a p-value of q or less in at most a share q of cases. If reference
    networks are given, the share of them that score as high is taken where it is larger. Below
    `least`, a score that no backdoor is content with, the p-value is 1.
    """
    if not known and not given:
        return None
    if score < least:
        return 1.0
    own, theirs = tripped(score, known), tripped(score, given)
    if not known:
        return (1 + theirs.hits) / (1 + theirs.total)
    p = (1 + own.hits) / (1 + own.total)
    return max(p, theirs.value) if given else p


def tripped(score: float, others: Sequence[float]) -> Rate:
    """How many scores are at least as high."""
    return Rate(sum(other >= score for other in others), len(others))


def corrected(ps: Iterable[float]) -> list[float]:
    """p-values after Holm's correction (1979), in the order given."""
    given = list(ps)
    found, highest = [1.0] * len(given), 0.0
    for rank, index in enumerate(sorted(range(len(given)), key=given.__getitem__)):
        highest = max(highest, min(1.0, (len(given) - rank) * given[index]))
        found[index] = highest
    return found
