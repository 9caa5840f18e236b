"""What makes a chapter a lesson, as far as it can be counted."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import jupytext
import pytest
from nbformat import NotebookNode

LESSONS = (
    "02_neuromorphic_triggers",
    "03_stealthier_triggers",
    "04_learning_rules",
    "05_badsnn",
    "06_poison_in_the_data",
    "07_a_backdoor_in_the_network",
    "08_a_trigger_at_the_input",
    "09_removing_backdoors",
    "10_a_network_somebody_sent_you",
    "11_add_your_own",
    "12_triggers_in_time",
    "13_low_bits",
)
"""Chapters in the shape of a lesson; a chapter is entered here when it is one."""

WITHOUT_A_PAPER = ("11_add_your_own",)
APPENDICES = {"a1_adversarial_robustness": 1, "a2_other_repairs": 10}
"""Page -> how many algorithms it shows at least; no exercises, no threat model."""
BESIDE_REPAIRS = ("", "In short", "The network and its samples", "References")

LINES, COLUMNS, VISIBLE, WORDS, BULLETS = 25, 76, 200, 2800, 5  # 76 columns are not cut at 1280 px
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
ROLE = re.compile(r"\{[a-z:]+\}`([^`<]*?)\s*(?:<[^`]*>)?`")


@pytest.fixture(params=[name for name in LESSONS if name not in WITHOUT_A_PAPER])
def of_a_paper(request: pytest.FixtureRequest, project: Path) -> NotebookNode:
    """A chapter that tells what a paper says."""
    return read(project, request.param)


@pytest.fixture(params=APPENDICES)
def appendix(request: pytest.FixtureRequest, project: Path) -> tuple[NotebookNode, int]:
    """An appendix, and how many algorithms it must show."""
    return read(project, request.param), APPENDICES[request.param]


@pytest.fixture(params=[*LESSONS, *APPENDICES])
def page(request: pytest.FixtureRequest, project: Path) -> NotebookNode:
    """A chapter or an appendix."""
    return read(project, request.param)


@pytest.fixture(params=LESSONS)
def chapter(request: pytest.FixtureRequest, project: Path) -> NotebookNode:
    """The chapter as its source has it."""
    return read(project, request.param)


def read(project: Path, name: str) -> NotebookNode:
    return jupytext.read(project / "notebooks" / f"{name}.md")


def code(chapter: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in chapter.cells if cell.cell_type == "code"]


def visible(chapter: NotebookNode) -> list[str]:
    """The sources that a reader of the page sees without opening anything."""
    return [one.source for one in code(chapter) if not FOLDED & set(one.metadata.get("tags", ()))]


def prose(chapter: NotebookNode) -> str:
    """The text of the page, without what is set apart as code or formula."""
    text = "\n\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")
    text = re.sub(r"^(`{3,}).*?^\1\s*$", "", text, flags=re.DOTALL | re.MULTILINE)
    return ROLE.sub(r"\1", re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL))


def sections(chapter: NotebookNode) -> dict[str, list[NotebookNode]]:
    """Heading of the second level -> its cells; what comes before the first is under ""."""
    found: dict[str, list[NotebookNode]] = {"": []}
    at = ""
    for cell in chapter.cells:
        parts = [cell.source]
        if cell.cell_type == "markdown":
            parts = re.split(r"^## (.+)$", cell.source, flags=re.MULTILINE)
        found[at].append(NotebookNode(cell | {"source": parts[0]}))
        for heading, text in zip(parts[1::2], parts[2::2], strict=True):
            at = heading.strip()
            found[at] = [NotebookNode(cell | {"source": text})]
    return found


def options(cell: NotebookNode, kind: str) -> dict[str, str]:
    found: dict[str, str] = cell.metadata.get("mystnb", {}).get(kind, {})
    return found


def test_no_cell_in_sight_is_long_or_wide(page: NotebookNode) -> None:
    too_long = [one for one in visible(page) if len(one.splitlines()) > LINES]
    too_wide = [line for one in visible(page) for line in one.splitlines() if len(line) > COLUMNS]
    assert (too_long, too_wide) == ([], [])


def test_a_chapter_shows_the_algorithm_and_not_the_harness(chapter: NotebookNode) -> None:
    shown = visible(chapter)
    assert sum(len(one.splitlines()) for one in shown) <= VISIBLE
    assert [
        one for one in shown if re.search(r"^(import|from) |Runs\(|runs\.group", one, re.M)
    ] == []


def test_the_algorithm_in_sight_is_asserted_to_be_the_librarys(chapter: NotebookNode) -> None:
    shown = "\n".join(one for one in visible(chapter))
    tree = ast.parse(shown)
    written = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert written
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))


def test_prose_fits_one_reading(page: NotebookNode) -> None:
    assert len(re.findall(r"[^\s]*\w[^\s]*", prose(page))) <= WORDS


def test_the_first_picture_comes_before_all_headings(page: NotebookNode) -> None:
    """So that it stands in the first screen."""
    assert any(options(cell, "figure") for cell in sections(page)[""])


def test_in_short_comes_first_and_has_few_bullets(page: NotebookNode) -> None:
    found = sections(page)
    assert list(found)[1] == "In short"
    text = "\n".join(cell.source for cell in found["In short"])
    assert 1 <= len(re.findall(r"^- ", text, re.M)) <= BULLETS


def test_the_end_is_a_summary_exercises_something_to_try_and_references(
    chapter: NotebookNode,
) -> None:
    names = list(sections(chapter))
    assert names[-4:] == ["Summary", "Exercises", "Try it", "References"]
    summary = "\n".join(cell.source for cell in sections(chapter)["Summary"])
    assert len(re.findall(r"^- ", summary, re.M)) >= 3


def test_each_exercise_is_followed_by_a_solution_that_checks_itself(chapter: NotebookNode) -> None:
    cells = sections(chapter)["Exercises"]
    asked = [number for cell in cells for number in re.findall(r"^\*\*(\d+)\. ", cell.source, re.M)]
    solutions = [cell for cell in cells if cell.cell_type == "code"]
    assert asked == [str(number) for number in range(1, len(asked) + 1)] and len(asked) >= 2
    assert len(solutions) == len(asked)
    for cell in solutions:
        assert "hide-cell" in cell.metadata["tags"]
        assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))


def test_every_figure_and_table_has_a_caption_and_is_named_in_the_text(
    page: NotebookNode,
) -> None:
    text = "\n".join(cell.source for cell in page.cells if cell.cell_type == "markdown")
    for cell in code(page):
        figure = options(cell, "figure")
        last = cell.source.strip().splitlines()[-1] if cell.source.strip() else ""
        draws = re.search(r"^[\w.]*\b(draw_\w+|show_map|compare|\w+_table)\(", cell.source, re.M)
        assert bool(draws) <= bool(figure), f"no caption: {last}"
        if figure:
            makes_table = re.search(r"^[\w.]*\b\w+_table\(", cell.source, re.M)
            assert figure["name"].startswith("tab-" if makes_table else "fig-")
            assert "arks as" not in figure["caption"], "a caption explains its own marks"
            assert figure["caption"].strip() and f"{{numref}}`{figure['name']}`" in text
    tables = re.findall(r"^\|[-:| ]+\|$", text, re.M)
    assert len(tables) == len(re.findall(r"^:::\{table\} \S", text, re.M))


def test_an_appendix_shows_each_algorithm_and_asserts_that_it_is_the_librarys(
    appendix: tuple[NotebookNode, int],
) -> None:
    page, least = appendix
    shown = visible(page)
    tree = ast.parse("\n".join(shown))
    assert sum(isinstance(node, ast.FunctionDef) for node in tree.body) >= least
    assert sum("assert " in cell for cell in shown) >= least
    assert [
        cell for cell in shown if re.search(r"^(import|from) |Runs\(|runs\.group", cell, re.M)
    ] == []
    assert sum(len(cell.splitlines()) for cell in shown) <= 30 * least + 10


def test_a_repair_of_the_appendix_takes_few_lines_and_one_figure_at_least(project: Path) -> None:
    """Its lines in sight, blank ones aside, with the assertion that they are the library's."""
    found = sections(read(project, "a2_other_repairs"))
    repairs = {name: cells for name, cells in found.items() if name not in BESIDE_REPAIRS}
    assert len(repairs) == APPENDICES["a2_other_repairs"]
    for name, cells in repairs.items():
        source = "\n".join(visible(NotebookNode(cells=cells)))
        lines = [line for line in source.splitlines() if line.strip()]
        assert 8 <= len(lines) <= 15, (name, len(lines))
        assert "assert " in source, name
        assert any(options(cell, "figure") for cell in code(NotebookNode(cells=cells))), name


