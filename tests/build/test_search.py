"""What the search page shows of a page that it found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import sphinx

FOUND = (
    '<main role="main"><div>Binder Colab</div><article class="bd-article">'
    f"<h1>A chapter</h1><p>{'Words. ' * 50}The accuracy falls.</p></article></main>"
)


@pytest.mark.parametrize(
    ("stems", "shown"), [(["accuraci"], "The accuracy"), (["fall"], "falls"), (["no"], "A chapter")]
)
def test_a_result_shows_the_text_around_it_and_no_buttons(
    browser: str, project: Path, tmp_path: Path, devtools: ModuleType, stems: list[str], shown: str
) -> None:
    theirs = Path(sphinx.__file__).parent / "themes" / "basic" / "static"
    sources = (
        theirs / "doctools.js",
        project / "book" / "_static" / "search.js",
        theirs / "searchtools.js",
    )
    for source in sources:
        shutil.copy(source, tmp_path)
    scripts = "".join(f'<script src="{source.name}"></script>' for source in sources)
    page = tmp_path / "page.html"
    options = "<script>const DOCUMENTATION_OPTIONS = {};</script>"
    page.write_text(f"<!doctype html>{options}{scripts}<body></body>", encoding="utf-8")
    with devtools.Page(browser, tmp_path / "browser", page.as_uri()) as tab:
        assert tab.wait("document.readyState == 'complete' && typeof Search == 'object'", 30)
        call = f"Search.makeSearchSummary({json.dumps(FOUND)}, {json.dumps(stems)}, null)"
        text = tab.evaluate(f"{call}.textContent")
    assert shown in text
    assert "Binder" not in text
