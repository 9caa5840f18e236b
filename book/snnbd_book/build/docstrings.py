"""A Sphinx extension: a bar in a docstring is a bar, as in |x| <= 1, not a substitution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_LATE = 900  # after what turns sections of docstrings into fields


def escape_bars(
    app: Sphinx, what: str, name: str, item: Any, options: Any, lines: list[str]
) -> None:
    """Escapes bars in place, but for lines with code in them."""
    lines[:] = [line if "``" in line else line.replace("|", r"\|") for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", escape_bars, priority=_LATE)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
