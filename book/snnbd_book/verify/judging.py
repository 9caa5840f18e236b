"""The verdict of a whole sample of comparisons, at a family-wise level of 1 %."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import norm

from snnbd_book.verify.comparing import Check, Comparison
from snnbd_core.auditing.judging import corrected

LEVEL = 0.01
POWER = 0.8
_FEWEST = 3  # comparisons of a figure, for a test of their sum
EQUAL, AGREES, DIFFERS = "equal", "agrees", "differs"


@dataclass(frozen=True)
class Judgement:
    """What the comparisons say together.

    Attributes:
        comparisons: of which it is made.
        verdicts: one for each: "equal" (bits), "agrees" (within the luck of training) or
            "differs".
        reasons: what differs, a sentence each, with the record or "all records together".
        power: figure -> the change, the same in all records, that would have been found in four
            of five such samples; none where bits were asked for.
    """

    comparisons: tuple[Comparison, ...]
    verdicts: tuple[str, ...]
    reasons: tuple[str, ...]
    power: dict[str, float]

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.reasons


def judge(comparisons: Sequence[Comparison]) -> Judgement:
    """Judges a sample: faults count as they are, tests after Holm's correction for all of them.

    Besides each figure of each record there is one test of all records together for each figure:
    the sum of the differences in standard deviations (Stouffer). It finds a change that is small
    in each run and the same in all.
    """
    tests: list[tuple[float, int | None, str]] = []
    for number, comparison in enumerate(comparisons):
        for check in comparison.checks:
            text = f"{check.figure} was {check.recorded:.4g}, is {check.again:.4g}"
            tests.append((check.p, number, text))
    for figure, checks in _by_figure(comparisons).items():
        total = sum(check.z for check in checks) / math.sqrt(len(checks))
        way = "higher" if total > 0 else "lower"
        tests.append((float(2 * norm.sf(abs(total))), None, f"{figure} is {way} throughout"))
    rejected = [p <= LEVEL for p in corrected(p for p, _, _ in tests)]
    found = [(number, f"{text} (p = {p:.1g})") for (p, number, text) in _chosen(tests, rejected)]
    found += [(number, fault) for number, item in enumerate(comparisons) for fault in item.faults]
    bad = {number for number, _ in found}
    reasons = tuple(f"{_name(comparisons, number)}: {text}" for number, text in found)
    verdicts = tuple(
        DIFFERS if number in bad else EQUAL if item.bits else AGREES
        for number, item in enumerate(comparisons)
    )
    return Judgement(tuple(comparisons), verdicts, reasons, power(comparisons))


def _chosen(
    tests: list[tuple[float, int | None, str]], rejected: list[bool]
) -> list[tuple[float, int | None, str]]:
    return [test for test, is_rejected in zip(tests, rejected, strict=True) if is_rejected]


def _name(comparisons: Sequence[Comparison], number: int | None) -> str:
    return "all records together" if number is None else comparisons[number].record.key


def power(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """For each figure, the common change that the test of all records finds with `POWER`."""
    by_figure = _by_figure(comparisons)
    tests = sum(len(comparison.checks) for comparison in comparisons) + len(by_figure)
    found = {}
    for figure, checks in by_figure.items():
        inverse = [1 / check.scale for check in checks if check.scale]
        if inverse:
            bound = float(norm.isf(LEVEL / (2 * tests)) + norm.ppf(POWER))
            found[figure] = bound * math.sqrt(len(checks)) / sum(inverse)
    return found


def _by_figure(comparisons: Sequence[Comparison]) -> dict[str, list[Check]]:
    """The tests of each figure, of those that enough records have."""
    found: dict[str, list[Check]] = defaultdict(list)
    for comparison in comparisons:
        for check in comparison.checks:
            found[check.figure].append(check)
    return {figure: checks for figure, checks in found.items() if len(checks) >= _FEWEST}
