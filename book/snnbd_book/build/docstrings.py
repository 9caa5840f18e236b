"""A Sphinx extension for the page of the library.

A bar in a docstring is a bar, as in |x| <= 1, not a substitution. A type in a signature is shown
without the check that `Annotated` hangs on it, and a default as it is written in code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_LATE = 900  # after what turns sections of docstrings into fields
_CHECKED = re.compile(r"~?\b(?:typing\.|types\.)?Annotated\[")
_WRITTEN = (
    (re.compile(r"<class '(?:\w+\.)*(\w+)'>"), r"\1"),
    (re.compile("<factory>"), "..."),
    (re.compile(r"~(?:\w+\.)+~"), "~"),  # a module that Sphinx names twice
)


def escape_bars(
    app: Sphinx, what: str, name: str, item: Any, options: Any, lines: list[str]
) -> None:
    """Escapes bars in place, but for lines with code in them."""
    lines[:] = [line if "``" in line else line.replace("|", r"\|") for line in lines]


def plain(signature: str) -> str:
    """A signature, as Sphinx writes it, with ``int`` in place of ``Annotated[int, a_check]``."""
    while found := _CHECKED.search(signature):
        depth, ends = 1, list[int]()
        for place, sign in enumerate(signature[found.end() :], found.end()):
            depth += (sign == "[") - (sign == "]")
            if depth == 0 or (depth == 1 and sign == ","):
                ends.append(place)
            if depth == 0:
                break
        kept = signature[found.end() : ends[0]]
        signature = signature[: found.start()] + kept + signature[ends[-1] + 1 :]
    for shown, written in _WRITTEN:
        signature = shown.sub(written, signature)
    return signature


def plain_types(
    app: Sphinx, what: str, name: str, item: Any, options: Any, signature: str, returned: str
) -> tuple[str, str]:
    """What is shown in place of a signature and of the type that is returned; None stays None."""
    return signature and plain(signature), returned and plain(returned)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-signature", plain_types)
    app.connect("autodoc-process-docstring", escape_bars, priority=_LATE)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
