"""The results folder: damaged, edited and doubled records, recorded runs, where it lies."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from snnbd_book.runs import (
    CorruptRecord,
    Experiment,
    Record,
    at_hand,
    carry_over,
    codec,
    commit,
    lineage,
    machine,
    provenance,
    recorded,
    recorded_of,
    records_in,
    resolve,
    results_dir,
    run,
    stored,
    trigger_cache,
)
from snnbd_book.runs.provenance import Provenance, git_state
from snnbd_book.runs.shelf import Shelf
from snnbd_core.learning import History
from snnbd_core.metrics import Rate, Report
from snnbd_core.triggers import Static

Make = Callable[..., Experiment]


def made_up(experiment: Experiment) -> Record:
    """A record that nobody ran."""
    report = Report(
        target=0,
        clean_accuracy=Rate(97, 100),
        no_prediction_clean=Rate(0, 100),
        untriggered_target_rate=Rate(1, 90),
        spikes_clean=12.5,
        synops_clean=1e4,
        attack_success_rate=Rate(88, 90),
    )
    made = Provenance(
        package="0",
        commit="0123456789",
        dirty=False,
        code="c" * 16,
        dataset="d",
        python="3.11.0",
        torch="2.0.0",
        numpy="2.0.0",
        cuda=None,
        device="cpu (x86_64)",
        threads=1,
        seed=0,
        seconds=1.5,
        peak_memory=10**9,
        date="2026-01-01T00:00:00+00:00",
    )
    return Record(
        experiment=experiment,
        report=report,
        history=History((0.1,), (0.9,), (1e-3,), (1.0,)),
        provenance=made,
    )


def aged(record: Record, **provenance: object) -> Record:
    """The record with another provenance."""
    changed = dataclasses.replace(record.provenance, **provenance)  # type: ignore[arg-type]  # any
    return dataclasses.replace(record, provenance=changed)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Three made-up records in their file."""
    made = Shelf(tmp_path / "results" / "digits-events.jsonl")
    made.put(*(made_up(Experiment(trigger=Static(), rate=0.1, seed=seed)) for seed in range(3)))
    return made


def test_a_file_brings_back_the_same_records_sorted_by_key(shelf: Shelf) -> None:
    wanted = [made_up(Experiment(trigger=Static(), rate=0.1, seed=seed)) for seed in range(3)]
    assert list(shelf.all()) == sorted(wanted, key=lambda record: record.key)
    assert [shelf.find(record.experiment) for record in wanted] == wanted
    assert shelf.find(Experiment(seed=7)) is None
    keys = [json.loads(line)["record"] for line in shelf.path.read_bytes().splitlines()]
    assert keys == sorted(keys)


def test_a_record_takes_the_place_of_an_older_one_and_moves_no_other_line(shelf: Shelf) -> None:
    before = shelf.path.read_bytes().splitlines()
    (older, *_) = shelf.all()
    shelf.put(aged(older, code="d" * 16))
    after = shelf.path.read_bytes().splitlines()
    assert len(after) == 3 and after[1:] == before[1:] and after[0] != before[0]
    assert shelf.find(older.experiment) == aged(older, code="d" * 16)


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "digits-events.jsonl"
    template = made_up(Experiment())
    code = (
        "import json, sys, dataclasses; from pathlib import Path\n"
        "from snnbd_book.runs import Record; from snnbd_book.runs.shelf import Shelf\n"
        "record = Record.from_dict(json.loads(sys.argv[2]))\n"
        "for seed in range(int(sys.argv[3]), int(sys.argv[3]) + 20):\n"
        "    made = dataclasses.replace(record.experiment, seed=seed)\n"
        "    Shelf(Path(sys.argv[1])).put(dataclasses.replace(record, experiment=made))\n"
    )
    text = json.dumps(template.to_dict())
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), text, str(first)])
        for first in (0, 20)
    ]
    assert [writer.wait(timeout=600) for writer in writers] == [0, 0]
    assert sorted(record.experiment.seed for record in Shelf(path).all()) == list(range(40))
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".part"] == []


