"""Claims: the files are checked, verdicts follow from records, a lost one is an error."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from snnbd_book import claims
from snnbd_book.chapters import command as judging
from snnbd_book.claims import ClaimError, Judgement
from snnbd_book.claims.verdict import NOT_RUN
from snnbd_book.cli import app
from snnbd_book.runs import Experiment, Record, commit, records_in, run
from snnbd_book.runs.profiles import PROFILES
from snnbd_core.metrics import Rate

TEXT = """
paper: toy
cite: toy2020
title: A toy
chapter: notebooks/02_toy
seeds: [0, 1]
experiments:
  clean: {fields}
  attacked: {attacked}
profiles:
  sample: {{fields: {{epochs: 2}}, experiments: {{attacked: {{rate: 0.5}}}}}}
claims:
  - id: learns
    where: Table 1
    statement: It | learns.
    figures: {{CA: [clean.clean_accuracy, 0.9], ASR: [attacked.attack_success_rate, null]}}
    reproduced: mean(clean.clean_accuracy) >= {high}
    partly: mean(clean.clean_accuracy) >= {low}
    expected: {{quick: {expected}, sample: open}}
    why: Because.
  - id: later
    where: Table 2
    statement: Not yet.
    figures: {{CA: 0.5}}
    why: The chapter is not written yet.
