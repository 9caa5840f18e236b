"""Sweeps on a real scheduler with real worker processes, one of which is killed."""

from __future__ import annotations

import dataclasses
import gc
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import psutil
import pytest
import typer
from distributed import Client
from rich.console import Console
from typer.testing import CliRunner

from snnbd_book import sweeps
from snnbd_book.cli import app
from snnbd_book.runs import Experiment, commit, records_in, run, stored
from snnbd_book.sweeps.command import MANY
from snnbd_core import learning

Make = Callable[..., Experiment]

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # of distributed, on closing


@pytest.fixture(autouse=True)
def no_clients_left() -> Iterator[None]:
    """A client that did not connect is closed here.

    Closed by the garbage collector while another client starts, it would wait for that one.
    """
    yield
    gc.collect()


def grid(tmp_path: Path, tiny_yaml: str, axes: str = "{seed: [0, 1, 2]}") -> Path:
    path = tmp_path / "grid.yaml"
    path.write_text(f"fixed: {tiny_yaml}\ngrid: {axes}\n")
    return path


def invoked(*arguments: object) -> tuple[int, str]:
    gc.collect()
    app = typer.Typer()
    app.command()(sweeps.cli)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def holds_a_run(process: psutil.Process, results: Path) -> bool:
    """Whether a process has the lock file of a run open and works."""
    try:
        files = [Path(file.path) for file in process.open_files()]
        return any(file.parent == results / ".locks" for file in files)
    except psutil.Error:  # it has just ended
        return False


WORKER = """
import sys, torch
import snnbd_core as sb
from snnbd_book import sweeps
from snnbd_book.runs import Experiment, lineage
layer, current = sb.LIF(0.5), torch.randn(4, 2, 8)
layer(current)  # compiled, if it was not yet
lineage.fingerprint(Experiment())
heavy = "matplotlib numba pandas scipy.stats skimage sklearn snntorch tonic".split()
print([name for name in heavy if name in sys.modules])
"""


def test_a_worker_imports_nothing_that_its_runs_do_not_need() -> None:
    """Half of a worker's start went into imports of libraries that a clean run never used."""
    found = [
        subprocess.run([sys.executable, "-c", WORKER], check=True, capture_output=True, text=True)
        for _ in range(2)
    ]
    assert found[1].stdout.strip() == "[]"


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(results: Path, tiny: Make) -> None:
    items = [tiny(trigger=None, rate=0.0, seed=seed, epochs=20) for seed in range(5)]
    killed: list[int] = []

    def kill_one_at_work() -> None:
        """The first process that is found holding the lock on a run is killed."""
        deadline = time.monotonic() + 600
        while not killed and time.monotonic() < deadline:
            for child in psutil.Process().children(recursive=True):
                if holds_a_run(child, results):
                    child.send_signal(signal.SIGKILL)
                    killed.append(child.pid)
                    return
            time.sleep(0.01)

    killer = threading.Thread(target=kill_one_at_work)
    killer.start()
    frame = sweeps.run(items, workers=2)
    killer.join()
    assert killed
    assert frame["status"].tolist() == ["done"] * 5
    assert frame["hash"].tolist() == [item.hash for item in items]
    assert sorted(record.key for record in records_in(results)) == sorted(
        f"{item.name}-{item.hash}" for item in items
    )
    assert not list(results.glob(".*.part"))


@pytest.mark.slow
def test_a_failed_run_is_told_and_stops_nothing_and_a_second_sweep_goes_on(
    results: Path, tiny: Make, tmp_path: Path
) -> None:
    good = [tiny(trigger=None, rate=0.0, seed=seed) for seed in (0, 1)]
    bad = tiny(rate=0.001)  # of 60 samples: none
    before = run(good[0], progress=False)
    told = io.StringIO()
    frame = sweeps.run([bad, *good, good[0]], workers=2, console=Console(file=told, width=200))
    assert frame["status"].tolist() == ["failed", "done", "done"]
    assert "ValueError: rate=0.001 poisons none of 60 samples" in frame["error"][0]
    assert "Traceback (most recent call last)" in frame["error"][0]
    assert "3 runs, 1 found, 2 to do" in told.getvalue()
    assert f"failed: nmnist-static-{bad.hash}" in told.getvalue()
    assert f"done: nmnist-clean-{good[1].hash} (seed 1)" in told.getvalue()
    assert frame["clean_accuracy"][1] == before.report.clean_accuracy.value
    assert frame["clean_accuracy.low"][1] == before.report.clean_accuracy.confidence_interval[0]
    assert frame["attack_success_rate"].isna().all()
    stamps = [path.stat().st_mtime_ns for path in sorted(results.glob("*.jsonl"))]
    again = sweeps.run(good)  # all found: starts no process
    assert again["status"].tolist() == ["done", "done"]
    assert stamps == [path.stat().st_mtime_ns for path in sorted(results.glob("*.jsonl"))]


