"""Chapters run in their own processes, are stored when done, and stop everything when they fail."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import nbformat
import psutil
import pytest
from dask.system import cpu_count
from rich.console import Console

from snnbd_book import sweeps
from snnbd_book.build import Book, BookError, Parameters, worker
from snnbd_book.build.execute import MEMORY_PER_CHAPTER, execute, jobs_for, shared_workers
from snnbd_book.build.worker import first_line

Rewrite = Callable[..., None]


def run_all(book: Book, parameters: Parameters | None = None) -> tuple[dict[str, str], str]:
    """Page -> everything its cells printed, and what the console showed."""
    screen = io.StringIO()
    with shared_workers() as scheduler:
        console = Console(file=screen, width=200)
        paths = execute(book, book.chapters, parameters or Parameters(), scheduler, console)
    printed = {}
    for page, path in paths.items():
        cells = nbformat.read(path, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        printed[page] = "".join(output.get("text", "") for output in outputs)
    return printed, screen.getvalue()


@pytest.mark.parametrize(
    ("chapters", "cores", "memory", "expected"),
    [(7, 2, 64, 2), (1, 8, 64, 1), (7, 16, 3, 3), (7, 2, 0, 1)],
)
def test_jobs_are_as_many_as_chapters_cores_and_memory_allow(
    chapters: int, cores: int, memory: int, expected: int
) -> None:
    assert jobs_for(chapters, cores=cores, memory=memory * MEMORY_PER_CHAPTER) == expected


def test_chapters_get_their_parameters_and_are_not_executed_twice(
    book: Book, rewrite: Rewrite
) -> None:
    printed, screen = run_all(book, Parameters("sample", 5, "cpu"))
    assert printed == dict.fromkeys(["notebooks/01_one", "notebooks/02_two"], "sample 5 cpu\n")
    assert "01_one: cell 4/4  print(PROFILE, SEED, DEVICE)" in screen

    rewrite(book, "02_two", "print('changed')")
    printed, screen = run_all(book, Parameters("sample", 5, "cpu"))
    assert printed["notebooks/02_two"] == "changed\n"
    assert "01_one: nothing changed" in screen
    assert "01_one: cell" not in screen
    assert "02_two: cell" in screen


def test_chapters_run_in_their_folder_and_share_cores_and_workers(
    book: Book, rewrite: Rewrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SNNBD_SCHEDULER", raising=False)
    for name in ("01_one", "02_two"):
        rewrite(
            book,
            name,
            "import os, pathlib\nprint(pathlib.Path.cwd().name, os.environ['OMP_NUM_THREADS'], "
            "os.environ['SNNBD_SCHEDULER'])",
        )
    printed, _ = run_all(book)
    folder, threads, scheduler = printed["notebooks/01_one"].split()
    assert folder == "notebooks"
    assert 1 <= int(threads) <= cpu_count()
    assert scheduler.startswith("tcp://127.0.0.1:")
    assert printed["notebooks/02_two"] == printed["notebooks/01_one"]


def test_a_scheduler_that_is_named_is_the_chapters_own(
    book: Book, rewrite: Rewrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNBD_SCHEDULER", "tcp://cluster:8786")
    monkeypatch.setattr(sweeps, "answering", lambda address: address)
    for name in ("01_one", "02_two"):
        rewrite(book, name, "import os\nprint(os.environ['SNNBD_SCHEDULER'])")
    printed, _ = run_all(book)
    assert set(printed.values()) == {"tcp://cluster:8786\n"}


def test_a_failing_cell_stops_the_build_and_names_chapter_and_cell(
    book: Book, rewrite: Rewrite
) -> None:
    rewrite(book, "01_one", "import time\ntime.sleep(120)")
    rewrite(book, "02_two", "print('so far')", "# why\nint('x')", "print('never')")
    with pytest.raises(BookError) as caught:
        run_all(book)
    message = str(caught.value)
    assert message.startswith("chapter 02_two, code cell 4 (int('x')): ValueError: invalid literal")
    kept = book.build / "failed" / "02_two.ipynb"
    assert str(kept) in message
    texts = [c.outputs for c in nbformat.read(kept, as_version=4).cells if c.cell_type == "code"]
    assert any(out.get("text") == "so far\n" for outputs in texts for out in outputs)
    assert not list((book.build / "executed").iterdir())


def command_of(process: psutil.Process) -> str:
    """Its command line; nothing of one that is just ending."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def test_the_workers_of_a_build_end_with_it(book: Book, rewrite: Rewrite) -> None:
    rewrite(book, "02_two", "int('x')")
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(BookError):
        run_all(book)
    left = [one for one in psutil.Process().children(recursive=True) if one not in before]
    assert not [one for one in left if "spawn_main" in command_of(one)]


def test_no_worker_is_started_where_nothing_is_to_run(book: Book) -> None:
    run_all(book)
    with shared_workers() as scheduler:
        asked = []
        execute(
            book,
            book.chapters,
            Parameters(),
            lambda: asked.append(scheduler()),
            Console(quiet=True),
        )
    assert asked == []


def test_a_kernel_that_dies_is_named_with_its_cell(book: Book, rewrite: Rewrite) -> None:
    rewrite(book, "01_one", "import os\nos._exit(9)")
    with pytest.raises(BookError, match=r"01_one, code cell 3 \(import os\): .*kernel died"):
        run_all(book)


@pytest.mark.parametrize(("deaths", "outcome"), [(1, 0), (worker.STARTS, 1)])
def test_a_kernel_that_dies_at_its_start_is_started_again(
    book: Book, monkeypatch: pytest.MonkeyPatch, deaths: int, outcome: int
) -> None:
    tries: list[str] = []
    said = io.StringIO()

    def execute(source: str, *_: object, **__: object) -> None:
        tries.append(source)
        if len(tries) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(worker.papermill, "execute_notebook", execute)
    monkeypatch.setattr(worker, "own_channel", lambda: said)
    assert worker.main(str(book.chapters[0].notebook), "", "", "{}") == outcome
    assert len(tries) == min(deaths + 1, worker.STARTS)
    assert ("the kernel failed: Kernel died" in said.getvalue()) == bool(outcome)


def test_the_first_line_of_a_cell_is_its_first_line_of_code() -> None:
    assert first_line("# why\n\n  a = 1\nb = 2") == "a = 1"
    assert first_line("# only words") == "# only words"
    assert first_line("") == ""
