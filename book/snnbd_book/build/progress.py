"""What a person sees while the chapters run: bars on a terminal, lines in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class ChapterProgress:
    """One bar per chapter, moved on with each cell; on anything but a terminal, one line per cell.

    Safe to use from several threads.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.fields[chapter]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[line]}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def start(self, chapter: str, cells: int) -> int:
        self._say(f"{chapter}: {cells} cells")
        return self._bars.add_task("", chapter=chapter, line="", total=cells)

    def cell(self, task: int, chapter: str, number: int, cells: int, line: str) -> None:
        self._say(f"{chapter}: cell {number}/{cells}  {line}")
        self._bars.update(task, completed=number - 1, line=line[:40])  # type: ignore[arg-type]  # an int, by rich's own definition

    def done(self, task: int, chapter: str, cells: int) -> None:
        self._say(f"{chapter}: done")
        self._bars.update(task, completed=cells, line="")  # type: ignore[arg-type]  # as above

    def _say(self, text: str) -> None:
        if not self._console.is_terminal:
            seconds = time.monotonic() - self._began
            self._console.print(f"{seconds:6.1f} s  {text}", markup=False, highlight=False)