def test_every_truncation_of_a_file_is_noticed(shelf: Shelf) -> None:
    whole = shelf.path.read_bytes()
    start = len(whole) - len(whole.splitlines()[-1])  # of the last record
    wanted = [record.experiment for record in shelf.all()]
    for length in range(start, len(whole) - 2, 97):
        shelf.path.write_bytes(whole[:length])
        with pytest.raises(CorruptRecord, match=r"line 3 of .*digits-events.jsonl cannot"):
            list(shelf.all())
        assert shelf.find(wanted[0]) is not None
        with pytest.raises(CorruptRecord, match="line 3 of"):
            shelf.find(wanted[2])


def test_a_record_edited_by_hand_is_noticed(shelf: Shelf) -> None:
    whole = shelf.path.read_text()
    assert '"hits":88' in whole
    shelf.path.write_text(whole.replace('"hits":88', '"hits":90'))
    with pytest.raises(CorruptRecord, match=r"it was edited.*remove it and run again"):
        list(shelf.all())


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 2}', "null", '"x"', "\x00"])
def test_a_line_that_is_no_record_is_noticed(text: str, shelf: Shelf) -> None:
    with shelf.path.open("a") as file:
        file.write(text + "\n")
    with pytest.raises(CorruptRecord, match=r"line 4 of .* cannot be trusted"):
        list(shelf.all())
    with pytest.raises(CorruptRecord, match=r"line 4 of .* cannot be trusted"):
        shelf.find(Experiment(seed=9))  # it may be this one's


@pytest.mark.parametrize("name", ["format", "schema"])
def test_a_record_of_a_newer_version_is_told_from_a_damaged_one(name: str, shelf: Shelf) -> None:
    first, *others = shelf.path.read_text().splitlines()
    newer = json.loads(first) | {name: 99}
    shelf.path.write_text("\n".join([json.dumps(newer, separators=(",", ":")), *others]) + "\n")
    with pytest.raises(CorruptRecord, match=f"line 1 .* a newer version wrote it, in {name} 99"):
        list(shelf.all())


def test_an_unknown_schema_is_noticed(shelf: Shelf) -> None:
    values = json.loads(shelf.path.read_bytes().splitlines()[0]) | {"schema": 0}
    del values["checksum"]
    values["checksum"] = hashlib.sha256(codec.canonical(values).encode()).hexdigest()
    shelf.path.write_text(json.dumps(values, separators=(",", ":")) + "\n")
    with pytest.raises(CorruptRecord, match=r"schema=0 is unknown; allowed: 1\.\."):
        list(shelf.all())


def test_run_refuses_an_edited_record_until_told_to_run_again(results: Path, tiny: Make) -> None:
    experiment = tiny(trigger=None, rate=0.0)
    run(experiment, progress=False)
    path = results / "nmnist.jsonl"
    path.write_text(path.read_text().replace('"seed":0', '"seed":1'))
    with pytest.raises(CorruptRecord, match="it was edited"):
        run(experiment, progress=False)
    again = run(experiment, fresh=True, progress=False)
    assert records_in(results) == [again]


def test_two_records_with_one_hash_are_an_error(shelf: Shelf) -> None:
    first = shelf.path.read_bytes().splitlines(keepends=True)[0]
    with shelf.path.open("ab") as file:
        file.write(first)
    (doubled,) = {json.loads(first)["hash"][:12]}
    with pytest.raises(ValueError, match=f"hash='{doubled}' has two records, in lines 1 and 4"):
        list(shelf.all())
    shelf.put(made_up(Experiment.from_dict(json.loads(first)["experiment"])))
    assert len(list(shelf.all())) == 3


def test_a_record_under_another_experiments_key_is_noticed(shelf: Shelf) -> None:
    other, wanted = Experiment(seed=9), Experiment(seed=8)
    shelf.put(made_up(other))
    shelf.path.write_bytes(
        shelf.path.read_bytes().replace(other.hash.encode(), wanted.hash.encode(), 1)
    )
    with pytest.raises(CorruptRecord, match=r"it was edited|its experiment has hash"):
        shelf.find(wanted)


def test_the_book_shows_committed_runs_and_a_run_wants_todays(results: Path, tiny: Make) -> None:
    experiment = tiny(trigger=None, rate=0.0)
    with pytest.raises(LookupError, match=f"no record of nmnist-clean-{experiment.hash}"):
        recorded(experiment)
    made = aged(made_up(experiment), dataset=resolve(experiment).fingerprint)
    commit([made])
    assert recorded(experiment) == made
    assert at_hand(experiment) == made
    assert stored(experiment) is None
    here = run(experiment, progress=False)
    assert here.provenance.code != made.provenance.code
    assert stored(experiment) == here
    assert at_hand(experiment) == made