"""
CLEAN = "{data: nmnist, frames: 2, epochs: 1}"


def written(folder: Path, attacked: str, text: str = TEXT, **changes: object) -> Path:
    """A claims folder with one paper."""
    settings = {"high": 0, "low": 0, "expected": "reproduced", "fields": CLEAN, **changes}
    folder.mkdir(exist_ok=True)
    (folder / "toy.yaml").write_text(text.format(attacked=attacked, **settings))
    return folder


@pytest.fixture
def toy(tmp_path: Path, tiny_yaml: str) -> Callable[..., claims.Paper]:
    """Loads the toy paper with changes."""

    def load(text: str = TEXT, **changes: object) -> claims.Paper:
        return claims.load("toy", written(tmp_path / "claims", tiny_yaml, text, **changes))

    return load


def judged(paper: claims.Paper, profile: str = "quick", **settings: object) -> Judgement:
    return claims.judge(
        paper["learns"],
        profile,
        progress=False,
        **settings,  # type: ignore[arg-type]  # passed on
    )


@pytest.mark.parametrize(
    ("high", "low", "verdict"),
    [(0, 0, "reproduced"), (1.1, 0, "partly"), (1.1, 1.1, "contradicted")],
)
def test_the_first_test_that_holds_gives_the_verdict(
    results: Path, toy: Callable[..., claims.Paper], high: float, low: float, verdict: str
) -> None:
    item = judged(toy(high=high, low=low))
    assert item.verdict == verdict
    assert item.lost == (verdict != "reproduced")
    assert [record.experiment.seed for record in item.records] == [0, 1, 0, 1]
    assert {record.experiment.trigger is None for record in item.records} == {True, False}


def test_figures_are_means_over_the_seeds_with_intervals(
    results: Path, toy: Callable[..., claims.Paper]
) -> None:
    item = judged(toy())
    rates = [r.report.clean_accuracy for r in item.records if r.experiment.trigger is None]
    figure = item.figures[0]
    assert figure.value == pytest.approx(sum(rate.value for rate in rates) / 2)
    assert figure.interval == claims.Sample(tuple(rates)).interval
    assert (figure.paper, figure.paper_text) == (0.9, "90.0 %")
    assert item.figures[1].paper_text == "-"
    assert f"[{figure.value:.4g}] >= 0 is true. Because." in item.reason


def test_a_claim_without_experiments_is_not_run(toy: Callable[..., claims.Paper]) -> None:
    item = claims.judge(toy()["later"], "quick")
    assert (item.verdict, item.reason) == (NOT_RUN, "The chapter is not written yet.")
    assert item.figures[0].ours_text == "-"
    assert not item.lost


def test_a_profile_without_experiments_is_not_run(toy: Callable[..., claims.Paper]) -> None:
    item = judged(toy(), "paper")
    assert item.verdict == NOT_RUN
    assert item.reason == "Because."


def test_without_running_missing_records_are_told(
    results: Path, toy: Callable[..., claims.Paper]
) -> None:
    item = judged(toy(), run=False)
    assert item.verdict == NOT_RUN
    assert item.reason.startswith("there is no record of nmnist-clean-")
    assert item.lost
    assert not results.exists()


def test_without_the_data_the_claim_is_not_run(
    results: Path, toy: Callable[..., claims.Paper], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("SNNBD_DATA", str(tmp_path / "empty"))
    item = judged(toy())
    assert item.verdict == NOT_RUN
    assert "nmnist" in item.reason and "empty" in item.reason


def test_committed_runs_count_whichever_code_made_them(
    results: Path, toy: Callable[..., claims.Paper]
) -> None:
    paper = toy()
    for item in claims.experiments(paper, "quick"):
        record = run(item, progress=False)
        perfect = dataclasses.replace(record.report, clean_accuracy=Rate(30, 30))
        older = dataclasses.replace(record.provenance, code="c" * 16, commit="0123456789")
        commit([dataclasses.replace(record, report=perfect, provenance=older)])
    found = judged(paper, run=False)
    assert found.figures[0].value == 1.0
    assert "(commit 0123456)" in claims.status_page([found])


def test_a_claim_may_be_under_trained_or_about_other_data(
    results: Path, toy: Callable[..., claims.Paper]
) -> None:
    test = "    under_trained: max(attacked.clean_accuracy) >= 0\n    why: Because."
    short = toy(TEXT.replace("    why: Because.", test), high=1.1, low=1.1, expected="contradicted")
    item = judged(short)
    assert (item.verdict, item.words) == ("under-trained", "under-trained, on nmnist")
    elsewhere = TEXT.replace("    why: Because.", "    data: dvs-gesture\n    why: Because.")
    item = judged(toy(elsewhere, expected='"other data"'))
    assert (item.verdict, item.behaviour) == ("other data", "reproduced")
    assert item.words == "other data: reproduced on nmnist"
    at_home = TEXT.replace("    why: Because.", "    data: nmnist\n    why: Because.")
    assert judged(toy(at_home)).verdict == "reproduced"


def test_profiles_change_sizes_for_all_or_for_one(toy: Callable[..., claims.Paper]) -> None:
    settings = toy()["learns"].settings
    assert settings["clean"]["sample"].epochs == settings["attacked"]["sample"].epochs == 2
    assert settings["attacked"]["sample"].rate == 0.5
    assert settings["attacked"]["quick"].rate == 0.25
    assert settings["clean"]["paper"].network == PROFILES["paper"]["network"]


def test_a_claim_may_have_seeds_of_its_own_in_one_profile(toy: Callable[..., claims.Paper]) -> None:
    paper = toy(TEXT.replace("    why: Because.", "    seeds: {{sample: [7]}}\n    why: Because."))

    def seeds(profile: str, asked: list[int] | None = None) -> set[int]:
        return {item.seed for item in claims.experiments(paper, profile, asked)}

    assert (seeds("quick"), seeds("sample")) == ({0, 1}, {7})
    assert (seeds("quick", [5]), seeds("sample", [5])) == ({5}, {7})


def test_experiments_of_a_paper_come_each_once(toy: Callable[..., claims.Paper]) -> None:
    paper = toy()
    found = claims.experiments(paper, "quick")
    assert [(item.name, item.seed) for item in found] == [
        ("nmnist-clean", 0),
        ("nmnist-clean", 1),
        ("nmnist-static", 0),
        ("nmnist-static", 1),
    ]
    doubled = [paper["learns"], paper["learns"]]
    assert len(claims.experiments(doubled, "quick", seeds=[5])) == 2
    assert claims.experiments(paper, "paper") == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "mean(clean.",
            "mean(cleen.",
            "claim 'learns' names the experiment 'cleen', which is miss",
        ),
        ("[clean.clean", "[cleen.clean", "claim 'learns' names the experiment 'cleen'"),
        ("clean.clean_accuracy, 0.9", "clean.accuracy, 0.9", "figures.CA='clean.accuracy' is no f"),
        ("{{CA: 0.5}}", "{{CA: high}}", r"figures.CA='high' must be \[experiment.figure, number\]"),
        (
            "why: Because.",
            "because: x",
            "'because' is unknown; allowed: chapter, data, expected",
        ),
        ("title: A toy", "titel: A toy", "'titel' is unknown"),
        ("title: A toy", "title: ''", "title='' must be a text"),
        ("paper: toy", "paper: boy", "paper='boy' must be 'toy'"),
        ("quick: {expected}", "quick: sure", "expected.quick='sure' is unknown; allowed: repr"),
        ("quick: {expected}", "fast: open", "expected: 'fast' is unknown; allowed: paper, quick"),
        ("id: later", "id: learns", "two claims have the id 'learns'"),
        ("epochs: 2", "epoch: 2", r"experiments.clean \(sample\): epoch is not a field"),
        ("{{rate: 0.5}}", "{{rate: 5}}", r"experiments.attacked \(sample\): rate=5 must be"),
        ("sample: {{fields", "simple: {{fields", "profiles: 'simple' is unknown"),
        ("attacked: {{rate", "attack: {{rate", "profiles.sample.experiments: 'attack' is unknown"),
        ("seeds: [0, 1]", "seeds: []", r"seeds=\[\] must be a list of whole numbers"),
        (
            "why: Because.",
            "seeds: {{fast: [0]}}",
            "seeds: 'fast' is unknown; allowed: paper, quick",
        ),
        ("    why: The chapter is not written yet.\n", "", "why is missing"),
        ("    expected: {{quick: {expected}, sample: open}}\n", "", "belong together"),
        ("mean(clean.clean_accuracy) >= {high}", "eval('1') >= 0", "reproduced: test=.* not allow"),
        ("claims:", "claims: [", "is not YAML"),
        ("clean: {fields}", "cle-an: {fields}", "experiments.cle-an must be a name as in Python"),
    ],
)
def test_a_wrong_claims_file_is_named(
    tmp_path: Path, tiny_yaml: str, old: str, new: str, message: str
) -> None:
    assert old in TEXT
    folder = written(tmp_path, tiny_yaml, TEXT.replace(old, new))
    with pytest.raises(ClaimError, match=rf"toy\.yaml.*{message}"):
        claims.load("toy", folder)


def test_an_empty_or_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"paper='toy' has no claims in .*there are: none"):
        claims.load("toy", tmp_path)
    with pytest.raises(FileNotFoundError, match="no claims"):
        claims.load_all(tmp_path)
    (tmp_path / "toy.yaml").write_text("")
    with pytest.raises(ClaimError, match=r"toy\.yaml must be a mapping"):
        claims.load("toy", tmp_path)
    (tmp_path / "toy.yaml").write_text("{paper: toy, cite: a, title: b, claims: []}")
    with pytest.raises(ClaimError, match="claims is empty"):
        claims.load("toy", tmp_path)


def test_a_figure_of_the_attack_needs_a_trigger(
    results: Path, toy: Callable[..., claims.Paper], tmp_path: Path, tiny_yaml: str
) -> None:
    text = TEXT.replace("mean(clean.clean_accuracy) >= {high}", "mean(clean.floor) >= 0")
    paper = claims.load("toy", written(tmp_path / "claims", tiny_yaml, text))
    with pytest.raises(ValueError, match=r"claim 'learns' of toy: clean\.floor was not"):
        judged(paper, seeds=[0])


def test_only_figures_of_experiments_are_set_as_code() -> None:
    plain = "see www.example.org, the file abc.json, a x_y, ../a.clean_accuracy"
    assert claims.pages.breakable(plain) == plain
    marked = claims.pages.breakable("smart_30.floor is lost.")
    assert marked == "<code>smart_<wbr>30.<wbr>floor</code> is lost."


def test_the_status_page_has_a_row_per_claim_with_links(
    results: Path, toy: Callable[..., claims.Paper]
) -> None:
    paper = toy(high=1.1)
    items = [claims.judge(claim, "quick", progress=False) for claim in paper.claims]
    page = claims.status_page(
        items, record_link="../results/{file}", chapter_link="../{chapter}.md"
    )
    rows = [line for line in page.splitlines() if line.startswith("<span")]
    assert len(rows) == 2
    assert 'verdict partly">partly, on nmnist (was reproduced)</span> **Table 1.** It |' in rows[0]
    assert "([chapter](../notebooks/02_toy.md))" in rows[0]
    first = items[0].records[0]
    assert f"[{first.experiment.hash[:6]}](../results/{first.key}.json)" in page
    assert "<code>clean.<wbr>clean_<wbr>accuracy</code>" in page
    assert "- CA: ours" in page and "; the paper 90.0\u00a0%" in page and " %" not in page
    assert ":::{dropdown} why\n- CA: the paper 50.0" in page
    assert "| {cite:t}`toy2020` |  | 1 |  |  |  | 1 |" in page
    assert "| all |  | 1 |  |  |  | 1 |" in page
    assert "## A toy" in page and "1 partly, 1 not run." in page


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy: Callable[..., claims.Paper]
) -> Callable[..., tuple[int, str]]:
    """Runs the command line on the toy paper: exit code and what it prints."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(judging.cli)

    def call(*arguments: str, **changes: object) -> tuple[int, str]:
        toy(**changes)
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.output

    return call


