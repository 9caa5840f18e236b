"""The leaderboard's pairs and the figures of their rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import product

import pytest

from snnbd_book.chapters import (
    a_trigger_at_the_input,
    low_bits,
    removing_backdoors,
    triggers_in_time,
)
from snnbd_book.claims.intervals import exact
from snnbd_book.leaderboard import SETS, Cell, Row, cells, row_of
from snnbd_book.leaderboard.cells import ATTACKS, DEFENCES, NOBODY, cell
from snnbd_book.runs import Experiment, Record
from snnbd_core.deployment import BitFlips, LowBits, Shipped
from snnbd_core.metrics import Rate

Make = Callable[..., Record]


def found(data: str, attack: str, defence: str) -> Cell:
    (one,) = [one for one in cells(data) if (one.attack, one.defence) == (attack, defence)]
    return one


def hashes(runs: Iterable[Experiment]) -> list[str]:
    return [one.hash for one in runs]


@pytest.mark.parametrize("data", SETS)
def test_every_attack_meets_every_defence_once(data: str) -> None:
    pairs = [(one.attack, one.defence) for one in cells(data) if one.attack != NOBODY]
    assert sorted(pairs) == sorted(product(ATTACKS[data], DEFENCES[data]))
    assert all(bool(one.runs) != bool(one.why) for one in cells(data))


def test_the_runs_of_a_pair_are_those_of_the_chapters() -> None:
    repaired = removing_backdoors.grid("quick", 0)["events"]["static"]
    one = found("digits-events", "static", "fine-tuning")
    assert hashes(one.runs) == hashes(repaired["fine-tuning"])
    assert hashes(one.before) == hashes(repaired["nothing"])
    scored = a_trigger_at_the_input.grid("sample", 0)["of_inputs"]["Beatrix"]["moving"]
    one = found("nmnist", "moving", "Beatrix")
    assert hashes(one.runs) == hashes(scored)
    detected = triggers_in_time.grid("quick", 0)["detected"]["SPECTRE, determinant"]
    one = found("digits-events", "learnt times, 20 ms", "SPECTRE, determinant")
    assert hashes(one.runs) == hashes(detected)


def test_a_repair_has_success_accuracy_and_rating_before_and_after(made: Make) -> None:
    cell = found("digits-events", "static", "CLP")
    after = zip(cell.runs, (30, 20, 10), (80, 82, 84), (4.0, 5.0, 9.0), strict=True)
    records = {run.hash: made(run, *figures) for run, *figures in after}
    records |= {run.hash: made(run, 90) for run in cell.before}
    row = row_of(cell, lambda wanted: records.get(wanted.hash))
    assert (row.note, row.seconds) == ("", 6.0)
    assert row.success is not None and row.success.mean == pytest.approx(0.2)
    assert row.success_before is not None and row.success_before.mean == pytest.approx(0.9)
    assert row.accuracy is not None and row.accuracy.mean == pytest.approx(0.82)
    assert row.floor is not None and row.floor.mean == pytest.approx(0.02)
    # (0.9 - 0.2 - (0.9 - 0.82) + 1) / 2
    assert row.rating is not None and row.rating.mean == pytest.approx(0.81)
    low, high = row.success.interval
    assert low < 0.133 and high > 0.289  # Wilson's for 20 of 100: one seed's alone
    assert row.hashes == tuple(run.hash for run in (*cell.runs, *cell.before))
    assert json.loads(json.dumps(row.to_dict()))["success"]["value"] == pytest.approx(0.2)


def test_a_detector_of_networks_has_area_accused_and_false_alarms(made: Make) -> None:
    cell = found("digits", "BadNets", "noise response")
    attacked = zip(cell.runs[:3], (1.0, 3.0, 5.0), (0, 1, 1), strict=True)
    records = {
        run.hash: made(run, 97, suspicion=score, alarm=Rate(alarm, 1))
        for run, score, alarm in attacked
    }
    clean = zip(cell.clean[:3], (0.0, 2.0, 2.5), (0, 1, 0), strict=True)
    records |= {
        run.hash: made(run, suspicion=score, alarm=Rate(alarm, 1)) for run, score, alarm in clean
    }
    row = row_of(cell, lambda wanted: records.get(wanted.hash))
    # of nine pairs (1, 2) and (1, 2.5) are the wrong way round
    assert row.area is not None and row.area.mean == pytest.approx(7 / 9)
    assert row.accused is not None and row.accused.mean == pytest.approx(2 / 3)
    assert row.accused.interval == exact(2, 3)
    assert row.false_alarms is not None and row.false_alarms.mean == pytest.approx(1 / 3)
    assert row.rating is None and row.success_before is None


def test_a_detector_of_inputs_has_the_mean_of_its_areas(made: Make) -> None:
    cell = found("digits-events", "static", "STRIP, space")
    scores = {"clean_scores": [0.0] * 60, "attacked_scores": [1.0] * 60}
    areas = dict(zip(cell.runs, (0.9, 0.8, 0.7), strict=True))
    row = row_of(cell, lambda run: made(run, 99, detection_area=areas[run], **scores))
    assert row.area is not None and row.area.mean == pytest.approx(0.8)
    assert row.accused is None


def test_a_pair_without_three_records_was_not_run_and_has_no_figure(made: Make) -> None:
    cell = found("digits-events", "static", "CLP")
    two = {run.hash: made(run, 10) for run in (*cell.runs[:2], *cell.before)}
    for row in (row_of(cell, lambda wanted: two.get(wanted.hash)), row_of(cell, lambda _: None)):
        assert row == Row(cell)
        assert row.note == "not run"
        assert (row.success, row.floor, row.seconds, row.hashes) == (None, None, None, ())


def test_a_repair_whose_records_before_are_missing_has_no_rating(made: Make) -> None:
    cell = found("digits-events", "static", "CLP")
    after = {run.hash: made(run, 10) for run in cell.runs}
    row = row_of(cell, lambda wanted: after.get(wanted.hash))
    assert row.success is not None
    assert (row.success_before, row.rating) == (None, None)


@pytest.mark.parametrize(
    ("data", "attack", "defence", "why"),
    [
        ("digits-events", "BadSNN at 1.2", "SPECTRE, determinant", "looks for poisoned samples"),
        ("digits-events", "dynamic", "SPECTRE, determinant", "changes it while it is learnt"),
        ("digits-events", "time-sliced", "SPECTRE, determinant", "has one for each client"),
        ("digits", "frozen read-out", "ABL", "the attacker trains (FrozenReadout)"),
        ("digits", "Blended", "STRIP, time", "static images have no frames to mix"),
        ("digits", "wakes at 4 bits", "ABL", "the attacker trains (WakesRounded)"),
    ],
)
def test_a_defence_that_does_not_apply_says_why(
    data: str, attack: str, defence: str, why: str
) -> None:
    row = row_of(found(data, attack, defence), lambda _: None)
    assert row.note == "does not apply"
    assert why in row.cell.why


def test_an_attack_that_a_device_wakes_is_judged_there_beside_clean_networks_on_it() -> None:
    grid = low_bits.grid("quick", 0)
    cleansed = found("digits", "wakes at 4 bits", "Neural Cleanse")
    clean = grid["of_networks"]["4 bits"]["clean"]
    assert [one.hash for one in cleansed.clean] == [one.hash for one in clean]
    assert {one.defence for one in cleansed.runs} == {LowBits(weights=4)}
    flips = found("nmnist", "BadSNN, bit flipped", "noise response")
    assert {one.defence for one in (*flips.runs, *flips.clean)} == {BitFlips(layers=1)}


def test_a_repair_of_what_is_rounded_later_gets_the_network_as_it_was_shipped() -> None:
    repaired = low_bits.grid("quick", 0)["repaired"]["wakes rounded"]
    one = found("digits", "wakes at 4 bits", "fine-pruning")
    after = repaired["fine-pruning, then rounded"]["4 bits"]
    assert hashes(one.runs) == hashes(after)
    assert hashes(one.before) == hashes(repaired["rounded"]["4 bits"])


@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize("attack", ["wakes at 4 bits", "BadSNN, bit flipped"])
def test_every_repair_meets_what_a_device_wakes_and_comes_before_it(data: str, attack: str) -> None:
    fields = ATTACKS[data][attack]
    repairs = {
        name: one.fields["defence"]
        for name, one in DEFENCES[data].items()
        if "defence" in one.fields
    }
    assert len(repairs) > 10
    for name, repair in repairs.items():
        one = cell(data, attack, fields, name)
        shipped = Shipped(repair_by=repair, change=fields["defence"])
        assert [run.defence for run in one.runs] == [shipped] * 3
        assert [run.defence for run in one.before] == [fields["defence"]] * 3


def test_networks_that_nobody_attacked_have_a_row_for_each_detector_of_networks() -> None:
    rows = [one for one in cells("digits") if one.attack == NOBODY]
    assert {one.defence for one in rows} == {
        name for name, one in DEFENCES["digits"].items() if one.kind == "network"
    }
    assert all(run.trigger is None for one in rows for run in one.runs)
    attacked = found("digits", "BadNets", "Neural Cleanse")
    (clean,) = [one for one in rows if one.defence == "Neural Cleanse"]
    assert attacked.clean == clean.runs