def test_a_committed_run_of_todays_code_is_not_run_again(results: Path, tiny: Make) -> None:
    experiment = tiny(trigger=None, rate=0.0)
    made = aged(
        made_up(experiment),
        dataset=resolve(experiment).fingerprint,
        code=lineage.fingerprint(experiment),
        torch=torch.__version__,
    )
    commit([made])
    assert run(experiment, progress=False) == made
    assert records_in(results) == []


def test_committed_runs_are_those_of_the_data_set_at_hand(results: Path, tiny: Make) -> None:
    ours, changed, missing = (tiny(seed=seed) for seed in range(3))
    commit(
        aged(made_up(one), dataset=dataset)
        for one, dataset in ((ours, resolve(ours).fingerprint), (changed, "another"))
    )
    found = recorded_of([ours, changed, missing])
    assert list(found) == [ours.hash]
    assert found[ours.hash] == recorded(ours)
    assert recorded_of([]) == {}


def test_a_record_whose_code_only_moved_is_carried_over_and_says_so(
    results: Path, tiny: Make
) -> None:
    made, other = made_up(tiny()), aged(made_up(tiny(seed=1)), commit="fedcba")
    commit([made, other])
    (carried,) = carry_over("01234", "moved; 60 runs compared")
    assert carried == recorded(tiny())
    assert carried.provenance.code == "c" * 16
    assert carried.provenance.carried is not None
    assert carried.provenance.carried.why == "moved; 60 runs compared"
    assert carried.provenance.holds_under == lineage.fingerprint(tiny())
    assert (carried.report, carried.history) == (made.report, made.history)
    assert recorded(tiny(seed=1)) == other
    # it fails no longer on the code, but on the torch that made it
    assert "torch 2.0.0 is now" in str(carried.provenance.staleness(tiny(), None))


def test_a_full_disk_is_told_by_the_folder_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("snnbd_core.files.os.fsync", full)
    shelf = Shelf(tmp_path / "digits-events.jsonl")
    with pytest.raises(OSError, match=r"no space left in .* point \$SNNBD_RESULTS at") as caught:
        shelf.put(made_up(Experiment()))
    assert caught.value.errno == errno.ENOSPC
    assert "SNNBD_CACHE" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == []


def test_results_lie_where_told_or_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNBD_RESULTS", str(tmp_path / "told"))
    assert results_dir() == tmp_path / "told"
    assert results_dir(tmp_path / "argument") == tmp_path / "argument"
    monkeypatch.delenv("SNNBD_RESULTS")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert results_dir() == tmp_path / "results"


def test_a_checkout_tells_its_commit_and_whether_it_is_dirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "CORE", package)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state() == (None, None)

    def git(*arguments: str) -> str:
        names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", "-C", str(tmp_path), *names, *arguments],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    git("init", "-q")
    assert git_state() == (None, None)  # not tracked: somebody else's checkout
    git("add", ".")
    git("commit", "-qm", "one")
    assert git_state() == (git("rev-parse", "HEAD"), False)
    (package / "__init__.py").write_text("x = 2\n")
    assert git_state() == (git("rev-parse", "HEAD"), True)


def test_a_record_without_a_part_of_its_provenance_is_noticed(tmp_path: Path) -> None:
    values = made_up(Experiment()).provenance.to_dict()
    with pytest.raises(ValueError, match=r"missing fields \['device'\]"):
        Provenance.from_dict({name: v for name, v in values.items() if name != "device"})
    assert Provenance.from_dict(values).to_dict() == values


def test_a_network_that_another_processor_trained_is_not_taken_from_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A floor is that of a clean twin, which a test may have trained with other instructions.
    given = resolve(Experiment.for_profile("quick", data="digits"))
    here = trigger_cache.made_with(given)
    monkeypatch.setattr(machine, "processor", lambda: "another kind")
    assert trigger_cache.made_with(given) != here
    monkeypatch.undo()
    assert trigger_cache.made_with(given) == here
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert trigger_cache.made_with(given) != here