def test_a_number_of_percent_is_written_one_way(project: Path) -> None:
    """ "%" after a number in text, "percent" in alternative texts, which are read aloud."""
    for path in sorted((project / "notebooks").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert "per cent" not in text, path.name
        for cell in code(jupytext.read(path)):
            assert re.search(r"\d ?%", options(cell, "image").get("alt", "")) is None, path.name


def test_what_a_paper_says_stands_apart(of_a_paper: NotebookNode) -> None:
    quotes = re.findall(r"^> \*\*The papers?.*?(?=\n\n|\Z)", prose(of_a_paper), re.M | re.DOTALL)
    assert quotes


def test_how_the_runs_were_made_is_folded(chapter: NotebookNode) -> None:
    assert "{dropdown} How the runs were made" in "\n".join(one.source for one in chapter.cells)


def test_no_role_stands_in_another(page: NotebookNode) -> None:
    """MyST would end the outer one where the inner one begins, and print the rest."""
    texts = "\n".join(cell.source for cell in page.cells if cell.cell_type == "markdown")
    assert re.findall(r"\{finding\}`[^`<]*\{\w+\}", texts) == []


def test_a_figures_name_is_its_own_in_the_whole_book(project: Path) -> None:
    names = [
        options(cell, "figure").get("name")
        for path in sorted((project / "notebooks").glob("*.md"))
        for cell in code(jupytext.read(path))
    ]
    given = [name for name in names if name]
    assert sorted(given) == sorted(set(given))
