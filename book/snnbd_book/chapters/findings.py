"""Findings evaluated over the records of the chapters' groups, and what is wrong with a page's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import Any

from snnbd_book.chapters.groups import Runs
from snnbd_book.claims import judge, load
from snnbd_book.claims.finding import Finding, Sentence
from snnbd_book.runs import CorruptRecord

PROFILE = "quick"  # the text is about its runs, whatever a build runs


@dataclass(frozen=True)
class Outcome:
    """What became of a finding: whether it holds, its numbers, and why it cannot be told."""

    holds: bool
    shown: str
    error: str = ""


class _Groups(Mapping[str, Any]):
    """The recorded groups of a chapter, read when a test names them."""

    def __init__(self, page: str) -> None:
        self._page = page
        self._read = cache(lambda name: self._runs.recorded(name))

    @cached_property
    def _runs(self) -> Runs:
        return runs_of(self._page)

    def __getitem__(self, name: str) -> Any:
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._runs.planned

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs.planned)

    def __len__(self) -> int:
        return len(self._runs.planned)


def runs_of(page: str, profile: str = PROFILE) -> Runs:
    """The groups of a chapter by its page, "notebooks/05_badsnn".

    Raises:
        ValueError: a page without groups.
    """
    name = page.rpartition("/")[2].partition("_")[2]
    try:
        module = import_module(f"snnbd_book.chapters.{name}")
    except ModuleNotFoundError as error:
        raise ValueError(f"chapter={page!r} has no groups of runs") from error
    return Runs(module.grid, profile)


def evaluated(findings: Iterable[Finding]) -> dict[str, Outcome]:
    """What becomes of each finding, by its name."""
    groups = cache(_Groups)
    outcomes = {}
    for one in findings:
        try:
            outcomes[one.id] = _outcome(one, groups(one.chapter))
        except (ValueError, LookupError, CorruptRecord) as error:
            outcomes[one.id] = Outcome(False, "", str(error.args[0] if error.args else error))
    return outcomes


def problems(
    stated: Iterable[Sentence], findings: Mapping[str, Finding], outcomes: Mapping[str, Outcome]
) -> list[str]:
    """One line for each sentence that does not hold or cannot be told, and for findings unused."""
    lines, used = [], set()
    for one in stated:
        used.add(one.finding)
        if one.finding not in findings:
            lines.append(f"{one}: there is no such finding")
        elif outcomes[one.finding].error:
            lines.append(f"{one} cannot be tested: {outcomes[one.finding].error}")
        elif not outcomes[one.finding].holds:
            lines.append(f"{one} does not hold: {outcomes[one.finding].shown}")
    unused = [one for one in findings.values() if one.id not in used]
    return lines + [f"{one.chapter}: no sentence states the finding {one.id}" for one in unused]


def _outcome(finding: Finding, groups: Mapping[str, Any]) -> Outcome:
    holds, shown = finding.test.holds(groups), finding.test.explained(groups)
    for claim, verdict in finding.claims.items():
        said = _verdict(claim)
        if said != verdict:
            return Outcome(False, f"the verdict on {claim} is {said}, not {verdict}")
    return Outcome(holds, shown)


@cache
def _verdict(claim: str) -> str:
    paper, _, name = claim.partition("/")
    return judge(_read(paper)[name], PROFILE, run=False).verdict


_read = cache(load)
