"""Runs: computed once, never reused when stale, the same numbers again, safe among processes."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from snnbd_book.runs import (
    Experiment,
    datasets,
    lineage,
    machine,
    network,
    parts,
    records_in,
    resolve,
    run,
    stored,
    training,
    trigger_cache,
)
from snnbd_core import evaluate
from snnbd_core.defenses import AntiBackdoorLearning
from snnbd_core.files import cache_dir
from snnbd_core.learning import task as task_module
from snnbd_core.networks import build
from snnbd_core.triggers import Static

pytestmark = pytest.mark.trains

Make = Callable[..., Experiment]
RUN = "import sys; from snnbd_book.runs import *; run(Experiment.from_json(sys.argv[1]))"


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of all trainings that really happened."""
    seen: list[int] = []
    train = task_module.train

    def counted(*arguments: object, **settings: object) -> object:
        seen.append(settings["seed"])  # type: ignore[arg-type]  # a seed is an int
        return train(*arguments, **settings)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(task_module, "train", counted)
    return seen


def test_a_second_call_reads_what_the_first_wrote(
    results: Path, tiny: Make, trainings: list[int]
) -> None:
    first = run(tiny(), progress=False)
    assert trainings == [0, 0]  # the poisoned network and its clean twin
    path = results / "nmnist.jsonl"
    assert sorted(results.glob("*")) == [results / ".locks", path]
    stamp = path.stat().st_mtime_ns
    assert run(tiny(), progress=False) == first
    assert trainings == [0, 0]
    assert path.stat().st_mtime_ns == stamp


def test_fresh_runs_again_to_the_same_numbers(
    results: Path, tiny: Make, trainings: list[int]
) -> None:
    first = run(tiny(), progress=False)
    second = run(tiny(), fresh=True, progress=False)
    assert trainings == [0, 0, 0]
    assert second.report == first.report
    assert second.history.loss == first.history.loss


def test_the_record_says_what_evaluate_says_of_its_network(results: Path, tiny: Make) -> None:
    experiment = tiny(target=3)
    record = run(experiment, progress=False)
    _, test = datasets(experiment)
    expected = evaluate(
        network(experiment), test, experiment.trigger, 3, clean_net=network(experiment.clean_twin)
    )
    assert replace(record.report, extra={}) == expected
    assert record.report.floor is not None and record.report.floor.total == 27
    assert len(record.history) == 1


def test_a_clean_run_under_a_trigger_is_its_own_floor(
    results: Path, tiny: Make, trainings: list[int]
) -> None:
    record = run(tiny(rate=0.0), progress=False)
    assert trainings == [0]
    assert record.report.floor == record.report.attack_success_rate
    clean = run(tiny(trigger=None, rate=0.0), progress=False)
    assert trainings == [0]
    assert clean.report.attack_success_rate is None
    assert clean.report.clean_accuracy == record.report.clean_accuracy


def test_the_seed_is_that_of_weights_order_and_poisoned_samples(results: Path, tiny: Make) -> None:
    zero, one = (training.poisoned(resolve(tiny(seed=seed))) for seed in (0, 1))
    assert zero.poisoned_indices.tolist() != one.poisoned_indices.tolist()
    assert zero.dataset.fingerprint == one.dataset.fingerprint
    shape = zero.dataset.input_shape
    for seed in (0, 1):
        ours = training.built(resolve(tiny(seed=seed))).state_dict()
        theirs = build("quick-conv", shape, 10, tiny().neuron.build, seed=seed).state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_fewer_samples_are_drawn_once_for_all_seeds(results: Path, tiny: Make) -> None:
    parts = [datasets(tiny(samples=20, seed=seed))[0] for seed in (0, 1)]
    assert len(parts[0]) == 20
    assert parts[0].labels.tolist() == parts[1].labels.tolist()
    with pytest.raises(ValueError, match=r"samples=61 is more than nmnist has .* 1\.\.60"):
        datasets(tiny(samples=61))


