"""The generated page *How this book was built*: from papermill's notes in the executed chapters."""

from __future__ import annotations

import platform
from datetime import datetime

from nbformat import NotebookNode

from snnbd_book.build.cache import installed_versions

PAGE = "book/built"


def page(notebooks: dict[str, NotebookNode]) -> str:
    """MyST text: one row per chapter (page -> executed notebook), then the versions used."""
    rows = [
        f"* - {{doc}}`/{name}`\n" + "".join(f"  - {value}\n" for value in _run(notebook))
        for name, notebook in notebooks.items()
    ]
    versions = {"python": platform.python_version(), **installed_versions()}
    return "\n".join(
        [
            "# How this book was built",
            "",
            "Every chapter was executed from its first cell to its last before this page was",
            "made. This page is generated from what the executed notebooks say of themselves.",
            "",
            "Runs that have a committed record are read and not repeated; *How far figures repeat*",
            "says how they are proved. A chapter whose text alone changed is not executed again.",
            "",
            ":::{list-table} The runs behind the chapters",
            ":header-rows: 1",
            "* - chapter\n  - profile\n  - seed\n  - device\n  - code cells\n"
            "  - seconds\n  - finished (UTC)",
            *(row.rstrip("\n") for row in rows),
            ":::",
            "",
            ":::{list-table} Versions",
            ":header-rows: 1",
            "* - package\n  - version",
            *(f"* - {name}\n  - {version}" for name, version in versions.items()),
            ":::",
            "",
        ]
    )


def _run(notebook: NotebookNode) -> list[str]:
    notes = notebook.metadata["papermill"]
    parameters = notes["parameters"]
    finished = datetime.fromisoformat(notes["end_time"])
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    return [
        str(parameters["PROFILE"]),
        str(parameters["SEED"]),
        str(parameters["DEVICE"]),
        str(cells),
        f"{notes['duration']:.1f}",
        f"{finished:%Y-%m-%d %H:%M}",
    ]