@pytest.mark.slow
def test_an_interrupt_leaves_no_half_record(results: Path, tmp_path: Path, tiny_yaml: str) -> None:
    longer = tiny_yaml.replace("epochs: 1", "epochs: 12")
    path = grid(tmp_path, longer, "{seed: [0, 1, 2, 3, 4, 5]}")
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # or ignored
        "import typer; from snnbd_book import sweeps; typer.run(sweeps.cli)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path), "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 600
    while not list(results.glob("*.jsonl")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, told = process.communicate(timeout=600)
    assert process.returncode == 130, told
    assert "the same command goes on from there" in told
    assert 0 < len(records_in(results)) < 6
    assert not list(results.glob(".*.part"))
    assert not list(tmp_path.glob("*.parquet"))


@pytest.mark.slow
def test_an_existing_scheduler_is_used(results: Path, tmp_path: Path, tiny_yaml: str) -> None:
    from distributed import LocalCluster

    out = tmp_path / "table.csv"
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        path = grid(tmp_path, tiny_yaml, "{seed: [0, 1]}")
        address = cluster.scheduler_address
        code, text = invoked(path, "--scheduler", address, "--out", out, "--results", results)
    assert code == 0, text
    assert "2 runs, 0 failed" in text
    frame = pd.read_csv(out)
    assert frame["seed"].tolist() == [0, 1]
    assert (frame["trigger.kind"] == "Static").all()
    assert len(records_in(results)) == 2


def test_an_unreachable_scheduler_is_named(
    results: Path, tmp_path: Path, tiny_yaml: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps.workers, "_CONNECT_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # held to the end, so that nobody else can answer there
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        code, text = invoked(grid(tmp_path, tiny_yaml), "--scheduler", address)
        assert code == 2
        assert f"scheduler='{address}' does not answer" in text
        assert "dask scheduler" in text
        code, text = invoked(grid(tmp_path, tiny_yaml), "--scheduler", "nowhere://x")
        assert (code, "scheduler='nowhere://x' does not answer" in text) == (2, True)
        monkeypatch.setenv("SNNBD_SCHEDULER", address)
        for command in (
            ["claims", "--paper", "jin2024"],
            ["sweep", str(grid(tmp_path, tiny_yaml))],
        ):
            gc.collect()
            outcome = CliRunner().invoke(app, command)
            assert "unset $SNNBD_SCHEDULER to run here" in outcome.output
            assert outcome.exit_code == 2  # 1 would mean that a claim is lost, or a run failed


def test_what_trains_comes_first_and_clean_networks_before_all(tiny: Make) -> None:
    deployed = [tiny(seed=0, inference_threshold=at) for at in (1.0, 1.1, 1.2)]
    other, clean = tiny(seed=1), tiny(trigger=None, rate=0.0, seed=0)
    order = sweeps.execution._ordered([*deployed, other, clean])
    assert order == [clean, deployed[0], other, *deployed[1:]]
    converted = [tiny(data="digits", frames=T, rule=learning.Conversion()) for T in (2, 4)]
    source = tiny(data="digits", frames=1, rule=learning.ANN())
    assert sweeps.execution._ordered([*converted, source]) == [source, *converted]


def test_sets_that_are_named_come_first_in_their_order(tiny: Make) -> None:
    clean = [tiny(data=name, trigger=None, rate=0.0) for name in ("digits-events", "nmnist")]
    last = tiny(data="gestures-events", trigger=None, rate=0.0)
    order = sweeps.execution._ordered([last, *clean], ("nmnist", "digits-events"))
    assert order == [clean[1], clean[0], last]


@pytest.mark.slow
def test_after_the_time_no_run_is_begun(results: Path, tiny: Make) -> None:
    items = [tiny(trigger=None, rate=0.0, seed=seed) for seed in range(3)]
    told = io.StringIO()
    made = run(items[0], progress=False)
    frame = sweeps.run(items, workers=1, begin=0, console=Console(file=told))
    assert frame["hash"].tolist() == [items[0].hash] and "done:" not in told.getvalue()
    assert records_in(results) == [made]
    frame = sweeps.run(items, workers=1, begin=600)
    assert frame["status"].tolist() == ["done"] * 3 and len(records_in(results)) == 3


@pytest.mark.parametrize(
    ("cores", "memory", "expected"), [(2, 24, 2), (8, 3, 3), (64, 1, 1), (4, 0, 1)]
)
def test_workers_are_as_many_as_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, cores: int, memory: int, expected: int
) -> None:
    monkeypatch.setattr(sweeps.workers, "cpu_count", lambda: cores)
    monkeypatch.setattr(sweeps.workers, "MEMORY_LIMIT", memory * 2**30)
    assert sweeps.fitting() == expected
    assert sweeps.fitting(1.5 * 2**30) == max(1, min(cores, memory * 2 // 3))
    assert sweeps.fitting(device="cuda:1") == sweeps.fitting(device="mps") == 1


def test_workers_share_the_memory_and_leave_the_environment_as_it_was() -> None:
    before = dict(os.environ)
    with sweeps.local_workers(1) as address, Client(address, set_as_default=False) as client:
        client.wait_for_workers(1)
        (worker,) = client.scheduler_info()["workers"].values()
        assert worker["memory_limit"] == sweeps.workers.MEMORY_LIMIT
        assert client.submit(os.environ.get, "OMP_NUM_THREADS").result() == "1"
    assert dict(os.environ) == before


def test_a_grid_of_many_runs_must_be_meant(tmp_path: Path, tiny_yaml: str) -> None:
    seeds = list(range(MANY + 1))
    path = grid(tmp_path, tiny_yaml, f"{{seed: {seeds}}}")
    code, text = invoked(path)
    assert code == 2
    assert f"says {MANY + 1} runs, more than {MANY}: add --yes if that is meant" in text


def test_a_wrong_grid_file_or_table_is_named(tmp_path: Path, tiny_yaml: str) -> None:
    code, text = invoked(grid(tmp_path, tiny_yaml, "{}"))
    assert (code, "grid={} is empty" in text) == (2, True)
    code, text = invoked(tmp_path / "missing.yaml")
    assert (code, "missing.yaml" in text) == (2, True)
    code, text = invoked(grid(tmp_path, tiny_yaml), "--out", "table.xlsx")
    assert (code, "must end in one of .parquet, .csv" in text) == (2, True)


def test_a_sweep_of_nothing_or_on_nothing_is_an_error(tiny: Make) -> None:
    with pytest.raises(ValueError, match="experiments is empty"):
        sweeps.run([])
    with pytest.raises(ValueError, match="workers=0 must be a whole number >= 1"):
        sweeps.run([tiny()], workers=0)
    with pytest.raises(ValueError, match="threads=0 must be"):
        sweeps.run([tiny()], threads=0)


SCRIPT = """
from snnbd_book import sweeps
from snnbd_book.runs import Experiment
print("started")
frame = sweeps.run([Experiment(data="nmnist", frames=2, epochs=1, seed=7)], workers=1)
print(list(frame["status"]))
"""


def test_a_script_without_a_guard_for_main_runs_its_sweep_once(
    results: Path, tmp_path: Path
) -> None:
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=150
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["started", "['done']"]


@pytest.mark.slow
def test_sweeps_at_once_share_the_workers_of_a_scheduler_that_is_named(
    monkeypatch: pytest.MonkeyPatch, results: Path, tiny: Make
) -> None:
    one, common, two = (tiny(trigger=None, rate=0.0, seed=seed) for seed in range(3))
    with sweeps.local_workers(1) as address, ThreadPoolExecutor(2) as pool:
        monkeypatch.setenv("SNNBD_SCHEDULER", address)
        monkeypatch.setattr(sweeps.workers, "LocalCluster", None)  # none is started besides
        frames = list(pool.map(sweeps.run, ([one, common], [common, two])))
    assert [frame["status"].tolist() for frame in frames] == [["done", "done"]] * 2
    assert frames[0]["hash"].tolist() == [one.hash, common.hash]
    assert frames[1]["hash"].tolist() == [common.hash, two.hash]
    assert len(records_in(results)) == 3


def test_the_book_is_given_committed_records_and_runs_of_what_has_none(
    results: Path, tiny: Make
) -> None:
    committed, missing = (tiny(trigger=None, rate=0.0, seed=seed) for seed in (0, 1))
    made = run(committed, progress=False)
    older = dataclasses.replace(made.provenance, code="c" * 16)
    commit([dataclasses.replace(made, provenance=older)])
    found = sweeps.records([committed, missing])
    assert found[committed.hash].provenance.code == "c" * 16
    assert found[missing.hash] == stored(missing)
    assert sweeps.records([]) == {}
    with pytest.raises(RuntimeError, match="poisons none of 60 samples"):
        sweeps.records([tiny(rate=0.001)])