@pytest.mark.slow
def test_a_killed_reproduction_goes_on_and_ends_with_the_papers_figures_beside_ours(
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    toy: Callable[..., claims.Paper],
) -> None:
    toy()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    wanted = ["reproduce", "--paper", "toy", "--device", "cpu"]
    made = results / "reproduced"
    code = f"from snnbd_book.cli import app; app({wanted!r})"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    while not (first := list(records_in(made)) if made.is_dir() else []):
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {record.key: record for record in first}
    assert len(before) < 4  # there is something left to do
    result = CliRunner().invoke(app, wanted)
    assert result.exit_code == 0, result.output
    after = {record.key: record for record in records_in(made)}
    assert len(after) == 4 and before.items() <= after.items()
    mean = sum(
        record.report.clean_accuracy.value
        for record in after.values()
        if record.experiment.trigger is None
    )
    line = next(line for line in result.output.splitlines() if "CA 90.0 %" in line)
    assert "reproduced" in line and f"CA {100 * mean / 2:.1f} %" in line


def test_the_command_exits_with_1_when_a_claim_is_lost(
    results: Path, command: Callable[..., tuple[int, str]], toy: Callable[..., claims.Paper]
) -> None:
    judged(toy())  # the runs
    code, text = command("--no-run")
    assert code == 0
    assert "reproduced" in text and "learns" in text
    code, text = command("--no-run", high=1.1)
    assert code == 1
    assert "toy learns: was reproduced, is partly" in text
    assert command("--no-run", high=1.1, expected="partly")[0] == 0


