"""From sources to HTML, and what the check of the HTML notices."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from bs4 import BeautifulSoup
from filelock import FileLock
from matplotlib.image import imread
from rich.console import Console
from typer.testing import CliRunner

from snnbd_book.build import Book, BookError, Parameters, build, check, pdf, write_pairs
from snnbd_book.build.offline import repaired
from snnbd_book.cli import app

# What scripts of the theme say of themselves: "[PST]: ...".
CHATTER = re.compile(r'CONSOLE:\d+\] "\[')
# The page's width, and its first picture's width by height: as shown, with a size in pixels as
# notebooks give it, and as drawn.
SHAPE = """(() => {
  const image = document.querySelector("figure img");
  image.setAttribute("style", "width: 700px; height: 350px");
  const box = image.getBoundingClientRect();
  const drawn = image.naturalWidth / image.naturalHeight;
  return [document.documentElement.scrollWidth, box.width / box.height, drawn];
})()"""
Rewrite = Callable[..., None]

pytestmark = pytest.mark.slow


def make(
    book: Book, parameters: Parameters | None = None, only: str | None = None
) -> tuple[Path, str]:
    screen = io.StringIO()
    page = build(
        book, parameters or Parameters(), only=only, console=Console(file=screen, width=200)
    )
    return page, screen.getvalue()


@pytest.fixture
def built(book: Book, shared: Path) -> Book:
    """A built book; built once in the session, copied for each test."""
    kept = shared / "built_book"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            make(book)
            shutil.copytree(book.root, kept)
            return book
    shutil.rmtree(book.root)
    shutil.copytree(kept, book.root)
    return Book(book.root)


def edit(book: Book, page: str, old: str, new: str) -> None:
    path = book.html / f"{page}.html"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_built_book_is_whole(built: Book) -> None:
    assert check(built) == []


def test_a_second_call_executes_and_renders_nothing(built: Book) -> None:
    page, screen = make(built)
    assert page == built.html / "index.html"
    assert screen.count("nothing changed") == (3 if pdf.browser() is None else 4)
    assert "Rendering" not in screen


def add(book: Book, page: str, text: str) -> None:
    path = book.root / f"{page}.md"
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    write_pairs(book)


def test_a_changed_page_is_rendered_alone_and_no_chapter_executed(built: Book) -> None:
    intro = built.root / "book" / "intro.md"
    add(built, "notebooks/01_one", "\nSee {ref}`the-place`.\n")
    before_place = intro.read_text(encoding="utf-8")
    add(built, "book/intro", "\n(the-place)=\n## A place\n")
    _, screen = make(built)  # all of it: the copy lies elsewhere than where it was rendered
    assert "Rendering" in screen
    assert "Executing" not in screen
    other = built.html / "notebooks" / "01_one.html"
    before = other.stat().st_mtime_ns
    add(built, "book/intro", "\nAnother line.\n")
    _, screen = make(built)
    assert "Executing" not in screen
    assert other.stat().st_mtime_ns == before
    assert "Another line." in (built.html / "book" / "intro.html").read_text(encoding="utf-8")
    assert check(built) == []
    # a place that the unchanged page links to is missed when it goes
    intro.write_text(before_place, encoding="utf-8")
    with pytest.raises(BookError, match="the-place"):
        make(built)


def test_a_warning_stops_the_build_and_stops_it_again(built: Book) -> None:
    path = built.root / "book" / "intro.md"
    path.write_text("# A small book\n\nSee {doc}`nowhere`.\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(BookError, match="nowhere"):
            make(built)


def test_a_formula_that_cannot_be_set_stops_the_build_and_names_the_page(built: Book) -> None:
    path = built.root / "book" / "intro.md"
    path.write_text("# A small book\n\nSee $\\frobnicate$.\n", encoding="utf-8")
    with pytest.raises(BookError, match=r"intro.md.*frobnicate"):
        make(built)


def test_a_cell_that_writes_to_stderr_stops_the_build(built: Book, rewrite: Rewrite) -> None:
    rewrite(built, "01_one", "import sys\nprint('careful', file=sys.stderr)")
    with pytest.raises(BookError, match="stderr"):
        make(built)


def test_a_pair_out_of_step_stops_the_build(book: Book) -> None:
    path = book.root / "notebooks" / "01_one.md"
    path.write_text(path.read_text(encoding="utf-8") + "\nMore.\n", encoding="utf-8")
    with pytest.raises(BookError, match=r"01_one\.ipynb is not what 01_one\.md says"):
        make(book)


def test_staged_notebooks_tell_neither_times_nor_paths(built: Book) -> None:
    text = (built.stage / "notebooks" / "01_one.ipynb").read_text(encoding="utf-8")
    assert "papermill" not in text
    assert str(built.root) not in text
    cells = nbformat.reads(text, as_version=4).cells
    # The cell that papermill put in is in no source, and so in no page.
    assert not [c for c in cells if "injected-parameters" in c.metadata.get("tags", [])]


def test_the_page_on_the_build_names_profile_and_seed_of_each_chapter(built: Book) -> None:
    text = (built.stage / "book" / "built.md").read_text(encoding="utf-8")
    for page in ("notebooks/01_one", "notebooks/02_two"):
        row = text.split(f"{{doc}}`/{page}`")[1].split("* -")[0].split("\n")
        assert [line.strip() for line in row[1:5]] == ["- quick", "- 0", "- auto", "- 4"]


def test_one_chapter_in_another_profile_leaves_the_book_as_it_was(built: Book) -> None:
    before = (built.html / "notebooks" / "02_two.html").read_bytes()
    page, screen = make(built, Parameters("sample"), only="02")
    alone = page.parent / "notebooks" / "02_two.html"
    assert "sample 0 auto" in alone.read_text(encoding="utf-8")
    assert "01_one" not in screen
    assert (built.html / "notebooks" / "02_two.html").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            'alt="A line that rises from 1 to 3."',
            'alt="../_images/0123456789abcdef0.png"',
            "no alt",
        ),
        ('alt="A line that rises from 1 to 3."', 'alt=""', "no alternative text"),
        ("../_images/", "../_gone/", "is missing"),
        ("<p>Words.</p>", '<p><a href="nowhere.html">x</a></p>', "nowhere.html leads nowhere"),
        ("<p>Words.</p>", '<p><a href="02_two.html#gone">x</a></p>', "not on that page"),
        ("<p>Words.</p>", "<p>Traceback (most recent call last)</p>", "shows a traceback"),
        ("<p>Words.</p>", '<p class="stderr">x</p>', "wrote to stderr"),
        ("<p>Words.</p>", '<span class="math">\\beta</span>', "a formula is not set"),
        ("<p>Words.</p>", '<span class="problematic">x</span>', "a reference failed: 'x'"),
        ("<h1>", "<h2>", "has no title"),
        ("<p>Words.</p>", '<script src="https://cdn.example/x.js"></script>', "asks cdn.example"),
        (
            "<p>Words.</p>",
            '<link rel="stylesheet" href="//cdn.example/x.css">',
            "asks cdn.example",
        ),
        ("https://mybinder.org/v2/gh/", "https://mybinder.org/v2/gl/", "no Binder button"),
        ("/blob/main/", "/blob/master/", "no Colab button"),
    ],
)
def test_the_check_notices(built: Book, old: str, new: str, problem: str) -> None:
    edit(built, "notebooks/01_one", old, new)
    assert any(problem in line for line in check(built))


@pytest.mark.parametrize("page", ["notebooks/01_one.html", "search.html?q=words"])
def test_a_browser_without_a_network_has_nothing_to_complain_about(
    built: Book, page: str, tmp_path: Path, browser: str
) -> None:
    with served(built.html) as address:
        seen = subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--enable-logging=stderr",
                "--virtual-time-budget=5000",
                f"--user-data-dir={tmp_path / 'browser'}",
                "--dump-dom",
                f"{address}/{page}",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    complaints = [line for line in seen.stderr.splitlines() if "CONSOLE" in line]
    assert [line for line in complaints if not CHATTER.search(line)] == []
    if page.startswith("search"):
        assert "notebooks/01_one.html" in seen.stdout
    else:
        assert "<math" in (built.html / "book" / "intro.html").read_text(encoding="utf-8")
        assert "A line that rises from 1 to 3." in seen.stdout


def test_a_phone_shows_a_page_in_its_width_and_a_picture_in_its_shape(
    built: Book, tmp_path: Path, browser: str, devtools: ModuleType
) -> None:
    with (
        served(built.html) as address,
        devtools.Page(browser, tmp_path / "browser", f"{address}/notebooks/01_one.html") as page,
    ):
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=360,
            height=800,
            deviceScaleFactor=1,
            mobile=True,
        )
        assert page.wait("document.readyState == 'complete' && document.images.length > 0", 60)
        width, shown, drawn = page.evaluate(SHAPE)
    assert width == 360
    assert shown == pytest.approx(drawn, rel=0.02)


def test_pages_are_rid_of_what_confuses_screen_readers(built: Book) -> None:
    page = (built.html / "notebooks" / "01_one.html").read_text(encoding="utf-8")
    assert "thebe.js" not in page
    assert 'aria-label="Search" data' not in page.split("search-button-field")[1][:200]
    assert repaired("<tr><th></th><th>CA</th></tr>") == "<tr><td></td><th>CA</th></tr>"
    listed = '<div role="list" class="citation-list">'
    assert repaired(listed) == '<div class="citation-list">'


def test_a_page_says_what_it_is_where_it_is_linked(built: Book) -> None:
    soup = BeautifulSoup(
        (built.html / "notebooks" / "01_one.html").read_text("utf-8"), "html.parser"
    )
    found = {
        tag.get("property") or tag.get("name"): tag["content"] for tag in soup("meta", content=True)
    }
    assert found["og:title"].startswith("A chapter")
    assert found["og:description"] == found["description"] == "Words."
    assert found["og:url"] == built.address + "notebooks/01_one.html"
    assert found["og:image:alt"].startswith("An event recording")
    picture = built.html / found["og:image"].removeprefix(built.address)
    assert imread(picture).shape[:2] == (630, 1200)
    assert (found["og:image:width"], found["og:image:height"]) == ("1200", "630")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder's pages on this machine."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_the_check_notices_a_cell_that_should_be_hidden(built: Book) -> None:
    cell = '<div class="cell_input"><pre># Parameters\nPROFILE = 1</pre></div>'
    edit(built, "notebooks/01_one", "<p>Words.</p>", cell)
    assert any("should be hidden" in line for line in check(built))


def test_the_check_notices_a_missing_page_and_a_path_of_this_machine(built: Book) -> None:
    (built.html / "notebooks" / "02_two.html").unlink()
    edit(built, "notebooks/01_one", "Words.", f"{built.root.resolve()} at 0x7f367cf1d940")
    problems = check(built)
    place = "a place in the memory of the machine that built it: 0x7f367cf1d940"
    assert f"notebooks/01_one: shows {place}" in problems
    assert "notebooks/02_two: there is no _build/html/notebooks/02_two.html" in problems
    assert "notebooks/01_one: shows a path of the machine that built it" in problems


@pytest.fixture
def run_command(built: Book) -> Iterator[Callable[..., tuple[int, str]]]:
    def call(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, [*arguments, "--folder", str(built.root)])
        return result.exit_code, result.output

    yield call


def test_the_command_line_builds_and_checks(run_command: Callable[..., tuple[int, str]]) -> None:
    code, output = run_command("book")
    assert code == 0
    assert output.splitlines()[-1].startswith("The book is ready. Open file:///")
    assert run_command("check") == (0, "The book is whole: 4 pages.\n")
    assert run_command("pair", "--check") == (0, "Every chapter and its notebook agree.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["book", "--profile", "fast"], "profile='fast': must be one of quick, sample, paper"),
        (["book", "--only", "09"], "only='09': must be the start of a chapter's name"),
        (["book", "--seed", "-1"], "seed=-1: must be 0 or more"),
    ],
)
def test_the_command_line_refuses_with_the_reason(
    run_command: Callable[..., tuple[int, str]], arguments: list[str], message: str
) -> None:
    code, output = run_command(*arguments)
    assert code == 1
    assert message in output


def test_the_command_line_fails_when_the_book_is_not_whole(
    built: Book, run_command: Callable[..., tuple[int, str]]
) -> None:
    (built.html / "book" / "intro.html").unlink()
    code, output = run_command("check")
    assert code == 1
    assert "book/intro: there is no" in output
