"""The book on one page and as a PDF: links within, nothing folded, and whole without a browser."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader
from pypdf.generic import Destination
from rich.console import Console

from snnbd_book.build import Book, pdf
from snnbd_book.build.onepage import one_page

LIMIT = 30_000_000  # bytes
PAGES = {
    "book/intro": """<section id="start"><h1>A small book</h1>
        <p><a href="../notebooks/01_one.html#start">One</a> <a href="../genindex.html">Index</a>
        <a href="https://example.org/">out</a></p></section>""",
    "notebooks/01_one": """<section id="start"><h1>1. First steps<a class="headerlink"
        href="#start">#</a></h1><section id="deep"><h2>1.1. Deeper</h2><button>Run</button>
        <details class="sd-dropdown"><summary>Solution</summary><p>Forty-two.</p></details>
        <details class="hide"><summary>Show code</summary><pre>x = 1</pre></details>
        <a href="../_images/a.png"><img src="../_images/a.png" alt="A line"></a>
        <table><tr><th>1</th><th>2</th><th>3</th><th>4</th><th>5</th><th>6</th><th>7</th><th>8</th>
        </tr><tr><td>a_word_of_more_than_24_letters</td></tr></table>
        <table class="runs table"><tr><td>0123abcd</td></tr></table></section></section>""",
    "notebooks/02_two": """<section id="start"><h1>2. "Second" steps</h1>
        <p>See <a href="#start">above</a>.</p><pre class="highlight"><span class="k">if</span>
        <span class="n">y</span></pre>
        <div><h2>A heading too long for one line has every word of it in the outline</h2></div>
        </section>""",
    "book/built": "<h1>How it was built</h1>",
    "book/how-to": '<h1>How</h1><code class="docutils literal"><span class="pre">snnbd.pdf</span>'
    "</code>",
}


@pytest.fixture
def rendered(empty_book: Book) -> Book:
    """The small book, rendered by hand."""
    for page, content in PAGES.items():
        path = empty_book.html / f"{page}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<html><article>{content}</article></html>", encoding="utf-8")
    (empty_book.html / "_static").mkdir()
    (empty_book.html / "_static" / "pygments.css").write_text(".k { color: green }", "utf-8")
    for name in ("01_one", "02_two"):
        for suffix in (".md", ".ipynb"):
            (empty_book.root / "notebooks" / f"{name}{suffix}").write_text("", encoding="utf-8")
    return empty_book


@pytest.fixture
def soup(rendered: Book) -> BeautifulSoup:
    return BeautifulSoup(one_page(rendered, rendered.build / "pdf"), "html.parser")


def printed(book: Book) -> str:
    screen = io.StringIO()
    pdf.write(book, Console(file=screen, width=300))
    return screen.getvalue()


def test_names_are_unique_and_links_between_pages_stay_within(soup: BeautifulSoup) -> None:
    names = [str(tag["id"]) for tag in soup.find_all(id=True)]
    assert len(names) == len(set(names))
    links = {link.get_text(): str(link["href"]) for link in soup.select("article a")}
    assert links["One"] == "#notebooks-01_one--start"
    assert links["above"] == "#notebooks-02_two--start"
    assert links["out"] == "https://example.org/"
    within = [str(link["href"])[1:] for link in soup.select('a[href^="#"]')]
    assert set(within) <= set(names)


def test_a_link_to_what_is_not_printed_leads_to_the_published_book(soup: BeautifulSoup) -> None:
    (link,) = [one for one in soup.find_all("a") if one.get_text() == "Index"]
    assert link["href"] == "https://snnbd.github.io/snnbd/genindex.html"


def test_nothing_is_folded_and_nothing_is_there_to_click(soup: BeautifulSoup) -> None:
    assert all(tag.has_attr("open") for tag in soup.find_all("details"))
    assert "Show code" not in soup.get_text()
    assert "x = 1" in soup.get_text()
    assert "Forty-two." in soup.get_text()
    assert not soup.select("button, script, .headerlink")
    assert "0123abcd" not in soup.get_text()  # a table of runs, which is sorted on the screen


def test_of_code_only_spans_with_a_colour_are_left(soup: BeautifulSoup) -> None:
    assert soup.select_one("pre.highlight").decode_contents().split() == [
        "<span",
        'class="k">if</span>',
        "y",
    ]


def test_the_contents_list_pages_and_their_sections_in_order(soup: BeautifulSoup) -> None:
    lines = [link.get_text() for link in soup.select("nav a")]
    assert lines == [
        "A small book",
        "1. First steps",
        "1.1. Deeper",
        '2. "Second" steps',
        "How it was built",
    ]


def test_the_contents_carry_the_page_numbers_they_are_given(rendered: Book) -> None:
    text = one_page(rendered, rendered.build / "pdf", {"notebooks-01_one--deep": 7})
    numbers = [tag.get_text() for tag in BeautifulSoup(text, "html.parser").select("nav a span")]
    assert numbers == ["", "", "7", "", ""]


def test_pictures_are_found_from_where_the_page_lies(soup: BeautifulSoup) -> None:
    (image,) = soup.find_all("img")
    assert image["src"] == "../html/_images/a.png"
    assert image.parent.name != "a"


def test_wide_tables_and_long_words_are_marked_for_the_style(soup: BeautifulSoup) -> None:
    assert soup.select_one("table.wide")
    assert soup.select_one("td.long")


def test_the_running_head_is_quoted(soup: BeautifulSoup) -> None:
    assert r'content: "2. \"Second\" steps"' in soup.style.get_text()


def test_without_a_browser_one_line_says_so_and_no_link_is_made(
    rendered: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "browser", lambda: None)
    screen = printed(rendered)
    assert screen.startswith("PDF: skipped, no browser to print it (looked for chromium, ")
    assert screen.count("\n") == 1
    assert not (rendered.html / pdf.NAME).exists()
    assert "<a " not in (rendered.html / "book" / "how-to.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("program", "reason"), [("gone", "No such file"), ("python", "printed")])
def test_a_browser_that_fails_leaves_no_file_and_the_reason(
    rendered: Book, monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    path = sys.executable if program == "python" else "no-such-browser"
    monkeypatch.setattr(pdf, "browser", lambda: path)
    screen = printed(rendered)
    assert screen.startswith("PDF: skipped, ")
    assert reason in screen
    assert not (rendered.html / pdf.NAME).exists()


def test_a_print_that_is_cut_off_is_no_pdf(rendered: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(_program: str, _page: Path, draft: Path) -> str:
        draft.write_bytes(b"%PDF-1.4\n1 0 obj")
        return ""

    monkeypatch.setattr(pdf, "browser", lambda: "browser")
    monkeypatch.setattr(pdf, "_print_once", cut)
    assert printed(rendered).startswith("PDF: skipped, browser printed a damaged file: ")
    assert not (rendered.html / pdf.NAME).exists()


@pytest.mark.usefixtures("browser")
def test_the_pdf_has_every_page_and_is_made_once(rendered: Book) -> None:
    assert "MB" in printed(rendered)
    path = rendered.html / pdf.NAME
    text = read(path)
    for words in ("A small book", "1. First steps", '2. "Second" steps', "Forty-two."):
        assert words in text
    contents = PdfReader(path).pages[1].extract_text()
    assert re.findall(r"\d+$", contents, re.MULTILINE) == ["2", "3", "4", "4", "5", "6"]
    assert "A heading too long for one line has every word of it in the outline" in titles(path)
    before = path.stat().st_mtime_ns
    assert printed(rendered) == "PDF: nothing changed since it was printed\n"
    assert path.stat().st_mtime_ns == before
    page = (rendered.html / "book" / "how-to.html").read_text(encoding="utf-8")
    assert page.count('href="../snnbd.pdf"') == 1


def test_the_pdf_of_this_book_has_every_chapter_and_is_small_enough(project: Path) -> None:
    path = project / "_build" / "html" / pdf.NAME
    if not path.is_file():
        pytest.skip("no PDF was built in _build/html")
    assert path.stat().st_size < LIMIT
    reader, pages = PdfReader(path), titles(path)
    for chapter in Book(project).chapters:
        title = chapter.text.read_text(encoding="utf-8").split("\n# ", 1)[1].split("\n", 1)[0]
        number = pages[title]
        assert number is not None
        assert title in " ".join(reader.pages[number].extract_text().split())


def titles(path: Path) -> dict[str, int | None]:
    """Each title in a PDF's outline, without a number in front -> its page, counted from 0."""
    reader = PdfReader(path)

    def entries(outline: Any) -> Iterator[Destination]:
        for entry in outline:
            yield from entries(entry) if isinstance(entry, list) else [entry]

    return {
        re.sub(r"^[\d.]+ ", "", entry.title): reader.get_destination_page_number(entry)
        for entry in entries(reader.outline)
    }


def read(path: Path) -> str:
    """All text of a PDF on one line."""
    pages = PdfReader(path).pages
    assert len(pages) >= len(PAGES)
    return " ".join(" ".join(page.extract_text().split()) for page in pages)
