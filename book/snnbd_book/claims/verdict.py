"""A claim and its records -> a verdict, with the figures it rests on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from snnbd_book import runs
from snnbd_book.claims.paper import Claim, Paper, Quoted
from snnbd_book.claims.sample import Sample, show
from snnbd_book.runs import Experiment, Record
from snnbd_core.data import DataNotFound

REPRODUCED, PARTLY, CONTRADICTED = "reproduced", "partly", "contradicted"
UNDER_TRAINED, OTHER_DATA, NOT_RUN = "under-trained", "other data", "not run"
VERDICTS = (REPRODUCED, PARTLY, CONTRADICTED, UNDER_TRAINED, OTHER_DATA, NOT_RUN)
_FLOORS = {"attack_success_rate": "floor", "attack_success_rate_all": "floor_all"}
_LIKE = {
    "digits-events": "nmnist",
    "digits": "mnist",
    "cifar10-small": "cifar10",
    "cifar10-events": "cifar10-dvs",
    "gestures-events": "dvs-gesture",
}
"""Data like the real ones, or a part of them, and what a claim calls these."""
_STAND_INS = {"cifar10-events", "gestures-events"}
"""Data that stand for others and are made in another way; a verdict says so."""


@dataclass(frozen=True)
class Figure:
    """One figure, ours beside the paper's.

    Attributes:
        label: what it is called in the paper's table.
        value, interval: our mean over the seeds and its 95 % interval; None where not measured.
        paper: the paper's figure, None where it gives none.
        is_rate: whether it is a share (written in per cent).
        floor: of a success rate, that of clean networks under the same trigger, counted alike.
    """

    label: str
    value: float | None
    interval: tuple[float, float] | None
    paper: float | None
    is_rate: bool = True
    floor: Sample | None = None

    @property
    def floor_text(self) -> str:
        """ "0.3 % (0.0-1.1)", or "-"."""
        return "-" if self.floor is None else str(self.floor)

    @property
    def ours_text(self) -> str:
        """ "97.2 % (95.1-98.9)", or "-"."""
        return "-" if self.value is None else show(self.value, self.interval, self.is_rate)

    @property
    def paper_text(self) -> str:
        """ "99.0 %", or "-"."""
        return "-" if self.paper is None else show(self.paper, None, self.is_rate)


@dataclass(frozen=True)
class Judgement:
    """What became of a claim in a profile.

    Attributes:
        claim, profile: what was judged.
        verdict: one of `VERDICTS`.
        figures: ours beside the paper's, in the claim's order.
        reason: the test that decided, with its numbers, or why nothing was run.
        behaviour: of a claim about other data, what the tests say on the data that was used.
        records: all runs that it rests on.
    """

    claim: Claim
    profile: str
    verdict: str
    figures: tuple[Figure, ...]
    reason: str
    behaviour: str = ""
    records: tuple[Record, ...] = ()

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the data sets that it rests on: a profile may have another than the paper."""
        return tuple(dict.fromkeys(record.experiment.data for record in self.records))

    @property
    def words(self) -> str:
        """The verdict as it is written: "partly, on digits-events"."""
        named = (f"the stand-in {one}" if one in _STAND_INS else one for one in self.data)
        on = f"on {' and '.join(named)}"
        if self.behaviour:
            return f"{self.verdict}: {self.behaviour} {on}"
        return f"{self.verdict}, {on}" if self.data else self.verdict

    @property
    def lost(self) -> bool:
        """Whether the claim is on record as reproduced in this profile, and now is not."""
        return self.claim.expected.get(self.profile) == REPRODUCED and self.verdict != REPRODUCED


def experiments(
    claims: Paper | Iterable[Claim], profile: str, seeds: Sequence[int] | None = None
) -> list[Experiment]:
    """All experiments that some claims need in a profile, each once, in order of first need."""
    chosen = claims.claims if isinstance(claims, Paper) else claims
    found: dict[str, Experiment] = {}
    for claim in chosen:
        if profile in claim.expected:
            for settings in claim.settings.values():
                for item in _seeded(settings[profile], _chosen(claim, profile, seeds)):
                    found.setdefault(item.hash, item)
    return list(found.values())


