"""What a sweep shows while it runs: a bar and a table on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

STATES = ("found", "waiting", "running", "done", "failed")


class Display:
    """Shows counts of runs per state, and the last failure.

    On a terminal it redraws in place; elsewhere (a log) it prints a line per finished run.
    """

    def __init__(self, total: int, found: int, console: Console | None) -> None:
        self.console = console
        self._start = time.perf_counter()
        self._total, self._found = total, found
        self._bar = Progress(
            TextColumn("sweep"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("sweep", total=total, completed=found)
        self._live = None
        if console is not None and console.is_terminal:
            self._live = Live(self._bar, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        elif self.console is not None:
            todo = self._total - self._found
            self.console.print(f"sweep: {self._total} runs, {self._found} found, {todo} to do")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def show(self, counts: Mapping[str, int], failure: str = "") -> None:
        """Redraws the table.

        Args:
            counts: state -> runs in it; see `STATES`.
            failure: the newest failure in one line.
        """
        if self._live is None:
            return
        finished = counts["found"] + counts["done"] + counts["failed"]
        self._bar.update(self._task, completed=finished)
        table = Table(*STATES)
        table.add_row(*(str(counts[state]) for state in STATES))
        self._live.update(Group(self._bar, table, *([failure] if failure else [])))

    def finished(self, name: str, counts: Mapping[str, int], error: str | None) -> None:
        """Says that a run ended: a failure with its traceback, on a log every run."""
        if self.console is None:
            return
        if error is not None:
            self.console.print(f"failed: {name}\n{error}", markup=False, highlight=False)
        elif self._live is None:
            finished = counts["found"] + counts["done"] + counts["failed"]
            seconds = time.perf_counter() - self._start
            self.console.print(
                f"{finished}/{self._total} done: {name} ({seconds:.0f} s)", highlight=False
            )
