"""Findings in a built book: a false one stops it, a true one is marked and leads to its test."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from rich.console import Console

from snnbd_book.build import Book, BookError, Parameters, build, findings

TOC = {
    "format": "jb-book",
    "root": "book/intro",
    "chapters": [{"file": "book/findings"}, {"file": "book/intervals"}],
}
PAGE = """# A page

{finding}`One is *less* than $\\beta = 2$ <less>`, and a picture.
"""


@pytest.fixture
def stating(empty_book: Book) -> Book:
    """A book without chapters whose first page states a finding."""
    root = empty_book.root
    (root / "_toc.yml").write_text(yaml.safe_dump(TOC), encoding="utf-8")
    (root / "book" / "intro.md").write_text(PAGE, encoding="utf-8")
    (root / "book" / "intervals.md").write_text("# Intervals\n", encoding="utf-8")
    (root / "claims" / "findings").mkdir(parents=True)
    return Book(root)


def state(book: Book, test: str) -> None:
    path = book.root / "claims" / "findings" / "intro.yaml"
    path.write_text(f"chapter: book/intro\nfindings: {{less: {test}}}\n", encoding="utf-8")


def test_a_false_finding_stops_the_build_and_names_page_and_sentence(stating: Book) -> None:
    state(stating, "2 < 1")
    with pytest.raises(BookError, match=r"book/intro: “One is \*less\*.*\(less\) does not hold"):
        build(stating, Parameters(), console=Console(file=io.StringIO()))


def test_a_finding_that_cannot_be_tested_stops_the_build(stating: Book) -> None:
    state(stating, "1 / (1 - 1) < 2")
    (line,) = findings.told(stating).problems
    assert "(less) cannot be tested: test='1 / (1 - 1) < 2' divides by zero" in line


def test_the_page_of_findings_has_each_sentence_with_its_test(stating: Book) -> None:
    state(stating, "1 < 2")
    assert findings.told(stating).problems == []
    folder = stating.build
    (folder / "book").mkdir(parents=True)
    findings.write(stating, folder, findings.told(stating))
    text = (folder / "book" / "findings.md").read_text(encoding="utf-8")
    assert '- <span id="less"></span>One is *less* than' in text
    assert '<p class="test">1 &lt; 2</p>' in text


@pytest.mark.slow
def test_a_sentence_reads_as_it_stands_and_its_mark_leads_to_its_test(stating: Book) -> None:
    from snnbd_book.build.build import _render

    state(stating, "1 < 2")
    stage = stating.stage
    (stage / "book").mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml", "book/intro.md", "book/intervals.md"):
        (stage / name).write_bytes((stating.root / name).read_bytes())
    static = stating.root / "book" / "_static"
    (stage / "book" / "_static").mkdir()
    for path in static.iterdir():
        (stage / "book" / "_static" / path.name).write_bytes(path.read_bytes())
    (stage / "book" / "references.bib").write_bytes(
        (stating.root / "book" / "references.bib").read_bytes()
    )
    findings.write(stating, stage, findings.told(stating))
    _render(stage, stating.root)
    html = (stating.html / "book" / "intro.html").read_text(encoding="utf-8")
    article = BeautifulSoup(html, "html.parser").find("article")
    assert article is not None
    sentence = article.find(class_="finding")
    assert sentence is not None and sentence.get_text().startswith("One is less than")
    assert sentence.find("em") is not None and "finding}" not in article.get_text()
    mark = article.find("a", class_="finding-mark")
    assert mark is not None and mark["href"] == "../book/findings.html#less"
    assert mark["aria-label"] == "Its test: less"
    other = stating.html / "book" / "findings.html"
    assert Path(other).read_text(encoding="utf-8").count('id="less"') == 1