def judge(
    claim: Claim,
    profile: str = "quick",
    *,
    seeds: Sequence[int] | None = None,
    run: bool = True,
    results: Path | str | None = None,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Judgement:
    """Judges a claim by the records of its experiments.

    A record is looked for among the committed ones, whichever code made them, then among those
    of this machine; then, with `run`, the experiment is run.

    Args:
        claim: what to judge.
        profile: "quick", "sample" or "paper".
        seeds: default: the claim's; one with seeds of its own is judged by these in any case.
        run: False only reads.
        results, device, progress: as for `snnbd_book.runs.run`.

    Raises:
        CorruptRecord: a damaged or edited record.
        ValueError: a test that divides by zero, or a figure that was not measured.
    """
    if profile not in claim.expected or claim.reproduced is None:
        reason = claim.why or f"no experiments for the {profile} profile"
        return _not_run(claim, profile, reason)
    source = _Source(run, results, device, progress)
    found: dict[str, list[Record]] = {}
    for name, settings in claim.settings.items():
        for item in _seeded(settings[profile], _chosen(claim, profile, seeds)):
            record = source.record(item)
            if record is not None:
                found.setdefault(name, []).append(record)
            elif name not in claim.optional:
                return _not_run(claim, profile, source.reason(item))
    verdict, reason = _decided(claim, found)
    data = {record.experiment.data for records in found.values() for record in records}
    elsewhere = claim.data and not {claim.data} & {_LIKE.get(one, one) for one in data}
    return Judgement(
        claim=claim,
        profile=profile,
        verdict=OTHER_DATA if elsewhere else verdict,
        figures=tuple(_figure(quoted, found) for quoted in claim.figures),
        reason=f"{reason} {claim.why}".strip(),
        behaviour=verdict if elsewhere else "",
        records=tuple(record for records in found.values() for record in records),
    )


class _Source:
    """Where the records of a judgement come from, and why one is missing."""

    def __init__(
        self,
        run: bool,
        results: Path | str | None,
        device: str | torch.device,
        progress: bool,
    ) -> None:
        self.may_run, self.results = run, results
        self.device, self.progress = device, progress
        self.missing_data: DataNotFound | None = None

    def record(self, item: Experiment) -> Record | None:
        try:
            found = runs.at_hand(item, self.results)
            if found is None and self.may_run:
                return runs.run(
                    item, results=self.results, device=self.device, progress=self.progress
                )
            return found
        except DataNotFound as error:
            self.missing_data = error
            return None

    def reason(self, item: Experiment) -> str:
        if self.missing_data is not None:
            return str(self.missing_data).splitlines()[0]
        return f"there is no record of {item.name}-{item.hash} (seed {item.seed})"


def _decided(claim: Claim, found: Mapping[str, list[Record]]) -> tuple[str, str]:
    """The first verdict whose test holds, and the tests with their numbers."""
    reasons = []
    tests = (
        (REPRODUCED, claim.reproduced),
        (PARTLY, claim.partly),
        (UNDER_TRAINED, claim.under_trained),
    )
    try:
        for verdict, test in tests:
            if test is None:
                continue
            if absent := sorted({name for name, _ in test.figures} - found.keys()):
                reasons.append(f"Not tested for {verdict!r}: no run of {', '.join(absent)}.")
                continue
            holds = test.holds(found)
            reasons.append(f"{test.explained(found)} is {'true' if holds else 'false'}.")
            if holds:
                return verdict, " ".join(reasons)
    except ValueError as error:
        raise ValueError(f"claim {claim.id!r} of {claim.paper}: {error}") from error
    return CONTRADICTED, " ".join(reasons)


def _figure(quoted: Quoted, found: Mapping[str, list[Record]]) -> Figure:
    if not quoted.experiment:
        return Figure(quoted.label, None, None, quoted.paper)
    records = found[quoted.experiment]
    sample = Sample.of(records, quoted.figure)
    floor = _FLOORS.get(quoted.figure)
    return Figure(
        quoted.label,
        sample.mean,
        sample.interval,
        quoted.paper,
        sample.is_rate,
        None if floor is None else Sample.of(records, floor),
    )


def _not_run(claim: Claim, profile: str, reason: str) -> Judgement:
    figures = tuple(Figure(quoted.label, None, None, quoted.paper) for quoted in claim.figures)
    return Judgement(claim, profile, NOT_RUN, figures, reason)


def _chosen(claim: Claim, profile: str, seeds: Sequence[int] | None) -> Sequence[int]:
    return claim.own_seeds.get(profile) or seeds or claim.seeds


def _seeded(item: Experiment, seeds: Sequence[int]) -> list[Experiment]:
    return [dataclasses.replace(item, seed=seed) for seed in seeds]
