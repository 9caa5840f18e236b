"""The leaderboard's page, and its filters in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from snnbd_book.build import leaderboard, records
from snnbd_book.leaderboard import SETS, Row, cells, committed, row_of
from snnbd_book.runs import Experiment, Record
from snnbd_core.metrics import Rate

KNOWN = ("static", "no attack")  # whose runs have records here


@pytest.fixture(scope="module")
def rows(project: Path) -> dict[str, list[Row]]:
    """All rows; records are made up for two attacks on one data set."""
    path = project / "results" / "recorded" / "mnist.jsonl"
    with path.open("rb") as file:
        one = Record.from_line(file.readline(), str(path))

    def find(wanted: Experiment) -> Record:
        of_networks = {"alarm": Rate(1, 1), "suspicion": float(wanted.seed)}
        of_samples = {"detection_area": 0.9, "clean_scores": [0.0], "attacked_scores": [1.0]}
        report = replace(
            one.report,
            clean_accuracy=Rate(90, 100),
            attack_success_rate=Rate(30 + wanted.seed, 100) if wanted.trigger else None,
            floor=Rate(1, 100) if wanted.trigger else None,
            extra={**of_networks, **of_samples},
        )
        return replace(one, experiment=wanted, report=report)

    return {
        data: [
            row_of(cell, find if data == "digits-events" and cell.attack in KNOWN else _nothing)
            for cell in cells(data)
        ]
        for data in SETS
    }


def _nothing(wanted: Experiment) -> None:
    return None


@pytest.fixture(scope="module")
def shown(rows: dict[str, list[Row]]) -> BeautifulSoup:
    """The page as HTML, with directives left as text."""
    text = re.sub(r":::.*|:class:.*", "", leaderboard.page(rows))
    return BeautifulSoup(MarkdownIt("commonmark").enable("table").render(text), "html.parser")


def test_a_page_has_every_pair_in_two_tables_for_each_data_set_and_a_cell_for_each_head(
    rows: dict[str, list[Row]], shown: BeautifulSoup
) -> None:
    tables = shown.find_all("table")
    assert len(tables) == 2 * len(SETS)
    lines = [line for table in tables for line in table.tbody.find_all("tr")]
    assert len(lines) == sum(map(len, rows.values()))
    for table in tables:
        heads = [head.get_text() for head in table.find_all("th")]
        assert {len(line.find_all("td")) for line in table.tbody.find_all("tr")} == {len(heads)}
        assert heads[2:] in (
            ["success after", "floor", "accuracy after", "seconds", "more"],
            ["area", "accused", "success", "floor", "seconds", "more"],
        )


def test_a_row_shows_its_figures_and_leads_to_its_records(
    rows: dict[str, list[Row]], shown: BeautifulSoup
) -> None:
    (row,) = [
        one
        for one in rows["digits-events"]
        if (one.cell.attack, one.cell.defence) == ("static", "CLP")
    ]
    lines = shown.find("table").tbody.find_all("tr")
    (line,) = [
        one for one in lines if [c.text for c in one.find_all("td")[:2]] == ["static", "CLP"]
    ]
    success, floor, accuracy = (cell.text for cell in line.find_all("td")[2:5])
    assert success.startswith("31.0 % (") and success == str(row.success)
    assert floor.startswith("1.0 % (") and accuracy.startswith("90.0 % (")
    links = [str(link["href"]) for link in line.find_all("a")]
    assert links == [records.address(one) for one in (*row.records, *row.before)]
    assert [link.text for link in line.find_all("a")] == [one[:6] for one in row.hashes]
    more = line.details.get_text(" ")
    assert "success before 31.0 %" in more and "DER 0.5 " in more and "5 % poisoned" in more
    assert "3 networks, seeds 0 to 2" in more


def test_a_detector_has_the_seconds_of_its_runs_among_its_columns(
    rows: dict[str, list[Row]], shown: BeautifulSoup
) -> None:
    named = ("static", "STRIP, space, of inputs")
    (row,) = [r for r in rows["digits-events"] if (r.cell.attack, r.cell.named) == named]
    (line,) = [
        one
        for one in shown.find_all("table")[1].tbody.find_all("tr")
        if tuple(cell.text for cell in one.find_all("td")[:2]) == named
    ]
    assert line.find_all("td")[6].text == f"{row.seconds:.0f}"


def test_what_has_no_record_says_so_and_shows_no_figure(shown: BeautifulSoup) -> None:
    lines = [line for line in shown.find_all("tr") if line.select_one(".not-run")]
    assert len(lines) > 500
    for line in lines:
        cells = [cell.get_text() for cell in line.find_all("td")]
        assert cells[2] in ("not run", "does not apply")
        assert set(cells[3:-1]) == {"-"}
        assert bool(line.details) == (cells[2] == "does not apply")


def test_the_page_counts_its_pairs_and_is_the_same_each_time(rows: dict[str, list[Row]]) -> None:
    text = leaderboard.page(rows)
    every = [row for of_set in rows.values() for row in of_set]
    counts = [
        len(every),
        sum(bool(row.records) for row in every),
        sum(row.note == "not run" for row in every),
        sum(row.note == "does not apply" for row in every),
    ]
    said = re.search(
        r"Of (\d+) pairs, (\d+) have records, (\d+) were\s+\*\*not run\*\*,\s+and for (\d+)", text
    )
    assert said is not None and [int(count) for count in said.groups()] == counts
    assert counts[0] == sum(counts[1:])
    assert leaderboard.page(rows) == text


def test_detectors_of_networks_judged_ten_networks_or_three_as_the_page_says(
    project: Path, rows: dict[str, list[Row]]
) -> None:
    find = committed(project / "results")
    judged = [one for data in SETS for one in cells(data) if one.kind == "network"]
    assert {len(row_of(one, find).records) for one in judged} - {0} == {3, 10}
    text = " ".join(leaderboard.page(rows).split())
    assert "judge ten attacked networks in some pairs and three in others" in text
    assert re.search(r"10 networks, seeds 0 to 9, beside 10 clean ones, \d+ s a run", text)


def test_records_are_written_once_beside_the_page(
    rows: dict[str, list[Row]], tmp_path: Path
) -> None:
    some = [row for row in rows["digits-events"] if row.records][:2]
    records.write((one for row in some for one in (*row.records, *row.before)), tmp_path)
    names = {f"records/{path.name}" for path in (tmp_path / "records").iterdir()}
    assert names == {records.address(one) for row in some for one in (*row.records, *row.before)}
    for one in some[0].records:
        text = (tmp_path / records.address(one)).read_text(encoding="utf-8")
        assert Record.from_dict(json.loads(text)) == one


ROWS = (
    ("static", "CLP", "12 %"),
    ("static", "settings, no card, of networks", "not run"),
    ("moving", "CLP", "3 %"),
    *(("noise", f"repair {n}", f"{n} %") for n in range(8)),
)


@pytest.fixture
def opened(project: Path, tmp_path: Path) -> str:
    """The address of a page with two data sets, the second without any record."""
    for name in ("tables.js", "leaderboard.js", "book.css"):
        shutil.copy(project / "book" / "_static" / name, tmp_path)
    sections = []
    for data in ("events", "images"):
        lines = []
        for attack, defence, figure in ROWS:
            empty = figure == "not run" or data == "images"
            cell = '<span class="not-run">not run</span>' if empty else figure
            lines.append(f"<tr><td>{attack}</td><td>{defence}</td><td>{cell}</td></tr>")
        sections.append(
            f"<section><h2>{data}<a>#</a></h2><table class='runs board'><thead><tr><th>attack</th>"
            f"<th>defence</th><th>success</th></tr></thead><tbody>{''.join(lines)}</tbody></table>"
            "</section>"
        )
    (tmp_path / "page.html").write_text(
        '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="book.css">'
        '<script src="tables.js"></script><script src="leaderboard.js"></script>'
        f"<article>{''.join(sections)}</article>",
        encoding="utf-8",
    )
    return (tmp_path / "page.html").as_uri()


SEEN = """[...document.querySelectorAll("section:not([hidden]) tbody tr:not([hidden])")]
  .map((row) => [...row.cells].map((cell) => cell.textContent).join(" | "))"""
CHOOSE = """(([name, value]) => {
  const field = document.querySelector(`.board-filters [name=${name}]`);
  if (field.type === "checkbox") field.checked = value; else field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
})"""
Choose = Callable[[str, object], None]


@pytest.mark.slow
def test_filters_choose_rows_and_heads_sort_by_keyboard(
    browser: str, devtools: ModuleType, opened: str, tmp_path: Path
) -> None:
    devtools.KEYS["Enter"] = 13
    with devtools.Page(browser, tmp_path / "browser", opened) as page:
        assert page.wait("document.querySelector('.board-filters') !== null", 30)

        def choose(name: str, value: object) -> None:
            page.evaluate(f"{CHOOSE}({[name, value]!r})".replace("True", "true"))

        told = "document.querySelector('.board-filters output').textContent"
        assert len(page.evaluate(SEEN)) == 10  # those with a record
        assert page.evaluate(told) == "10 rows"
        choose("empty", True)
        assert page.evaluate(told) == "22 rows, 12 of them without a record"
        choose("data", "events")
        choose("attack", "static")
        missing = "static | settings, no card, of networks | not run"
        assert page.evaluate(SEEN) == ["static | CLP | 12 %", missing]
        choose("defence", "settings, no card")
        assert page.evaluate(SEEN) == [missing]
        for name in ("attack", "defence"):
            choose(name, "")
        page.evaluate("document.querySelectorAll('th button')[2].focus()")
        page.press("Enter")
        if page.evaluate("document.querySelector('th[aria-sort]') === null"):
            page.call("Input.dispatchKeyEvent", type="char", text="\r", key="Enter")
        assert page.evaluate("document.querySelector('th[aria-sort]').textContent") == "success"
        seen = page.evaluate(SEEN)
        assert [row.split(" | ")[2] for row in seen[:3]] == ["0 %", "1 %", "2 %"]
        assert seen[-1] == missing
