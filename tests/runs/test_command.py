"""`snnbd run`, `evaluate` and `carry`: what they print, and how they refuse."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from snnbd_book.cli import app
from snnbd_book.runs import Experiment, Record, commit, network, recorded, records_in, run
from snnbd_core.metrics import Report

Make = Callable[..., Experiment]


def invoked(*arguments: object) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command; a traceback fails the test."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_run_prints_the_figures_and_the_path_of_the_record(
    results: Path, tiny: Make, tiny_yaml: str, tmp_path: Path
) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(tiny_yaml)
    code, text, _ = invoked("run", file, "--set", "trigger.size=0.3", "--set", "seed=4")
    assert code == 0
    (record,) = records_in(Path(text.splitlines()[-1]).parent)
    wanted = tiny(seed=4)
    assert record.experiment.trigger.size == 0.3
    assert (record.experiment.seed, record.experiment.epochs) == (4, wanted.epochs)
    rate = record.report.attack_success_rate
    assert rate is not None
    (line,) = [line for line in text.splitlines() if line.startswith("attack success")]
    low, high = (100 * bound for bound in rate.confidence_interval)
    assert f"{100 * rate.value:.1f} %  ({low:.1f} to {high:.1f} %, n = {rate.total})" in line


def test_run_reads_json_and_prints_the_record_for_machines(
    results: Path, tiny: Make, tmp_path: Path
) -> None:
    file = tmp_path / "experiment.json"
    file.write_text(tiny().to_json())
    code, text, _ = invoked("run", file, "--json")
    assert code == 0
    assert Record.from_dict(json.loads(text)) == run(tiny())


def test_evaluate_says_of_a_saved_network_what_the_library_says(
    results: Path, tiny: Make, tmp_path: Path
) -> None:
    net = network(tiny(), progress=False)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    named = ("--data", "nmnist", "--frames", 2, "--trigger", "{kind: Static, size: 0.2}")
    code, text, _ = invoked("evaluate", tmp_path / "net.pt", *named, "--json")
    assert code == 0
    values = json.loads(text)
    low, high = values.pop("intervals")["clean_accuracy"]
    report = Report.from_dict(values)
    assert (low, high) == pytest.approx(report.clean_accuracy.confidence_interval, abs=1e-6)
    test = run(tiny(), progress=False).report
    assert report.clean_accuracy == test.clean_accuracy
    assert report.attack_success_rate == test.attack_success_rate
    code, text, _ = invoked("evaluate", tmp_path / "net.pt", "--data", "nmnist", "--frames", 2)
    assert code == 0 and "attack success" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--set", "rate=2"], "rate=2 must be a number in 0..1"),
        (["run", "--set", "rate"], "--set 'rate' must be FIELD=VALUE"),
        (["run", "--set", "rate=[1"], "--set rate: '[1' is neither JSON nor YAML"),
        (["run", "--set", "trigger=Nobody"], "trigger.kind='Nobody' is unknown; allowed: "),
        (["run", "--set", "colour=red"], "colour is not a field of Experiment; allowed: "),
        (["run", "--set", "data=nmnist", "--set", "data.x=1"], "data='nmnist' has no fields"),
        (["run", "--set", "profile=huge"], "profile='huge' is unknown; allowed: "),
        (["run", "--device", "tpu"], "device='tpu' is not here"),
        (["run", "missing.yaml"], "missing.yaml"),
        (["evaluate", "missing.pt"], "missing.pt"),
        (["evaluate", __file__], "is no state dict of torch.save"),
        (["evaluate", "missing.pt", "--trigger", "Nobody"], "trigger.kind='Nobody' is unknown"),
    ],
)
def test_a_wrong_command_gives_one_line_and_exit_code_2(arguments: list[str], said: str) -> None:
    code, text, error = invoked(*arguments)
    assert (code, text) == (2, "")
    assert len(error.splitlines()) == 1
    assert said in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bake"], "No such command 'bake'"),
        (["run", "--speed", "1"], "No such option: --speed"),
        (["evaluate"], "Missing argument 'weights'"),
        (["carry", "--from", "x"], "Missing option '--why'"),
    ],
)
def test_an_unknown_command_or_option_is_named(arguments: list[str], said: str) -> None:
    code, _, error = invoked(*arguments)
    assert code == 2
    assert said in error.splitlines()[-1]


def test_weights_of_another_network_are_refused_in_one_line(
    results: Path, tiny: Make, tmp_path: Path
) -> None:
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "net.pt")
    code, _, error = invoked("evaluate", tmp_path / "net.pt", "--data", "nmnist", "--frames", 2)
    assert code == 2
    assert len(error.splitlines()) == 1 and "does not fit: " in error


def test_carry_says_how_many_records_it_carried_over(results: Path, tiny: Make) -> None:
    made = run(tiny(trigger=None, rate=0.0), progress=False)
    older = dataclasses.replace(made.provenance, code="c" * 16, commit="0123456789")
    commit([dataclasses.replace(made, provenance=older)])
    code, text, _ = invoked("carry", "--from", "01234", "--why", "moved")
    assert (code, text) == (0, "1 records carried over\n")
    assert recorded(made.experiment).provenance.carried is not None
