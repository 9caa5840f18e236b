"""The results folder: damaged, edited and doubled records, recorded runs, where it lies."""

from __future__ import annotations

import ast
import dataclasses
import errno
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from snnbd_book.runs import (
    CorruptRecord,
    Experiment,
    Record,
    carry_over,
    code_fingerprint,
    provenance,
    recorded,
    recorded_of,
    resolve,
    results_dir,
    run,
    stored,
)
from snnbd_book.runs.provenance import Provenance, git_state, meaning, numeric_files
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


@pytest.fixture
def record(tmp_path: Path) -> tuple[Record, Path]:
    """A made-up record and its file."""
    made = made_up(Experiment(trigger=Static(), rate=0.1))
    return made, made.write(tmp_path / "results")


def test_a_file_brings_back_the_same_record(record: tuple[Record, Path]) -> None:
    made, path = record
    assert path.name == f"digits-events-static-{made.experiment.hash}.json"
    assert Record.read(path) == made


def test_every_truncation_of_a_record_is_noticed(record: tuple[Record, Path]) -> None:
    _, path = record
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptRecord, match=f"record .*{path.name} cannot be trusted"):
            Record.read(path)


def test_a_record_edited_by_hand_is_noticed(record: tuple[Record, Path]) -> None:
    _, path = record
    whole = path.read_text()
    assert '"hits": 88' in whole
    path.write_text(whole.replace('"hits": 88', '"hits": 90'))
    with pytest.raises(CorruptRecord, match=r"it was edited.*remove it \(or pass fresh=True\)"):
        Record.read(path)
    path.write_text(json.dumps(json.loads(whole)))  # another layout is no edit
    Record.read(path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 2}', "null", '"x"', "\x00"])
def test_json_that_is_no_record_is_noticed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x-0123456789ab.json"
    path.write_text(text)
    with pytest.raises(CorruptRecord, match="cannot be trusted"):
        Record.read(path)


def test_run_refuses_an_edited_record_until_told_to_run_again(results: Path, tiny: Make) -> None:
    experiment = tiny(trigger=None, rate=0.0)
    record = run(experiment, progress=False)
    path = results / record.file_name
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(CorruptRecord, match="it was edited"):
        run(experiment, progress=False)
    again = run(experiment, fresh=True, progress=False)
    assert Record.read(path) == again


def test_two_records_with_one_hash_are_an_error(results: Path, tiny: Make) -> None:
    experiment = tiny(trigger=None, rate=0.0)
    path = made_up(experiment).write(results)
    shutil.copy(path, results / f"copy-{experiment.hash}.json")
    with pytest.raises(ValueError, match=f"hash='{experiment.hash}' has two records, copy-"):
        run(experiment, progress=False)
    run(experiment, fresh=True, progress=False)
    assert [p.name for p in results.glob("*.json")] == [path.name]


def test_a_record_under_another_experiments_name_is_noticed(results: Path, tiny: Make) -> None:
    other = made_up(tiny(seed=9)).write(results)
    wanted = tiny(seed=8)
    other.rename(results / f"{wanted.name}-{wanted.hash}.json")
    with pytest.raises(CorruptRecord, match=f"its experiment has hash {tiny(seed=9).hash}"):
        stored(wanted)


def test_recorded_runs_are_read_only_when_asked_for(results: Path, tiny: Make) -> None:
    experiment = tiny(trigger=None, rate=0.0)
    made = made_up(experiment)
    with pytest.raises(LookupError, match=f"no record of nmnist-clean-{experiment.hash}"):
        recorded(experiment)
    made.write(results / "recorded")
    assert recorded(experiment) == made
    assert recorded(experiment).provenance.commit == "0123456789"
    assert stored(experiment) is None
    assert run(experiment, progress=False).provenance.code != made.provenance.code


def test_recorded_runs_are_those_of_the_data_set_at_hand(results: Path, tiny: Make) -> None:
    ours, changed, missing = (tiny(seed=seed) for seed in range(3))
    for one, dataset in ((ours, resolve(ours).fingerprint), (changed, "another")):
        made = made_up(one)
        its = dataclasses.replace(made.provenance, dataset=dataset)
        dataclasses.replace(made, provenance=its).write(results / "recorded")
    found = recorded_of([ours, changed, missing])
    assert list(found) == [ours.hash]
    assert found[ours.hash] == recorded(ours)
    assert recorded_of([]) == {}


def test_a_recorded_run_is_found_by_the_hash_in_its_name(results: Path, tiny: Make) -> None:
    path = made_up(tiny()).write(results / "recorded")
    path.rename(path.with_name(f"older-name-{tiny().hash}.json"))
    assert recorded(tiny()).experiment == tiny()
    made_up(tiny()).write(results / "recorded")
    with pytest.raises(ValueError, match=r"has two records, .*older-name"):
        recorded(tiny())


def test_a_record_whose_code_only_moved_is_carried_over_and_says_so(
    results: Path, tiny: Make
) -> None:
    made = made_up(tiny())
    path = made.write(results / "recorded")
    other = made_up(tiny(seed=1))
    other = dataclasses.replace(
        other, provenance=dataclasses.replace(other.provenance, code="d" * 16)
    )
    untouched = other.write(results / "recorded").read_bytes()
    assert carry_over("c" * 16, "moved; 60 runs compared") == [path]
    carried = recorded(tiny())
    assert carried.provenance.code == "c" * 16
    assert carried.provenance.carried is not None
    assert carried.provenance.carried.why == "moved; 60 runs compared"
    assert carried.provenance.holds_under == code_fingerprint()
    assert (carried.report, carried.history) == (made.report, made.history)
    assert (results / "recorded" / other.file_name).read_bytes() == untouched
    assert carry_over("c" * 16, "again") == []
    assert carry_over(code_fingerprint(), "moved once more") == [path]


def test_a_full_disk_is_told_by_the_folder_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("snnbd_core.files.os.fsync", full)
    with pytest.raises(OSError, match=r"no space left in .* point \$SNNBD_RESULTS at") as caught:
        made_up(Experiment()).write(tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert "SNNBD_CACHE" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


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


def test_comments_docstrings_and_layout_are_not_part_of_the_code() -> None:
    one = 'def f(x):\n    """Doc."""\n    return x + 1  # why\n'
    two = "def f( x ):\n\n    return (x\n            + 1)\n"
    assert meaning(one) == meaning(two)
    assert meaning(one) != meaning(two.replace("1", "2"))
    assert meaning('x = "text"') != meaning('x = "other"')


def test_the_code_fingerprint_covers_all_that_a_run_imports() -> None:
    packages = {"snnbd_core": provenance.CORE, "snnbd_book": provenance.BOOK}

    def imports(path: Path) -> set[Path]:
        found: set[Path] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                parts = name.split(".")
                if parts[0] in packages and len(parts) > 1:
                    base = packages[parts[0]].joinpath(*parts[1:])
                    found |= {
                        p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()
                    }
        return found

    seen: set[Path] = set()
    todo = {provenance.BOOK / "runs" / "execution.py"}
    while todo:
        path = todo.pop()
        seen.add(path)
        todo |= imports(path) - seen
    read_only = (
        "__init__",
        "codec",
        "coherence",
        "profiles",
        "provenance",
        "record",
        "schema",
        "store",
    )
    free = {provenance.BOOK / "runs" / f"{name}.py" for name in read_only}
    missing = seen - set(numeric_files()) - free
    assert not missing, f"not in provenance.NUMERIC: {sorted(map(str, missing))}"


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
