"""Hand a computed value from a cell to the prose of its chapter.

The same record as ``myst_nb.glue`` writes, so that ``{glue:text}`` finds it when the book is
built; a reader who only runs a chapter does not need the book's builder.
"""

from __future__ import annotations

from IPython.core.formatters import format_display_data
from IPython.display import display

_PREFIX = "application/papermill.record/"


def glue(name: str, value: float | str) -> None:
    """Store a value in the cell's output, unseen, for the role ``glue:text`` in the chapter's text.

    Args:
        name: unique in its chapter.
        value: a number or a text.

    Raises:
        ValueError: if ``name`` is blank.
    """
    if not name.strip():
        raise ValueError(f"name is {name!r}; allowed: a text that is not blank")
    bundle, metadata = format_display_data(value)
    metadata["scrapbook"] = {"name": name, "mime_prefix": _PREFIX}
    hidden = {_PREFIX + kind: content for kind, content in bundle.items()}
    display(hidden, raw=True, metadata=metadata)