def test_the_command_gives_json(
    results: Path, command: Callable[..., tuple[int, str]], toy: Callable[..., claims.Paper]
) -> None:
    judged(toy())
    code, text = command("--json", "--no-run", "--paper", "toy")
    learns, later = json.loads(text)
    assert code == 0
    assert (learns["verdict"], learns["expected"], learns["lost"]) == (
        "reproduced",
        "reproduced",
        False,
    )
    assert learns["figures"][0]["paper"] == 0.9
    assert len(learns["records"]) == 4
    assert {record.key for record in records_in(results)} >= set(learns["records"])
    assert (later["verdict"], later["figures"][0]["value"]) == (NOT_RUN, None)


def test_the_command_names_a_wrong_profile_or_paper(
    command: Callable[..., tuple[int, str]],
) -> None:
    code, text = command("--profile", "fast")
    assert (code, "profile='fast' is unknown; allowed: quick" in text) == (2, True)
    code, text = command("--paper", "toys")
    assert (code, "paper='toys' has no claims" in text) == (2, True)


def test_our_own_claims_are_sound(project: Path) -> None:
    papers = {paper.id: paper for paper in claims.load_all(project / "claims")}
    assert set(papers) == {
        "abad2022",
        "abad2024",
        "flashy2025",
        "jin2024",
        "kim2026",
        "miah2026",
        "pandey2025",
        "tmpbd2025",
        "wang2024",
    }
    table = [claim for claim in papers["abad2022"].claims if claim.where.startswith("Table 1")]
    words = [claim for claim in papers["abad2022"].claims if claim.where.startswith("text")]
    assert (len(table), len(words)) == (11, 4)
    assert len(papers["jin2024"].claims) == 8
    bibliography = (project / "book" / "references.bib").read_text()
    for paper in papers.values():
        assert f"{{{paper.cite}," in bibliography


def test_the_quick_profile_stays_quick(project: Path) -> None:
    claimed = [claim for paper in claims.load_all(project / "claims") for claim in paper.claims]
    wanted = claims.experiments(claimed, "quick")
    assert {item.data for item in wanted} <= {"digits-events", "digits", "gestures-events"}
    trainings = {item.training.hash for item in wanted}
    assert len(trainings) <= 210


def test_records_are_looked_up_per_seed(results: Path, toy: Callable[..., claims.Paper]) -> None:
    paper = toy()
    item = judged(paper, seeds=[3])
    assert {record.experiment.seed for record in item.records} == {3}
    assert isinstance(item.records[0], Record)
    assert isinstance(item.records[0].experiment, Experiment)
