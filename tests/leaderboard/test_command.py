"""`snnbd leaderboard` and `snnbd leaderboard add`: what they print, store, and how they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from snnbd_book.cli import app
from snnbd_book.leaderboard import Cell, measuring
from snnbd_book.leaderboard import command as commands
from snnbd_book.leaderboard.cells import DEFENCES
from snnbd_book.leaderboard.measuring import How, measured, planned
from snnbd_book.leaderboard.own import load
from snnbd_book.runs import Experiment, Record, datasets, fitted_trigger, records_in, run

BAR = """
from dataclasses import dataclass

@dataclass(frozen=True, kw_only=True)
class Bar:
    space: str = "frames"

    def __call__(self, frames):
        out = frames.clone()
        out[..., 1, :6, :6] = 3
        return out
"""
Make = Callable[..., Record]


def invoked(*arguments: object) -> tuple[int, str, str]:
    """(exit code, standard output, standard error); a traceback fails the test."""
    result = CliRunner().invoke(app, ["leaderboard", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def bar(tmp_path: Path) -> Path:
    path = tmp_path / "bar.py"
    path.write_text(BAR, encoding="utf-8")
    return path


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, made: Make) -> None:
    """Only the first defence's runs have records, with 20 of 100 hits; others have none."""

    def find(wanted: Experiment) -> Record | None:
        fields = DEFENCES["digits"]["CLP"].fields
        known = wanted.defence in (None, fields["defence"]) and wanted.probe is None
        return made(wanted, 20, 80, 7.0) if known else None

    monkeypatch.setattr(commands, "committed", lambda: find)


def test_the_list_shows_what_has_records_and_counts_the_rest(known: None) -> None:
    code, text, _ = invoked("--data", "digits", "--attack", "WaNet")
    assert code == 0
    (row,) = [line for line in text.splitlines() if "CLP" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:3] == ["digits", "WaNet", "CLP"]
    assert [cell.split(" (")[0] for cell in cells[3:7]] == ["20.0 %", "20.0 %", "2.0 %", "80.0 %"]
    assert cells[7] == "7"
    pairs = len(DEFENCES["digits"])
    # ABL sets a rule and has neither repair nor probe, so that it counts as known here too
    assert text.splitlines()[-1].startswith(f"{pairs} pairs: 2 measured, {pairs - 3} not run, 1 to")


def test_all_pairs_say_not_run_and_never_zero(known: None) -> None:
    code, text, _ = invoked("--data", "digits", "--attack", "WaNet", "--all", "--json")
    assert code == 0
    rows = {row["defence"]: row for row in json.loads(text)}
    assert rows.keys() == DEFENCES["digits"].keys()
    assert rows["CLP"]["success"]["value"] == pytest.approx(0.2)
    assert len(rows["CLP"]["records"]) == 3
    missing = rows["Beatrix"]
    assert missing["note"] == "not run"
    assert (missing["area"], missing["success"], missing["seconds"]) == (None, None, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "gesture"], "--data='gesture' is unknown; allowed: digits-events, digits"),
        (["--attack", "nobody"], "--attack='nobody' is unknown"),
        (["--data", "digits", "--attack", "moving"], "--attack='moving' is unknown"),
        (["--defence", "nobody"], "--defence='nobody' is unknown"),
        (["add", "missing.py"], "missing.py does not exist: give a Python file"),
        (["add", __file__], "holds no attacks: write one"),
        (["add", "missing.py", "--data", "gesture"], "--data='gesture' is unknown"),
    ],
)
def test_a_wrong_command_gives_one_line_and_exit_code_2(arguments: list[str], said: str) -> None:
    code, text, error = invoked(*arguments)
    assert (code, text) == (2, "")
    assert len(error.splitlines()) == 1
    assert said in error


def test_wrong_settings_of_an_attack_are_told_before_anything_runs(bar: Path) -> None:
    for arguments, said in (
        (["--defence", "nobody"], "--defence 'nobody' is unknown; allowed: fine-tuning"),
        (["--rate", "2"], "rate=2.0 must be a number in 0..1"),
        (["--target", "10"], "target=10 is not a class: allowed is 0..9"),
    ):
        code, text, error = invoked("add", bar, *arguments)
        assert (code, text, len(error.splitlines())) == (2, "", 1)
        assert said in error


def test_time_that_is_over_begins_no_other_defence(bar: Path) -> None:
    own, how = load(str(bar)), How(minutes=0.0)
    cells = planned(own, how)
    rows = list(measured(own, cells, how))
    assert [row.note for row in rows] == ["not run"] * len(cells)
    assert {row.cell.why for row in rows} == {"not begun: the 0 minutes were over"}


