"""Long tables can be sorted in the page, and intervals in tables stay on one line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

VALUES = ["9.5 % (9.0-10.0)", "100.0 %", "-", "0.2 %", "1,200", "7", "8", "1.5e1"]
SORTED = ["0.2 %", "7", "8", "9.5 % (9.0-10.0)", "1.5e1", "100.0 %", "1,200", "-"]


def opened(
    program: str, project: Path, folder: Path, values: list[str], clicks: int, kind: str = "claims"
) -> BeautifulSoup:
    """The table as it stands after a button was pressed so many times."""
    shutil.copy(project / "book" / "_static" / "tables.js", folder)
    rows = "".join(f"<tr><td><p>{value}</p></td></tr>" for value in values)
    (folder / "page.html").write_text(
        '<meta charset="utf-8"><script src="tables.js"></script><article>'
        f'<table class="{kind} table">'
        f"<thead><tr><th><p>rate</p></th></tr></thead><tbody>{rows}</tbody></table></article>"
        "<script>addEventListener('DOMContentLoaded', () => {"
        f"for (let i = 0; i < {clicks}; i++) document.querySelector('button.sort').click(); }});"
        "</script>",
        encoding="utf-8",
    )
    seen = subprocess.run(
        [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={folder / 'browser'}",
            "--dump-dom",
            (folder / "page.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return BeautifulSoup(seen.stdout, "html.parser")


@pytest.mark.parametrize(
    ("clicks", "direction", "values"),
    [
        (0, None, VALUES),
        (1, "ascending", SORTED),
        (2, "descending", [*reversed(SORTED[:-1]), SORTED[-1]]),
    ],
)
def test_a_column_of_figures_is_sorted_by_value_with_empty_ones_last(
    browser: str,
    project: Path,
    tmp_path: Path,
    clicks: int,
    direction: str | None,
    values: list[str],
) -> None:
    soup = opened(browser, project, tmp_path, VALUES, clicks)
    assert [cell.get_text() for cell in soup.find_all("td")] == values
    assert soup.th.get("aria-sort") == direction
    assert soup.th.button.get_text() == "rate"


@pytest.mark.parametrize("clicks", [1, 2])
def test_what_was_not_measured_is_last_either_way(
    browser: str, project: Path, tmp_path: Path, clicks: int
) -> None:
    values = ["not run", "9.5 % (9.0-10.0)", "does not apply", "100.0 %", "1", "2", "3", "4"]
    soup = opened(browser, project, tmp_path, values, clicks, kind="runs")
    shown = [cell.get_text() for cell in soup.find_all("td")]
    measured = ["1", "2", "3", "4", "9.5 % (9.0-10.0)", "100.0 %"]
    assert shown[:6] == (measured if clicks == 1 else measured[::-1])
    assert set(shown[6:]) == {"not run", "does not apply"}


def test_a_short_table_is_left_alone(browser: str, project: Path, tmp_path: Path) -> None:
    assert opened(browser, project, tmp_path, VALUES[:7], 0).find("button") is None


def test_a_table_that_is_part_of_the_text_is_left_alone(
    browser: str, project: Path, tmp_path: Path
) -> None:
    assert opened(browser, project, tmp_path, VALUES, 0, kind="").find("button") is None


@pytest.mark.parametrize(
    ("cell", "whole"),
    [
        ("95.4 % (92.6-98.2)", ["95.4 %", "(92.6-98.2)"]),
        ("12\u201315 % of 3-4", ["12\u201315 %", "3-4"]),
        ("QCFS, T = 16", ["T = 16"]),
        ("10 of 10", ["10 of 10"]),
        ("time-sliced, not run", []),
        ("<code>a[1-2]</code>", []),
    ],
)
def test_intervals_and_settings_stay_on_one_line(
    browser: str, project: Path, tmp_path: Path, cell: str, whole: list[str]
) -> None:
    soup = opened(browser, project, tmp_path, [cell], 0)
    assert [span.get_text() for span in soup.select("td span.unbroken")] == whole
    assert soup.td.get_text() == BeautifulSoup(cell, "html.parser").get_text()


PAGE = """
A page
======

See :numref:`tab-costs` and :numref:`fig-one`.

.. figure:: dot.png
   :name: fig-one

   A picture.

.. figure:: dot.png
   :name: tab-costs

   What it costs.
"""


def test_what_code_makes_under_a_tables_name_is_a_numbered_table_with_its_caption_on_top(
    tmp_path: Path,
) -> None:
    (tmp_path / "index.rst").write_text(PAGE, encoding="utf-8")
    (tmp_path / "dot.png").write_bytes(b"")
    settings = {"extensions": ["snnbd_book.build.tables"], "numfig": True, "project": "x"}
    folders = tmp_path, None, tmp_path / "out", tmp_path / "trees"
    Sphinx(*folders, "html", settings, status=None, warning=None).build()
    page = BeautifulSoup((tmp_path / "out" / "index.html").read_text("utf-8"), "html.parser")
    text = " ".join(page.select_one("section > p").text.split())
    assert text == "See Table 1 and Fig. 1."
    table = page.select_one("figure.table#tab-costs")
    first, *others = table.find_all(recursive=False)
    assert first.name == "figcaption"
    assert first.text.split() == ["Table", "1", "What", "it", "costs."]
    assert others and others[0].name != "figcaption"
    assert page.select_one("figure#fig-one figcaption").text.startswith("\nFig. 1")
