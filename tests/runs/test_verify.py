"""The verifier: equal bits, drift within the luck of training, and faults that it must find."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from snnbd_book.cli import app
from snnbd_book.runs import (
    CorruptRecord,
    Experiment,
    Neuron,
    Record,
    all_recorded,
    commit,
    machine,
    run,
)
from snnbd_book.runs.provenance import Provenance
from snnbd_book.verify import (
    Entry,
    Groups,
    append,
    choosing,
    compare,
    costs,
    draw,
    entries,
    holdings,
    judge,
)
from snnbd_book.verify.comparing import _check
from snnbd_book.verify.judging import LEVEL
from snnbd_book.verify.sampling import shard
from snnbd_core.auditing.judging import corrected
from snnbd_core.defenses import FineTuning
from snnbd_core.learning import History
from snnbd_core.metrics import Rate, Report
from snnbd_core.triggers import Static

pytestmark = pytest.mark.trains

Make = Callable[..., Experiment]


def made_elsewhere(record: Record) -> Record:
    """The record as another kind of processor would have made it."""
    there = dataclasses.replace(record.provenance, processor="another kind")
    return dataclasses.replace(record, provenance=there)


def under(record: Record, wanted: Experiment) -> Record:
    """A record's numbers under another experiment's name."""
    return dataclasses.replace(record, experiment=wanted)


@pytest.fixture
def seeds(results: Path, tiny: Make) -> list[Record]:
    """Three seeds of one setting, run here."""
    # poison drawn so as when the tests' ranges were measured
    setting = {"epochs": 4, "frames": 4, "learning_rate": 0.02, "drawn": "with-order"}
    return [run(tiny(seed=seed, **setting), progress=False) for seed in range(3)]


def judged(records: list[Record], again: list[Record]):
    groups = Groups(records)
    return judge([compare(*pair, groups) for pair in zip(records, again, strict=True)])


def test_on_the_machine_that_made_them_records_are_equal_to_the_bit(seeds: list[Record]) -> None:
    again = [run(record.experiment, fresh=True, progress=False) for record in seeds]
    found = judged(seeds, again)
    assert found.verdicts == ("equal",) * 3
    assert found.holds and found.power == {}


def test_one_other_bit_on_the_machine_that_made_it_is_found(seeds: list[Record]) -> None:
    report = seeds[0].report
    other = dataclasses.replace(report, spikes_clean=math.nextafter(report.spikes_clean, 0))
    found = judged(seeds, [dataclasses.replace(seeds[0], report=other), *seeds[1:]])
    assert found.verdicts == ("differs", "equal", "equal")
    assert found.reasons[0].startswith(f"{seeds[0].key}: spikes_clean was ")
    loss = dataclasses.replace(seeds[1].history, loss=(0.5, 0.25))
    found = judged(seeds, [seeds[0], dataclasses.replace(seeds[1], history=loss), seeds[2]])
    assert found.verdicts == ("equal", "differs", "equal")


def test_on_another_kind_of_processor_the_luck_of_training_is_no_difference(
    seeds: list[Record],
) -> None:
    found = judged([made_elsewhere(record) for record in seeds], seeds)
    assert found.verdicts == ("agrees",) * 3
    drifted = [
        dataclasses.replace(
            record,
            report=dataclasses.replace(
                record.report,
                clean_accuracy=Rate(max(record.report.clean_accuracy.hits - 2, 0), 30),
            ),
        )
        for record in seeds
    ]
    assert judged([made_elsewhere(record) for record in seeds], drifted).holds


def test_a_trigger_that_moved_by_one_pixel_is_found_on_any_processor(
    seeds: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Static.__call__

    def shifted(self: Static, frames):
        return right(self, frames.roll(-1, -1)).roll(1, -1)

    monkeypatch.setattr(Static, "__call__", shifted)
    monkeypatch.setattr("snnbd_book.runs.trigger_cache._SHOWN", {})
    again = [run(record.experiment, fresh=True, progress=False) for record in seeds]
    found = judged([made_elsewhere(record) for record in seeds], again)
    assert found.verdicts == ("differs",) * 3
    assert "beyond what rounding does" in found.reasons[0]


def test_a_surrogate_of_half_the_slope_is_found_on_any_processor(
    seeds: list[Record], tiny: Make
) -> None:
    flatter = [
        run(
            dataclasses.replace(record.experiment, neuron=Neuron(slope=1.0)),
            progress=False,
        )
        for record in seeds
    ]
    again = [under(*pair) for pair in zip(flatter, (r.experiment for r in seeds), strict=True)]
    found = judged([made_elsewhere(record) for record in seeds], again)
    assert not found.holds
    reasons = " ".join(found.reasons)
    assert "all records together: spikes_clean is higher throughout" in reasons


def test_a_first_loss_that_rounding_does_not_explain_is_found(seeds: list[Record]) -> None:
    first, *later = seeds[0].history.loss
    for factor, verdict in ((1.005, "agrees"), (1.02, "differs")):
        history = dataclasses.replace(seeds[0].history, loss=(factor * first, *later))
        again = dataclasses.replace(seeds[0], history=history)
        found = judged([made_elsewhere(seeds[0])], [again])
        assert found.verdicts == (verdict,)


def test_a_seed_that_was_used_twice_is_found(seeds: list[Record]) -> None:
    copied = under(seeds[0], seeds[1].experiment)
    records = [made_elsewhere(record) for record in (seeds[0], copied, seeds[2])]
    found = judged(records, seeds)
    assert found.verdicts[1] == "differs"
    assert f"{seeds[1].key}: its losses are those of seed 0" in found.reasons


def test_a_success_rate_that_counts_the_target_class_in_is_found(seeds: list[Record]) -> None:
    whole = [
        dataclasses.replace(
            record,
            report=dataclasses.replace(
                record.report, attack_success_rate=record.report.attack_success_rate_all
            ),
        )
        for record in seeds
    ]
    found = judged([made_elsewhere(record) for record in whole], seeds)
    assert found.verdicts == ("differs",) * 3
    assert "attack_success_rate counts 30 samples, now 27" in found.reasons[0]


def test_a_difference_of_rates_is_that_of_two_binomials_without_a_spread_over_seeds() -> None:
    # Agresti and Caffo (2000): shares with one hit and one miss more, variance of the difference.
    share = (50 + 60 + 2) / 204
    by_samples = 2 * share * (1 - share) / 102
    check = _check("x", 0.5, 0.6, 0.0, by_samples, 2)
    assert check.z == pytest.approx(0.1 / math.sqrt(by_samples))
    assert check.p == pytest.approx(math.erfc(check.z / math.sqrt(2)), rel=1e-4)
    assert _check("x", 0.5, 0.5, 0.0, 0.0, 2).p == 1
    assert _check("x", 0.5, 0.6, 0.0, 0.0, 2).p == 0
    wide = _check("x", 0.5, 0.6, 0.01, 0.0, 2)  # Student's t with two degrees, in closed form
    assert wide.p == pytest.approx(1 - wide.z / math.sqrt(2 + wide.z**2))


def test_holm_rejects_what_the_published_example_does() -> None:
    def rejected(ps: list[float]) -> list[bool]:
        return [p <= LEVEL for p in corrected(ps)]

    # Holm's steps at 1 %: .01/4, .01/3, .01/2, .01
    assert rejected([0.002, 0.003, 0.004, 0.5]) == [True, True, True, False]
    assert rejected([0.003, 0.003, 0.004, 0.5]) == [False] * 4
    assert rejected([]) == []


def synthetic(seed: int, rng: np.random.Generator, setting: float, shift: float = 0.0) -> Record:
    """A made-up run whose success scatters over trainings with 3 points, and over 300 samples."""
    success = np.clip(rng.normal(0.8 + shift, 0.03), 0, 1)
    report = Report(
        target=0,
        clean_accuracy=Rate(int(rng.binomial(300, 0.95)), 300),
        no_prediction_clean=Rate(0, 300),
        untriggered_target_rate=Rate(1, 270),
        spikes_clean=float(rng.normal(1000, 20)),
        synops_clean=1e4,
        attack_success_rate=Rate(int(rng.binomial(270, success)), 270),
    )
    loss = (0.1, float(rng.normal(0.01, 0.001)))
    made = Provenance(
        package="0",
        commit="0",
        dirty=False,
        code="c" * 16,
        dataset="d",
        python="3",
        torch="2",
        numpy="2",
        cuda=None,
        device="cpu",
        threads=1,
        seed=seed,
        seconds=10.0,
        peak_memory=1,
        date="2026-01-01",
        processor=None,
    )
    experiment = Experiment(trigger=Static(), rate=setting, seed=seed)
    return Record(
        experiment=experiment,
        report=report,
        history=History(loss, (0.9, 0.9), (0.1, 0.1), (1.0, 1.0)),
        provenance=made,
    )


def sampled(rng: np.random.Generator, shift: float = 0.0) -> tuple[list[Record], list[Record]]:
    """Ten settings of three seeds, run twice; the second time `shift` more succeeds."""
    rates = [round(0.1 + 0.05 * number, 2) for number in range(10)]
    both = []
    for again in (0.0, shift):
        both.append([synthetic(seed, rng, rate, again) for rate in rates for seed in range(3)])
    return both[0], both[1]


def test_the_family_wise_level_is_held_where_nothing_but_luck_differs() -> None:
    rng = np.random.default_rng(0)
    wrong = sum(not judged(*sampled(rng)).holds for _ in range(60))
    # At 1 %, more than 4 of 60 happen once in 2,700 times.
    assert wrong <= 4


def test_a_small_change_that_is_the_same_in_all_runs_is_found() -> None:
    rng = np.random.default_rng(1)
    found = judged(*sampled(rng, shift=-0.06))
    assert any(reason.startswith("all records together: attack_s") for reason in found.reasons)
    # and it is of the size that the verifier says it finds
    assert 0.01 < found.power["attack_success_rate"] < 0.06


def test_the_stated_power_is_that_of_repeated_samples() -> None:
    rng = np.random.default_rng(2)
    stated = judged(*sampled(rng)).power["attack_success_rate"]
    hits = sum(not judged(*sampled(rng, shift=-stated)).holds for _ in range(20))
    assert hits >= 11  # of 20 at 80 %: fewer happen once in 100 times


def test_a_sample_is_random_by_its_seed_and_reaches_many_kinds(project: Path) -> None:
    records = all_recorded(project / "results")
    first, again = (draw(records, "2026-11-28", 600) for _ in range(2))
    assert [record.key for record in first] == [record.key for record in again]
    assert {record.key for record in first} != {
        record.key for record in draw(records, "2026-11-29", 600)
    }
    names = [record.experiment.name for record in first]
    assert len(set(names)) > 0.9 * len(names)
    assert sum(2 * record.provenance.seconds for record in first) <= 600
    assert len(draw(records, "x", 0)) == 1
    assert draw([], "x", 10) == []


def test_shards_are_all_records_each_once(project: Path) -> None:
    records = all_recorded(project / "results")
    parts = [shard(records, number, 7) for number in range(7)]
    assert sorted(r.key for part in parts for r in part) == sorted(r.key for r in records)
    assert min(len(part) for part in parts) > len(records) / 10
    with pytest.raises(ValueError, match=r"shard=7/7: allowed is 0/7 \.\. 6/7"):
        shard(records, 7, 7)


ENTRY = Entry(
    date="2026-11-28T00:00:00+00:00",
    seed="x",
    commit=None,
    processor="this",
    made_on={"that": 2},
    equal=1,
    agrees=1,
    differs=0,
    reasons=(),
    seconds=3.0,
)


def test_the_history_is_added_to_also_where_the_clock_went_backwards(tmp_path: Path) -> None:
    assert entries(tmp_path) == []
    path = append(ENTRY, tmp_path)
    before = path.read_bytes()
    earlier = dataclasses.replace(ENTRY, date="2020-01-01T00:00:00+00:00")
    append(earlier, tmp_path)
    assert path.read_bytes().startswith(before)
    assert entries(tmp_path) == [ENTRY, earlier]
    path.write_bytes(before[:-20])
    with pytest.raises(CorruptRecord, match=r"line 1 of .* is no verification"):
        entries(tmp_path)


def invoked(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.mark.slow
def test_a_verifier_that_is_killed_leaves_all_as_it_was(results: Path, tiny: Make) -> None:
    made = run(tiny(), progress=False)
    commit([dataclasses.replace(made, experiment=tiny(seed=seed)) for seed in range(1, 5)])
    before = {path: path.read_bytes() for path in sorted(results.rglob("*.jsonl"))}
    code = "from snnbd_book.cli import app; app(['verify', '--minutes', '2', '--record'])"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    assert "to do" in process.stderr.readline()  # the sweep has begun
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert {path: path.read_bytes() for path in sorted(results.rglob("*.jsonl"))} == before
    assert entries(results) == []


@pytest.mark.slow
def test_the_command_verifies_what_is_committed_and_says_so_by_its_exit_status(
    results: Path, tiny: Make
) -> None:
    code, text = invoked("verify", "--minutes", 1)
    assert code == 2 and "no committed record can be run here" in text
    made = run(tiny(), progress=False)
    threads = dataclasses.replace(made.provenance, threads=1)
    commit([dataclasses.replace(made, provenance=threads)])
    code, text = invoked("verify", "--minutes", 2, "--record")
    assert code == 0, text
    assert "1 records run again: 1 equal to the bit, 0 agree" in text
    (entry,) = entries(results)
    assert (entry.equal, entry.made_on) == (1, {machine.processor(): 1})
    wrong = dataclasses.replace(made.report, clean_accuracy=Rate(1, 30))
    commit([dataclasses.replace(made, report=wrong, provenance=threads)])
    code, text = invoked("verify", "--minutes", 2, "--json")
    assert code == 1
    told = json.loads(text[text.index("{") :])
    assert told["differs"] == 1 and "clean_accuracy was" in told["reasons"][0]


def test_stale_lists_what_other_code_made_and_what_it_costs(results: Path, tiny: Make) -> None:
    made = run(tiny(trigger=None, rate=0.0), progress=False)
    commit([made])
    code, text = invoked("stale")
    assert code == 0 and text.endswith(
        "0 of 1 records are stale; running them again takes about 0 minutes of one core\n"
    )
    older = dataclasses.replace(made.provenance, code="c" * 16, seconds=120.0)
    commit([dataclasses.replace(made, provenance=older)])
    _, text = invoked("stale")
    assert "    1       120 s  other code   nmnist-clean\n1 of 1 records are stale" in text
    _, text = invoked("stale", "--json")
    assert json.loads(text) == [
        {"runs": "nmnist-clean", "other": "code", "count": 1, "seconds": 120.0}
    ]


def test_reproduce_takes_stale_records_alone(results: Path, tiny: Make) -> None:
    made = [run(tiny(seed=seed), progress=False) for seed in (0, 1)]
    older = dataclasses.replace(made[0].provenance, code="c" * 16)
    commit([dataclasses.replace(made[0], provenance=older), made[1]])
    assert invoked("reproduce", "--dry-run")[1].startswith("2 runs of")
    assert invoked("reproduce", "--stale", "--dry-run")[1].startswith("1 runs of")


def test_reproduce_says_what_it_takes_before_it_runs(results: Path, tiny: Make) -> None:
    made = run(tiny(), progress=False)
    commit(
        [dataclasses.replace(made, provenance=dataclasses.replace(made.provenance, seconds=7236.0))]
    )
    code, text = invoked("reproduce", "--dry-run")
    assert code == 0
    assert "1 runs of 1 trainings, 2 with those of their floors\ndata sets: nmnist\n" in text
    assert "about 2.0 hours of one core by the records: 0.0 for 2 trainings, 2.0 for eval" in text


def test_a_wrong_paper_is_told_before_a_record_is_read(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnbd_book.verify.command.all_recorded", None)  # calling it would raise
    code, text = invoked("reproduce", "--paper", "nobody")
    assert code == 2 and "paper='nobody' has no claims in" in text and "miah2026" in text
    code, text = invoked("reproduce", "--paper", "../claims/miah2026", "--dry-run")
    assert code == 2 and "paper='../claims/miah2026' has no claims in" in text
    code, text = invoked("reproduce", "--device", "tpu", "--dry-run")
    assert code == 2 and "device='tpu'" in text and "allowed: auto, cpu, cuda, mps" in text


def test_a_papers_runs_are_estimated_without_its_data(results: Path) -> None:
    code, text = invoked("reproduce", "--profile", "paper", "--paper", "miah2026", "--dry-run")
    assert code == 0
    for name in ("cifar10", "cifar100", "gtsrb"):
        assert f"to download: {name}, " in text
    assert "of two cores by their operations" in text
    assert re.search(
        r"of a card \(assumed: 10 TMAC/s\): \d+% for \d+ trainings, "
        r"\d+% for evaluation, repairs and detectors of \d+ runs, "
        r"\d+% for \d+ triggers that are learnt\n",
        text,
    )
    assert "not counted" not in text
    assert "\ndisk: about" in text and "\nmemory: up to" in text
    code, text = invoked("reproduce", "--profile", "paper", "--paper", "tmpbd2025", "--dry-run")
    told = "to get by hand: dvs-gesture, 2,700 MB. Unpack both archives (https://figshare.com/"
    assert told in text and "into a folder, and set SNNBD_DATA to it" in text


def test_a_part_of_a_set_is_told_in_the_paper_profile_and_refused(results: Path) -> None:
    """Of N-MNIST 90 recordings are here; the other sets of the paper are not."""
    asked = ("reproduce", "--profile", "paper", "--paper", "miah2026")
    code, text = invoked(*asked, "--dry-run")
    told = "only 90 of 70,000 recordings of nmnist are here; to download: nmnist, 1,180 MB, into a "
    assert code == 0 and told in text
    code, text = invoked(*asked)
    assert code == 2 and "profile='paper' needs whole sets: only 90 of 70,000 recordings" in text
    assert "nmnist" in text and "Set SNNBD_DATA to a folder with the whole of each" in text
    assert not list(results.glob("**/*.jsonl"))


def test_what_was_downloaded_beside_a_part_is_counted_again(
    results: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [tiny(profile="paper")]
    counted = iter([{}, {"nmnist": holdings.Held(4, 10)}])
    monkeypatch.setattr("snnbd_book.claims.experiments", lambda *_: runs)
    monkeypatch.setattr(holdings, "held", lambda _: next(counted))
    monkeypatch.setattr("snnbd_book.verify.command._fetched", lambda *_: [])
    code, text = invoked("reproduce", "--profile", "paper", "--paper", "miah2026")
    assert code == 2 and "needs whole sets: only 4 of 10 recordings of nmnist are here" in text
    assert not list(results.glob("**/*.jsonl"))


def other_data(tiny: Make, **fields: object) -> Experiment:
    digits = {"data": "digits", "network": "quick-conv", "trigger": None, "rate": 0.0}
    return tiny(**{**digits, **fields})


def test_a_set_that_is_named_is_run_although_another_is_a_part(
    results: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [tiny(profile="paper"), other_data(tiny, profile="paper")]
    monkeypatch.setattr("snnbd_book.claims.experiments", lambda *_: runs)
    asked = ("reproduce", "--profile", "paper", "--paper", "miah2026")
    code, text = invoked(*asked)
    assert code == 2 and "only 90 of 70,000 recordings of nmnist" in text
    code, text = invoked(*asked, "--data", "gtsrb", "--dry-run")
    assert code == 2 and "data='gtsrb' is unknown; allowed: digits, nmnist" in text
    code, text = invoked(*asked, "--data", "digits", "--dry-run")
    assert code == 0 and text.startswith("1 runs of 1 trainings") and "nmnist" not in text
    code, text = invoked(*asked, "--data", "digits", "--minutes", 0)
    assert code == 0, text
    assert "not run" in text and "1 runs are left; the same command goes on from there" in text


def test_sets_are_done_in_the_order_in_which_they_are_named(
    results: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnbd_book.claims.experiments", lambda *_: [tiny(), other_data(tiny)])
    asked: dict[str, object] = {}
    paper = ("reproduce", "--paper", "miah2026")

    def swept(experiments: list[Experiment], **options: object) -> pd.DataFrame:
        asked.update(options, data=sorted(one.data for one in experiments))
        return pd.DataFrame()

    monkeypatch.setattr("snnbd_book.sweeps.run", swept)
    code, text = invoked(*paper, "--data", "nmnist", "--data", "digits", "--minutes", 3)
    assert code == 0 and text.endswith("2 runs are left; the same command goes on from there\n")
    assert asked["data"] == ["digits", "nmnist"] and asked["first"] == ["nmnist", "digits"]
    assert 60 < asked["begin"] < 180  # what came before the first run counts
    invoked(*paper, "--data", "digits")
    assert asked["data"] == ["digits"] and asked["begin"] is None


def test_workers_are_as_many_as_the_largest_run_leaves_memory_for(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SNNBD_SCHEDULER", raising=False)
    monkeypatch.setattr("snnbd_book.sweeps.workers.cpu_count", lambda: 8)
    monkeypatch.setattr("snnbd_book.sweeps.workers.MEMORY_LIMIT", 24 * 2**30)
    small = other_data(tiny)
    large = other_data(tiny, data="cifar10", network="vgg16", frames=16, batch_size=64)
    # By hand: VGG-16 at 32x32 gives 4 bytes of each layer's numbers, twice, for T = 16 and 64.
    size = costs.size_of("vgg16", "cifar10", 1.0)
    by_hand = 8 * size.kept * 16 * 64 + 16 * size.weights + 60_000 * 3 * 32 * 32
    assert choosing.memory(large) == by_hand and 6 < by_hand / 2**30 < 12
    assert choosing.at_once([small], "cpu") == 8
    assert choosing.at_once([small, large], "cpu") == 24 * 2**30 // by_hand
    assert choosing.at_once([small, large], "cuda:1") == choosing.at_once([small], "mps") == 1
    assert f"at once: {24 * 2**30 // by_hand} workers, with up to" in (
        choosing.told([small, large, dataclasses.replace(large, seed=5)] * 2, "cpu")
    )
    assert choosing.told([small, large], "cuda").endswith("\nat once: 1 worker, on cuda")
    monkeypatch.setattr("snnbd_book.sweeps.workers.MEMORY_LIMIT", 2**32)
    assert choosing.at_once([large], "cpu") == 1
    assert choosing.told([large], "cpu").endswith(
        "4.0 GiB here: that is too little, so such runs would fail"
    )
    monkeypatch.setenv("SNNBD_SCHEDULER", "tcp://there:8786")
    assert "as many as the scheduler at tcp://there:8786 has" in choosing.told([large], "cuda")


def test_a_dry_run_bins_nothing_and_names_a_damaged_file(
    results: Path, tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnbd_book.claims.experiments", lambda *_: [tiny(), other_data(tiny)])
    monkeypatch.setattr("snnbd_core.data.datasets.bin_events", None)  # calling it would raise
    code, text = invoked("reproduce", "--paper", "miah2026", "--dry-run")
    assert code == 0 and "2 runs" in text and "damaged" not in text
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.zip").write_bytes(b"no archive")
    monkeypatch.setenv("SNNBD_DATA", str(tmp_path / "data"))
    code, text = invoked("reproduce", "--paper", "miah2026", "--dry-run")
    told = f"damaged: {tmp_path / 'data' / 'train.zip'}: is no readable zip archive"
    assert code == 0 and told in text and "\nmemory: up to" in text and "to download" not in text
    code, text = invoked("reproduce", "--paper", "miah2026")
    assert code == 2 and text.startswith(str(tmp_path / "data" / "train.zip"))


def test_a_part_with_fewer_samples_than_a_defender_gets_is_told_too(
    results: Path, tiny: Make
) -> None:
    held = holdings.held([tiny(held_out=50, defence=FineTuning(), samples=1000)])
    assert held == {"nmnist": holdings.Held(90, 70_000)}
    assert holdings.parts(held, "paper") == held and not holdings.parts(held, "sample")
    original = holdings.Held(1_400, 1_464)
    assert not holdings.parts({"nmnist": holdings.Held(70_000, 70_000)}, "paper")
    assert holdings.parts({"dvs-gesture": original}, "paper") == {"dvs-gesture": original}
    with pytest.raises(ValueError, match=r"only 1,400 of 1,464 recordings of dvs-gest.* by hand"):
        holdings.refuse({"dvs-gesture": original}, "paper")


def test_a_set_that_was_never_published_is_no_part(tiny: Make) -> None:
    held = holdings.held([tiny(data="digits")])
    assert held == {"digits": holdings.Held(1_797, 1_797)} and not holdings.parts(held, "paper")


def test_operations_are_those_of_a_known_network() -> None:
    """VGG-16 on 32x32 takes 313 million multiplications and has 14.7 million weights."""
    size = costs.size_of("vgg16", "cifar10", 1.0)
    assert abs(size.operations / 313.2e6 - 1) < 0.01 and abs(size.weights / 14.77e6 - 1) < 0.01
    half = costs.size_of("vgg16", "cifar10", 0.5)
    assert 3.5 < size.operations / half.operations < 4


def test_a_reproduced_paper_ends_with_its_table(results: Path, tmp_path: Path) -> None:
    """Without its data nothing is run, and the table says so."""
    code, text = invoked("reproduce", "--profile", "paper", "--paper", "tmpbd2025")
    assert code == 0, text
    assert "dvs-gesture is not here and must be got by hand" in text and "figshare.com" in text
    assert "none-static" in text and "not run" in text