@pytest.mark.parametrize("error", [ValueError, ArithmeticError])
def test_a_refusing_defence_does_not_apply_and_the_others_go_on(
    bar: Path, monkeypatch: pytest.MonkeyPatch, made: Make, error: type[Exception]
) -> None:
    own, how = load(str(bar)), How()

    def pretended(experiment: Experiment, **settings: object) -> Record:
        if experiment.defence == DEFENCES["digits-events"]["ANP"].fields["defence"]:
            raise error("nothing to prune")
        return made(experiment, 50)

    monkeypatch.setattr(measuring, "run", pretended)
    monkeypatch.setattr(measuring, "_try", lambda *given: None)
    clp, anp, abl = measured(own, planned(own, how, ["CLP", "ANP", "ABL"]), how)
    assert clp.success is not None and clp.success.mean == 0.5
    assert (anp.note, anp.cell.why) == ("does not apply", "nothing to prune")
    assert abl.success is not None


@pytest.mark.slow
@pytest.mark.trains
def test_an_attack_of_ones_own_gets_a_row_of_the_run_that_the_library_makes(
    bar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink(monkeypatch)
    folder = tmp_path / "results"
    names = (
        "--defence",
        "CLP",
        "--defence",
        "settings, no card",
        "--results",
        folder,
        "--rate",
        "0.2",
    )
    code, text, _ = invoked("add", bar, *names, "--json")
    assert code == 0
    clp, card = json.loads(text)
    assert (clp["attack"], clp["defence"], clp["seeds"]) == ("Bar", "CLP", [0])
    own = load(str(bar))
    (cell,) = planned(own, How(rate=0.2), ["CLP"])
    (record,) = [run(one, results=folder, progress=False) for one in cell.runs]
    rate = record.report.attack_success_rate
    assert rate is not None
    assert clp["success"]["value"] == rate.value
    assert [clp["success"][end] for end in ("low", "high")] == pytest.approx(
        rate.confidence_interval
    )
    assert clp["records"] == [record.key]
    assert clp["success_before"] is not None and clp["floor"] is not None
    assert card["accused"]["value"] == 0
    kept = {path.name: path.read_bytes() for path in folder.glob("*.jsonl")}
    assert len(kept["digits-events.jsonl"].splitlines()) == 3
    assert invoked("add", bar, *names, "--json")[1] == text  # read, not run again
    assert {path.name: path.read_bytes() for path in folder.glob("*.jsonl")} == kept


FIT = """
    def fit(self, train, *, target, seed):
        {fault}
        return self
"""


@pytest.mark.parametrize("fault", ["train.labels[:] = target", "train.labels = 0 * train.labels"])
def test_a_fit_does_not_reach_the_labels_of_other_runs(tmp_path: Path, fault: str) -> None:
    path, folder = tmp_path / "fits.py", tmp_path / "results"
    text = BAR.replace("frames", "image") + FIT.format(fault=fault)
    path.write_text(text, encoding="utf-8")
    clean = Experiment(data="digits")
    before = datasets(clean)[0].labels.copy()
    assert len(set(before.tolist())) == 10
    if "[:]" in fault:
        code, text, error = invoked("add", path, "--data", "digits", "--results", folder)
        assert (code, text, len(error.splitlines())) == (2, "", 1)
        assert f"{path}, line 14, in fit: ValueError: assignment destination is read-only" in error
    else:
        fitted_trigger(replace(clean, trigger=load(str(path)).trigger, rate=0.1))
    assert np.array_equal(datasets(clean)[0].labels, before)


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a second in place of the profile's."""
    small = measuring.cell

    def made(*given: object) -> Cell:
        data, attack, fields, *others = given
        return small(data, attack, {**fields, "epochs": 1, "samples": 60, "frames": 4}, *others)  # type: ignore[arg-type,dict-item]  # as given

    monkeypatch.setattr(measuring, "cell", made)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["frames[:] = 0; return frames", "return frames[:, :1]"])
def test_nothing_is_stored_of_an_attack_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    shrink(monkeypatch)
    path = tmp_path / "bad.py"
    path.write_text(BAR.replace("out = frames.clone()", fault), encoding="utf-8")
    folder = tmp_path / "results"
    code, text, error = invoked("add", path, "--results", folder)
    assert (code, text, len(error.splitlines())) == (2, "", 1)
    assert str(path) in error
    assert not folder.exists() or records_in(folder) == []
