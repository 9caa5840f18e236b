"""The whole book as one PDF, printed by a browser where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from rich.console import Console

from snnbd_book.build.onepage import one_page
from snnbd_book.build.settings import Book

NAME = "snnbd.pdf"
LINKED_FROM = "book/how-to"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_PRINTS = 3  # two do, unless numbers move what they count
_SECONDS = 300  # far more than it takes; a browser that hangs must not hang the build
_MENTION = re.compile(rf"<code[^>]*><span[^>]*>{re.escape(NAME)}</span></code>")
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
)


def browser() -> str | None:
    """The program that can print a page; None where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or (str(_MAC) if _MAC.is_file() else None)


def write(book: Book, console: Console) -> None:
    """Prints the rendered book and links the file from the page that mentions it.

    A file that is there is kept: rendering the HTML anew removes it. Without a browser, or when
    the browser fails, the book is whole without it, and a line says so.
    """
    target = book.html / NAME
    program = browser()
    if target.is_file():
        console.print("PDF: nothing changed since it was printed")
    elif program is None:
        console.print(f"PDF: skipped, no browser to print it (looked for {', '.join(BROWSERS)})")
    elif reason := _print(book, program, target):
        console.print(f"PDF: skipped, {reason}", markup=False)
    else:
        console.print(f"PDF: {target.relative_to(book.root)}, {target.stat().st_size / 1e6:.1f} MB")
    if target.is_file():
        _link(book)


def _print(book: Book, program: str, target: Path) -> str:
    """Why there is no file; empty if there is one.

    Printed until the contents name the pages that their headings are on: browsers do not know
    them, a print does. The second settles it, as the numbers' places are kept free in the first;
    where the last print's numbers still hold, the first does.
    """
    folder = book.build / "pdf"
    folder.mkdir(parents=True, exist_ok=True)
    page, draft, known = folder / "book.html", folder / NAME, folder / "numbers.json"
    numbers: dict[str, int] = json.loads(known.read_text()) if known.is_file() else {}
    for _ in range(_PRINTS):
        page.write_text(one_page(book, folder, numbers), encoding="utf-8")
        if reason := _print_once(program, page, draft):
            return reason
        before = numbers
        try:
            numbers = _numbers(draft)
        except PyPdfError as error:
            return f"{program} printed a damaged file: {error}"
        if numbers == before:
            break
    known.write_text(json.dumps(numbers), encoding="utf-8")
    draft.replace(target)
    return ""


def _print_once(program: str, page: Path, draft: Path) -> str:
    draft.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="snnbd-browser-") as profile:
        command = [program, *_OPTIONS, f"--user-data-dir={profile}", f"--print-to-pdf={draft}"]
        try:
            result = subprocess.run(
                [*command, page.as_uri()],
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{program} failed: {error}"
    if not draft.is_file() or not draft.read_bytes().startswith(b"%PDF"):
        last = (result.stderr.strip() or "no message").splitlines()[-1]
        return f"{program} printed nothing: {last}"
    return ""


def _numbers(draft: Path) -> dict[str, int]:
    """The page, counted from 1, of every name that a link within the document leads to."""
    reader = PdfReader(draft)
    found = {
        name.removeprefix("/"): reader.get_destination_page_number(place)
        for name, place in reader.named_destinations.items()
    }
    return {name: index + 1 for name, index in found.items() if index is not None}


def _link(book: Book) -> None:
    """Turns the file's name, where the book mentions it, into a link; again changes nothing."""
    path = book.html / f"{LINKED_FROM}.html"
    if not path.is_file():
        return
    before = path.read_text(encoding="utf-8")
    up = "../" * LINKED_FROM.count("/")
    after = _MENTION.sub(f'<a class="reference internal" href="{up}{NAME}">{NAME}</a>', before)
    if after != before:
        path.write_text(after, encoding="utf-8")
