"""From scores to a judgement: how often clean networks score as high, and what it comes to."""

from __future__ import annotations

import re
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
# trigger leads up to 0.48 of the samples in clean ones, and 0.88 or more in attacked ones.
LEVEL = 0.15
LEAST = 0.5


def _rows(text: str) -> dict[str, tuple[float, ...]]:
    """Numbers by name, from a name and a colon on."""
    rows = re.findall(r"(\w+):([^:]*)(?=\s\w+:|$)", text)
    return {name: tuple(map(float, numbers.split())) for name, numbers in rows}


RECORDED: Mapping[str, Mapping[str, Sequence[float]]] = {
    "frames": _rows(
        """
        settings: 0.01 0.01 0.01 0.01 0.01 0.01 0.01 0.01 0.01 0.01 0.01 0.01 0.01 0.01
            0.02 0.02 0.02 0.02 0.03 0.03
        floors: 0.056 0.089 0.1 0.1 0.111 0.122 0.122 0.122 0.133 0.144 0.167 0.2 0.233
            0.267 0.278 0.289 0.289 0.311 0.344 0.478
        NoiseResponse: 0.719 0.75 0.875 0.906 0.969 0.984 1 1 1 1 1 1 1 1 1 1 1 1 1 1
        PotentialMargins: 0.525 0.544 0.585 0.665 0.69 0.731 0.776 0.779 0.78 0.81 0.822
            0.871 0.884 0.924 0.94 0.941 0.942 0.978 0.995 1
        NeuralCleanse: 0.7 0.706 0.739 0.77 0.83 0.868 0.923 0.926 0.96 1.115 1.124 1.216
            1.531 1.54 1.553 1.626 1.679 1.7 1.926 3.25
        BrainStimulation: 0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1
        """
    ),
    "image": _rows(
        """
        settings: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0.01 0.01 0.01 0.01 0.01 0.01
        floors: 0.078 0.1 0.122 0.122 0.133 0.133 0.133 0.133 0.133 0.133 0.133 0.133 0.133
            0.133 0.144 0.144 0.144 0.144 0.144 0.156
        NoiseResponse: 0.266 0.297 0.312 0.312 0.328 0.344 0.375 0.406 0.406 0.406 0.422
            0.453 0.516 0.531 0.547 0.594 0.656 0.672 0.75 0.797
        PotentialMargins: 0.176 0.244 0.33 0.379 0.412 0.417 0.502 0.522 0.777 0.938 0.948
            0.954 0.957 0.957 0.972 0.974 0.985 0.991 0.998 1
        NeuralCleanse: 0.696 0.814 0.876 0.967 1.013 1.278 1.38 1.429 1.518 1.523 1.556
            1.642 1.689 1.752 1.908 1.909 2.277 2.46 2.527 2.854
        BrainStimulation: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0.062
        """
    ),
}


@dataclass(frozen=True)
class Finding:
    """What a part finds, before it is laid beside the others.

    Attributes:
        part: its status is not known yet.
        score: what its p-value is of; None where there are several.
        p: its p-value; None for a part that judges nothing.
        target: the class that it suspects.
        by: what judged, in words; the part's name where it is empty.
    """

    part: Part
    score: float | None = None
    p: float | None = None
    target: int | None = None
    by: str = ""


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
        surely: the lower end of the value's 95 % interval: by it a network is accused of which too
            little was seen.
    """

    value: float
    target: int | None
    words: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    whole: bool
    surely: float = 0.0


def scored(
    case: Case, name: str, title: str, assumes: str, measure: Callable[[Case], Score]
) -> Finding:
    """A part that judges a network by one score beside those of clean networks."""
    with case.first_share():
        found = measure(case)
    measured = case.of_references(measure)
    given, notes = [each.value for each in measured if each.whole], found.notes
    if len(given) < len(measured):
        notes = (*notes, f"{len(measured) - len(given)} reference networks: too little time")
    known = RECORDED[case.bench.data.kind].get(name, ())
    others = given or known
    as_high = tripped(found.value, others)
    beside = f"{as_high.hits} of {as_high.total} clean networks score as high"
    if not others:
        beside = "no clean networks are known to lay beside it"
    summary = f"{found.words}; {beside}."
    judges = found.whole or found.surely >= LEAST
    p = p_value(found.value, known, given, LEAST) if judges else None
    alarms = tripped(LEAST, others) if others else None
    part = Part(name, title, "unjudged", summary, assumes, alarms, found.tables, notes)
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
