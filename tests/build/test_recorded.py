"""The table of recorded runs: seeds together, other settings named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from snnbd_book.build import recorded, reproduction
from snnbd_book.runs import Experiment, all_recorded
from snnbd_core.defenses import FineTuning
from snnbd_core.defenses.detectors import NoiseResponse
from snnbd_core.deployment import LowBits, Shipped
from snnbd_core.metrics import Rate
from snnbd_core.triggers import Framed

RESULTS = Path(__file__).parents[2] / "results"


def test_seeds_of_one_setting_share_a_row_with_their_mean():
    records = [
        one
        for one in all_recorded(RESULTS)
        if replace(one.experiment, seed=0).hash == Experiment.for_profile("sample").hash
    ]
    assert {one.experiment.seed for one in records} == set(range(10))
    *_, head, _, row, _ = recorded.table(records).splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    names = [name.strip() for name in head.strip("|").split("|")]
    shown = dict(zip(names, cells, strict=True))
    mean = sum(float(one.report.clean_accuracy) for one in records) / 10
    assert shown["CA"].startswith(f"{100 * mean:.1f} % (")
    assert shown["seeds"] == "10"
    assert (shown["trigger"], shown["defence"], shown["ASR"]) == ("-", "-", "-")
    assert shown["learning rule"] == "surrogate gradient"
    assert "drawn" not in row  # of no poison


def test_parts_are_shown_with_what_is_not_their_default():
    part = Framed(length=4, start="last")
    usual = Framed(length=4)
    shown = recorded._part(part)
    assert shown.startswith("Framed(")
    assert "start=last" in shown
    assert ("size" in shown) == (part.size != usual.size)
    shipped = Shipped(repair_by=FineTuning(), change=LowBits(weights=4))
    wanted = "Shipped(repair_by=FineTuning, change=LowBits(weights=4), changed_first=False)"
    assert recorded._part(shipped) == wanted


def test_every_committed_record_is_in_the_table():
    records = all_recorded(RESULTS)
    settings = {replace(one.experiment, seed=0).digest for one in records}
    rows = [line for line in recorded.table(records).splitlines() if line.startswith("| ")]
    assert len(rows) == len(settings) + 2  # with the heads and the line below them


def test_runs_of_the_quick_profile_stand_apart_with_the_share_of_accused_networks():
    long = [one for one in all_recorded(RESULTS) if one.experiment.profile == "sample"][:3]
    assert reproduction._every_run(long) == reproduction._EVERY_RUN + recorded.table(long)
    probe = NoiseResponse(frames=4)
    quick = [
        replace(
            long[0],
            experiment=Experiment(seed=seed, probe=probe),
            report=replace(long[0].report, extra={"alarm": Rate(int(seed == 0), 1)}),
        )
        for seed in range(2)
    ]
    before, after = reproduction._every_run([*long, *quick]).split(
        "## Kept runs of the quick profile"
    )
    assert before.strip() == reproduction._every_run(long).strip()
    head, _, row, _ = after[after.index("| data") :].splitlines()
    assert head.index("accused") < head.index("CA")
    assert "| probe=NoiseResponse(frames=4) | 2 | 50.0 % (" in row
