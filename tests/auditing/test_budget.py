"""The time of an audit: planned by what networks compute, with the clock as a guard."""

from __future__ import annotations

import contextlib
import dataclasses
import math

import numpy as np
import pytest

import snnbd_core as sb
from snnbd_core.auditing import budget, detecting
from snnbd_core.auditing.budget import Budget, reckoned
from snnbd_core.auditing.judging import Score, scored
from snnbd_core.defenses.detectors import Verdict
from snnbd_core.metrics import Rate

from .conftest import made
from .test_audit import GIVEN, without_seconds


def test_a_pass_is_reckoned_by_its_operations_and_steps_of_neurons():
    case = made(frames=True).case
    operations = 2 * 288 * 100 * 4  # of a dense layer in four steps
    assert reckoned(case.bench) == pytest.approx(operations / 2e10 + 4 * 100 / 1.25e8)
    assert case.cost == reckoned(case.bench)
    before = case.budget.spent
    case.answers()
    assert case.budget.spent - before == pytest.approx(50 * case.cost)


def test_what_is_planned_is_spent_whatever_the_clock_says():
    planned = Budget(seconds=10, begun=budget.clock() - 9)
    assert planned.fits(5, math.inf)
    assert not planned.fits(10, math.inf) and not planned.fits(3, 3)
    with planned.spending(5):
        pass
    assert not planned.fits(5, math.inf)
    assert not planned.late


def test_the_clock_ends_what_the_plan_would_hold():
    late = Budget(seconds=10, begun=budget.clock() - 11)
    assert not late.fits(1, math.inf)
    assert late.late
    slow = Budget(seconds=10, spent=1.0, pace=20.0)  # each reckoned second takes twenty
    assert slow.fits(0.1, math.inf) and not slow.late
    assert not slow.fits(1, math.inf) and slow.late


class Ticking:
    """A clock on which each look takes so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def at_pace(monkeypatch, seconds, **given):
    """An audit whose budget holds a part of what it would do, on a machine of some pace."""
    monkeypatch.setattr(budget, "clock", Ticking(seconds))
    known = made(frames=True).planted(3)
    return sb.audit(known.net, known.clean, minutes=0.004, seed=2, **GIVEN)


def test_a_slower_machine_gives_the_same_audit_until_the_clock_ends_it(monkeypatch):
    quick, slower, slow = (at_pace(monkeypatch, seconds) for seconds in (0, 1e-5, 1.0))
    assert without_seconds(quick) == without_seconds(slower)
    notes = [note for part in quick.parts for note in part.notes]
    assert any("time holds no more" in note for note in notes)
    assert not any("The clock ended" in note for note in notes)
    assert (quick.status, quick.target) == ("suspicious", 3)
    assert slow.status == "unjudged"
    assert "The clock ended or shortened this part" in slow.parts[1].notes[-1]


@pytest.mark.parametrize("seed", range(5))
def test_less_time_accuses_no_clean_network(monkeypatch, seed):
    monkeypatch.setattr(budget, "clock", Ticking(0))
    known = made(frames=True)
    for minutes in (0.002, 0.004, 0.008):
        found = sb.audit(known.net, known.clean, minutes=minutes, seed=seed, **GIVEN)
        assert found.status in ("clear", "unjudged"), found.summary


@pytest.mark.parametrize(
    ("hits", "of", "whole", "judges"),
    [(5, 9, False, False), (9, 9, False, True), (5, 9, True, True), (60, 90, False, True)],
)
def test_of_few_samples_only_a_sure_score_accuses(hits, of, whole, judges):
    share = Rate(hits, of)
    score = Score(share.value, 3, "It", (), (), whole, share.confidence_interval[0])
    found = scored(made(frames=True).case, "floors", "Floors", "", lambda _: score)
    assert (found.p is not None) == judges


def test_detectors_that_miss_a_class_take_no_time_from_the_others():
    case = made(frames=True).case
    free = [count for one, count in detecting.detectors(case).items() if one.data_free]
    case.budget, case.ends = Budget(), 1.1 * sum(free) * case.cost
    assert detecting.effort(case) < 1
    others = case.bench.data.subset(np.flatnonzero(case.truth))
    case = dataclasses.replace(case, bench=dataclasses.replace(case.bench, data=others))
    assert detecting.effort(case) == 1
    said = dict(detecting.asked(case))
    for name in ("NeuralCleanse", "BrainStimulation"):
        assert "has none of class 0" in said[name]
    assert isinstance(said["PotentialMargins"], Verdict)


def test_what_fails_is_reckoned_too():
    spent = Budget(seconds=9)
    with contextlib.suppress(ValueError), spent.spending(2.0):
        raise ValueError("no class 3")
    assert spent.spent == 2.0


def test_less_time_takes_fewer_samples_and_still_judges():
    known = made(frames=True).planted(3)
    case = known.case
    case.budget, case.ends = Budget(seconds=2000 * case.cost), 2000 * case.cost
    assert case.many(50, 13) == 50 and case.many(50, 45) == 25 and case.many(50, 1e6) == 10
    assert len(case.some(25)) == 25 and case.some(60).tolist() == list(range(50))


def test_detectors_search_as_long_as_all_have_time():
    case = made(frames=True).case
    whole = sum(detecting.detectors(case).values())
    searches = {}
    for passes in (1.1 * whole, 0.7 * whole, 0.1 * whole):
        case.budget, case.ends = Budget(), passes * case.cost
        searches[detecting.effort(case)] = [
            one.iterations
            for one in detecting.detectors(case, detecting.effort(case))
            if hasattr(one, "iterations")
        ]
    assert searches == {1.0: [60, 30, 20], 0.5: [30, 15, 10], 0.25: [15, 8, 5]}


def test_a_reference_that_was_not_seen_in_full_is_not_laid_beside():
    case = made(frames=True).planted(3).case
    case.references = (made(frames=True).net, made(frames=True).net)
    shares = []

    def measure(one):
        shares.append(one.ends - one.budget.spent)
        one.budget.spent += 1.0
        return Score(0.9, 3, "It scores", (), (), len(shares) != 2)

    case.budget, case.ends = Budget(seconds=9), 9.0
    found = scored(case, "floors", "Floors", "", measure)
    assert shares == [3.0, 4.0, 7.0]  # a third, half of what is left, all of what is left
    assert case.ends == 9.0
    assert "1 of 1 clean networks score as high" in found.part.summary
    assert found.part.notes == ("1 reference networks: too little time",)
