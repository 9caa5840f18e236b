"""Runs chapters side by side, each in its own process, and stops at the first cell that fails."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from dask.system import cpu_count
from rich.console import Console

from snnbd_book.build import cache
from snnbd_book.build.progress import ChapterProgress
from snnbd_book.build.settings import Book, BookError, Chapter, Parameters
from snnbd_book.figures.style import CHECKED

# What a chapter of the quick profile takes at its peak, with a margin.
MEMORY_PER_CHAPTER = 3 * 2**30
# Run by its path: as a module of the package it would load torch, which only the kernel needs.
WORKER = Path(__file__).with_name("worker.py")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def jobs_for(chapters: int, *, cores: int, memory: int) -> int:
    """How many chapters to run at once: as far as cores and memory (bytes) allow, at least one."""
    return max(1, min(chapters, cores, memory // MEMORY_PER_CHAPTER))


@contextmanager
def shared_workers() -> Iterator[Callable[[], str]]:
    """Gives the scheduler's address whose workers run a build's sweeps.

    It is that in ``$SNNBD_SCHEDULER``, or of processes here, started when it is first asked for.

    Raises:
        SchedulerUnreachable: when asked, if nothing answers at the address in the environment.
    """
    with ExitStack() as stack:

        @functools.cache
        def scheduler() -> str:
            # Dask is slow to import and not needed where nothing is run.
            from snnbd_book import sweeps

            given = os.environ.get("SNNBD_SCHEDULER")
            if given:
                return sweeps.answering(given)
            return stack.enter_context(sweeps.local_workers())

        yield scheduler


def execute(
    book: Book,
    chapters: list[Chapter],
    parameters: Parameters,
    scheduler: Callable[[], str],
    console: Console,
    environment: Mapping[str, str] = os.environ,
) -> dict[str, Path]:
    """Executes what is not cached; page -> executed notebook, for all ``chapters``.

    A chapter that fails stops the others. Its partly executed notebook is kept under
    ``_build/failed`` and what its process wrote to stderr under ``_build/logs``.

    Args:
        book, chapters, parameters: what to execute, and with what.
        scheduler: gives the address of the workers of all chapters; asked if any is executed.
        console: where progress is shown.
        environment: of the chapters' processes, but for their threads and the scheduler.

    Raises:
        BookError: a cell failed; names chapter, cell and error.
        SchedulerUnreachable: as `shared_workers`.
    """
    targets = {chapter.page: cache.stored(book, chapter, parameters) for chapter in chapters}
    todo = [chapter for chapter in chapters if not targets[chapter.page].is_file()]
    for chapter in chapters:
        if chapter not in todo:
            console.print(f"{chapter.name}: nothing changed since it was executed")
    if todo:
        jobs = jobs_for(len(todo), cores=cpu_count(), memory=_left_by_workers())
        threads = max(1, cpu_count() // jobs)
        console.print(
            f"Executing {len(todo)} chapter(s), {jobs} at a time with {threads} thread(s) each: "
            f"profile {parameters.profile}, seed {parameters.seed}, device {parameters.device}"
        )
        variables = {**environment, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
        variables |= {"SNNBD_SCHEDULER": scheduler(), CHECKED: "1"}
        _run_all(book, todo, targets, parameters, jobs, variables, console)
    return targets


def _left_by_workers() -> int:
    """Bytes of memory for chapters: what is free, less what workers of this machine may take."""
    available: int = psutil.virtual_memory().available
    if os.environ.get("SNNBD_SCHEDULER"):
        return available
    from snnbd_book import sweeps

    return available - sweeps.fitting() * sweeps.MEMORY_PER_WORKER


@dataclass
class _Processes:
    """The processes now running, so that one failure or an interrupt can end them all."""

    stopped: bool = False
    running: set[subprocess.Popen[str]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, command: list[str], **options: object) -> subprocess.Popen[str] | None:
        with self.lock:
            if self.stopped:
                return None
            process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, **options)  # type: ignore[call-overload]  # options are Popen's own
            self.running.add(process)
            return process

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.terminate()


def _run_all(
    book: Book,
    chapters: list[Chapter],
    targets: dict[str, Path],
    parameters: Parameters,
    jobs: int,
    environment: dict[str, str],
    console: Console,
) -> None:
    processes = _Processes()
    errors: list[str] = []

    def one(chapter: Chapter) -> None:
        error = _run_one(
            book, chapter, targets[chapter.page], parameters, environment, processes, progress
        )
        if error:
            # Those that were stopped because of the first failure have nothing to say.
            if not processes.stopped:
                errors.append(error)
            processes.stop()

    with ChapterProgress(console) as progress, ThreadPoolExecutor(jobs) as pool:
        try:
            # The later a chapter, the more it runs: begun last, it would leave cores idle.
            list(pool.map(one, reversed(chapters)))
        finally:
            processes.stop()
    if errors:
        raise BookError(errors[0])


def _run_one(
    book: Book,
    chapter: Chapter,
    target: Path,
    parameters: Parameters,
    environment: dict[str, str],
    processes: _Processes,
    progress: ChapterProgress,
) -> str | None:
    """Runs one chapter to its end; the error's text, or None if all went well."""
    folders = {name: book.build / name for name in ("running", "failed", "logs", "executed")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    running = folders["running"] / f"{chapter.name}.ipynb"
    failed = folders["failed"] / f"{chapter.name}.ipynb"
    log = folders["logs"] / f"{chapter.name}.log"
    failed.unlink(missing_ok=True)

    command = [sys.executable, "-P", str(WORKER), str(chapter.notebook), str(running)]
    command += [str(chapter.notebook.parent), json.dumps(parameters.values)]
    with log.open("w", encoding="utf-8") as stderr:
        process = processes.start(command, env=environment, stderr=stderr)
        if process is None:
            return None
        last = _follow(process, chapter, progress)
    if last.get("event") == "done" and process.returncode == 0:
        os.replace(running, target)
        cache.drop_older(target)
        return None
    if running.exists():
        os.replace(running, failed)
    number = last.get("number", 0)
    line = last.get("line", "(start)")
    error = last.get("error", f"the process ended with {process.returncode}; see {log}")
    return f"chapter {chapter.name}, code cell {number} ({line}): {error}\nkept: {failed}"


def _follow(
    process: subprocess.Popen[str], chapter: Chapter, progress: ChapterProgress
) -> dict[str, object]:
    """Shows a worker's events until it ends; its last one."""
    cells, task = 0, -1
    last: dict[str, object] = {}
    with process:
        assert process.stdout is not None
        for text in process.stdout:
            last = json.loads(text)
            if last["event"] == "start":
                cells = int(str(last["cells"]))
                task = progress.start(chapter.name, cells)
            elif last["event"] == "cell":
                number = int(str(last["number"]))
                progress.cell(task, chapter.name, number, cells, str(last["line"]))
            elif last["event"] == "done":
                progress.done(task, chapter.name, cells)
    return last
