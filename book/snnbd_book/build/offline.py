"""A Sphinx extension: pages that ask no other host for anything and read well aloud.

The theme and its extensions bring scripts from content networks for things that this book does not
use (live cells in the page, widgets without a kernel), and a few marks that confuse screen readers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_LIVE_CELLS = "thebe"
_LATE = 900  # after the extensions that add what is taken away here

_REPAIRS = (
    # a list whose children are no list items
    (re.compile(r'<div role="list" class="citation-list">'), '<div class="citation-list">'),
    # names that differ from what is written on the button
    (re.compile(r'(<button class="btn search-button-field[^>]*?) aria-label="Search"'), r"\1"),
    (re.compile(r'(<summary[^>]*?) aria-label="Toggle hidden content"'), r"\1"),
    (re.compile(r'(<i class="theme-switch[^>]*?)\s+title="[^"]*"'), r"\1"),
    # the corner of a table of figures
    (re.compile(r"<th></th>"), "<td></td>"),
)


def without_live_cells(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Leaves out the scripts and styles for running cells in the page."""
    for kind in ("script_files", "css_files"):
        context[kind] = [item for item in context.get(kind, []) if not _is_live(item)]


def _is_live(item: Any) -> bool:
    text = f"{getattr(item, 'filename', item)} {getattr(item, 'attributes', '')}"
    return _LIVE_CELLS in text.lower()


def repaired(page: str) -> str:
    """A page's HTML without the marks that confuse screen readers."""
    for pattern, text in _REPAIRS:
        page = pattern.sub(text, page)
    return page


def repair_pages(app: Sphinx, error: Exception | None) -> None:
    """Repairs all pages once they are written."""
    if error is not None:
        return
    for path in Path(app.outdir).rglob("*.html"):
        before = path.read_text(encoding="utf-8")
        after = repaired(before)
        if after != before:
            path.write_text(after, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", without_live_cells, priority=_LATE)
    app.connect("build-finished", repair_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
