"""One chapter in one process: ``python -P worker.py IN OUT FOLDER PARAMETERS``.

Writes one JSON line to standard output per event, for ``execute`` to show and judge:

    {"event": "start", "cells": 12}
    {"event": "cell", "number": 3, "line": "first line of its source"}
    {"event": "failed", "number": 3, "line": "...", "error": "ValueError: ..."}
    {"event": "done"}

A process of its own, because an interrupt then reaches papermill, which shuts its kernel down.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TextIO

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

STARTS = 3  # two kernels that start at once may choose the same port; then one of them dies


def own_channel() -> TextIO:
    """Standard output for our lines alone: what anything else prints goes to standard error."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return channel


def send(channel: TextIO, event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), file=channel, flush=True)


def first_line(source: str) -> str:
    """The first line that is code, for a reader who looks for the cell."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")


def main(source: str, target: str, folder: str, parameters: str) -> int:
    cells = [c for c in nbformat.read(source, as_version=4).cells if c.cell_type == "code"]
    numbers = {cell.id: number for number, cell in enumerate(cells, start=1)}
    now: dict[str, object] = {"number": 0, "line": "(kernel start)"}
    channel = own_channel()
    send(channel, "start", cells=len(cells))

    def started(cell: NotebookNode, cell_index: int) -> None:
        # Papermill's own parameters cell is in no source: it has no number.
        if cell.id in numbers:
            now.update(number=numbers[cell.id], line=first_line(cell.source))
            send(channel, "cell", **now)

    def execute() -> None:
        papermill.execute_notebook(
            source,
            target,
            parameters=json.loads(parameters),
            cwd=folder,
            progress_bar=False,
            on_cell_start=started,
        )

    try:
        for left in reversed(range(STARTS)):
            try:
                execute()
                break
            except RuntimeError:  # a kernel that died; before its first cell nothing is lost
                if now["number"] or not left:
                    raise
    except PapermillExecutionError as error:
        send(channel, "failed", **now, error=f"{error.ename}: {error.evalue}")
        return 1
    except DeadKernelError:
        send(channel, "failed", **now, error="the kernel died (out of memory, perhaps)")
        return 1
    except RuntimeError as error:
        send(channel, "failed", **now, error=f"the kernel failed: {error}")
        return 1
    send(channel, "done")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