def test_provenance_tells_versions_machine_time_and_memory(results: Path, tiny: Make) -> None:
    made = run(tiny(seed=4), device="cpu", progress=False).provenance
    assert made.torch == torch.__version__
    assert made.python == ".".join(map(str, sys.version_info[:3]))
    assert made.device.startswith("cpu (")
    assert (made.seed, made.threads) == (4, torch.get_num_threads())
    assert 0 < made.seconds < 60
    assert 50e6 < made.peak_memory < 50e9
    assert made.date.endswith("+00:00")
    assert made.code == lineage.fingerprint(tiny(seed=4))
    assert made.processor == machine.processor()


def test_other_code_makes_a_record_stale(
    results: Path, tiny: Make, trainings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny(trigger=None, rate=0.0)
    run(experiment, progress=False)
    monkeypatch.setattr(lineage, "fingerprint", lambda _: "f" * 16)
    assert stored(experiment) is None
    assert run(experiment, progress=False).provenance.code == "f" * 16
    assert trainings == [0, 0]
    assert stored(experiment) is not None


def test_another_torch_makes_a_record_stale(
    results: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tiny(trigger=None, rate=0.0)
    record = run(wanted, progress=False)
    dataset = record.provenance.dataset
    assert record.provenance.staleness(wanted, dataset) is None
    older = dataclasses.replace(record.provenance, torch="1.0.0+cpu")
    assert "torch 1.0.0+cpu is now" in str(older.staleness(wanted, dataset))
    same = dataclasses.replace(record.provenance, torch=torch.__version__.split("+")[0] + "+cu999")
    assert same.staleness(wanted, dataset) is None


def test_other_data_makes_a_record_stale(
    results: Path, tiny: Make, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny(trigger=None, rate=0.0)
    run(experiment, progress=False)
    other = tmp_path / "other"
    for path in recordings.rglob("*.bin"):
        target = other / path.relative_to(recordings)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (other / "Train" / "0" / "00000.bin").write_bytes(
        (recordings / "Train" / "1" / "00000.bin").read_bytes()
    )
    monkeypatch.setenv("SNNBD_DATA", str(other))
    (found,) = records_in(results)
    here = resolve(experiment).fingerprint
    assert "data set" in str(found.provenance.staleness(experiment, here))
    assert stored(experiment) is None


def test_a_damaged_kept_network_is_trained_again(
    results: Path, tiny: Make, trainings: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    experiment = tiny(trigger=None, rate=0.0)
    before = {name: value.clone() for name, value in network(experiment).state_dict().items()}
    (kept,) = (cache_dir() / "networks").glob("*.pt")
    kept.write_bytes(kept.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        after = network(experiment, progress=False).state_dict()
    assert "is damaged" in caplog.text
    assert len(trainings) == 2
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("large", [True, False])
def test_poisoned_networks_are_kept_if_asked_or_small(
    results: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    size = sum(value.nbytes for value in network(tiny()).state_dict().values())
    poisoned = tiny(rate=0.5)
    monkeypatch.setattr(training, "SMALL", size if large else size + 1)
    run(poisoned, progress=False, keep_network=False)
    kept = {path.name.split("-")[0] for path in (cache_dir() / "networks").glob("*.pt")}
    assert poisoned.clean_twin.hash in kept
    assert (poisoned.hash in kept) is not large


def test_two_processes_that_ask_for_one_run_train_once(results: Path, tiny: Make) -> None:
    experiment = tiny(trigger=None, rate=0.0, epochs=3)
    processes = [
        subprocess.Popen([sys.executable, "-c", RUN, experiment.to_json()], env=os.environ)
        for _ in range(2)
    ]
    assert [process.wait(timeout=600) for process in processes] == [0, 0]
    (record,) = records_in(results)
    assert record.experiment == experiment
    # the second found the first's record: nothing was written over it, no parts remain
    assert not list(results.glob(".*.part"))


def test_a_killed_run_leaves_no_record_and_goes_on_from_its_checkpoint(
    results: Path, tiny: Make
) -> None:
    experiment = tiny(trigger=None, rate=0.0, epochs=60)
    at_once = "from snnbd_book.runs import training; training.CHECKPOINT_SECONDS = 0\n"
    process = subprocess.Popen(
        [sys.executable, "-c", at_once + RUN, experiment.to_json()], env=os.environ
    )
    networks = Path(os.environ["SNNBD_CACHE"]) / "networks"
    deadline = time.monotonic() + 600
    while not list(networks.glob("*.checkpoint")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(results.glob("*.jsonl"))
    (checkpoint,) = networks.glob("*.checkpoint")
    done = len(torch.load(checkpoint, weights_only=True)["history"]["loss"])
    assert 0 < done < 60
    started = time.time_ns()
    record = run(experiment, progress=False)
    assert len(record.history) == 60
    assert time.time_ns() > started
    assert not list(networks.glob("*.checkpoint"))


def test_a_rule_that_trains_several_times_leaves_none_of_its_checkpoints(
    results: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    seen: list[int] = []
    drop = training._drop

    def counted(checkpoint: Path) -> None:
        seen.append(len(list(checkpoint.parent.glob("*.checkpoint"))))
        drop(checkpoint)

    monkeypatch.setattr(training, "_drop", counted)
    network(tiny(rule=AntiBackdoorLearning(unlearning=1), epochs=2), progress=False)
    assert seen == [3]
    assert not list((cache_dir() / "networks").glob("*.checkpoint"))


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_a_rule_gets_labels_that_it_can_neither_write_nor_put_in_place(
    results: Path, tiny: Make, rate: float
) -> None:
    given = resolve(tiny(rate=rate, trigger=Static()))
    before = given.train.labels.copy()
    asked = training.task(given, training.Place(torch.device("cpu")), None)
    with pytest.raises(ValueError, match="read-only"):
        asked.clean.labels[0] = 9
    asked.clean.labels = 0 * before
    assert (given.train.labels == before).all() and (resolve(tiny()).train.labels == before).all()


def test_a_trigger_that_does_not_fit_the_data_is_an_error_not_a_record(
    results: Path, tiny: Make
) -> None:
    events = Static(space="events", sensor_size=(128, 128, 2))
    with pytest.raises(ValueError, match=r"trigger\.sensor_size="):
        run(tiny(trigger=events), progress=False)
    with pytest.raises(ValueError, match="target=10 is not a class"):
        run(tiny(target=10), progress=False)
    assert not list(results.glob("*.jsonl"))


def test_a_record_is_a_line_of_json_that_begins_with_its_key(results: Path, tiny: Make) -> None:
    record = run(tiny(), progress=False)
    (line,) = (results / "nmnist.jsonl").read_text().splitlines()
    assert line.startswith(f'{{"record":"nmnist-static-{tiny().hash}",')
    values = json.loads(line)
    assert values["report"]["clean_accuracy"]["hits"] == record.report.clean_accuracy.hits
    assert values["experiment"]["trigger"]["kind"] == "Static"
    assert values["hash"].startswith(tiny().hash)


def test_a_trigger_that_is_written_anew_is_scored_anew(
    results: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a notebook: the same name and settings, another effect. The same class is kept."""

    def fresh_class(added: float) -> object:
        @dataclasses.dataclass(frozen=True)
        class Louder:
            space: str = "frames"

            def __call__(self, frames: torch.Tensor) -> torch.Tensor:
                return frames + added

        return Louder()

    seen, scored = [], []
    score = trigger_cache.stealth.score
    monkeypatch.setattr(
        trigger_cache.stealth, "score", lambda *given: scored.append(given) or score(*given)
    )
    for trigger in (one := fresh_class(1.0), one, fresh_class(3.0)):
        monkeypatch.setitem(parts.TRIGGERS, "Louder", type(trigger))
        experiment = tiny(trigger=trigger, rate=0.0)
        seen.append(trigger_cache.stealth_of(resolve(experiment), trigger)["l2"])
    assert len(scored) == 2
    assert seen[0] == seen[1]
    assert seen[2] == pytest.approx(3 * seen[0])
