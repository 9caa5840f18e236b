"""Machine code on disk: what numba made once is loaded without numba, and is what numba made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

from snnbd_core.kernels import cpu_loops, machine_code, threads

pytestmark = pytest.mark.skipif(not machine_code.ON_DISK, reason="here numba keeps its own code")

FIRST_STEP = """
import json, sys, time, torch
from snnbd_core import kernels
torch.set_num_threads(1)
current = torch.randn(6, 3, 50, generator=torch.Generator().manual_seed(1))
start = time.process_time()
spikes, potential = kernels.step(current, torch.tensor(0.9), torch.tensor(1.0), kernels.Rule())
seconds = time.process_time() - start
numbers = [one.flatten().tolist() for one in (spikes, potential)]
print(json.dumps({"seconds": seconds, "numba": "numba" in sys.modules, "numbers": numbers}))
"""


def first_step(folder: Path) -> dict[str, object]:
    """What a fresh process's first step gives, with machine code in a folder."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "SNNBD_KERNEL": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", FIRST_STEP],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """The first steps of three processes: nothing is there, all is, one file is damaged."""
    folder = tmp_path_factory.mktemp("machine_code")
    compiling, loading = first_step(folder), first_step(folder)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    mending = first_step(folder)
    return compiling, loading, mending, whole, path.read_bytes()


@pytest.mark.slow
def test_the_first_step_of_a_process_takes_under_half_a_second_once_compiled(processes):
    """3 s of the processor and then 0.03 s were measured."""
    compiling, loading, *_ = processes
    assert compiling["numba"] and compiling["seconds"] < 30
    assert not loading["numba"] and loading["seconds"] < 0.5


@pytest.mark.slow
def test_loaded_code_gives_the_bits_of_the_compiled(processes):
    compiling, loading, *_ = processes
    assert compiling["numbers"] == loading["numbers"]


@pytest.mark.slow
def test_a_damaged_file_is_compiled_anew(processes):
    compiling, _, mending, before, after = processes
    assert mending["numba"] and mending["numbers"] == compiling["numbers"]
    assert after == before


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """The loops replaced by what writes 42, machine code in a folder of the test's own."""

    def forward(held, each):
        def work(address):
            cpu_loops.numba.carray(address, 1)[0].taken = 42

        return work

    monkeypatch.setattr(cpu_loops, "forward", forward)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "code"))
    monkeypatch.setenv("SNNBD_CACHE", str(tmp_path / "cache"))
    forgotten()
    yield tmp_path
    forgotten()


def forgotten() -> None:
    machine_code.address.cache_clear()
    machine_code._key.cache_clear()


def taken() -> int:
    arguments = machine_code.Arguments()
    work = machine_code.address("forward", float, False)
    threads.run(work, arguments, 1, None)
    return arguments.taken


def test_where_the_first_folder_takes_nothing_the_cache_does(stub):
    (stub / "code").write_text("a file where a folder should be")
    assert taken() == 42
    assert len(list((stub / "cache").glob("forward-float64-one-*.object"))) == 1


def test_where_no_folder_takes_it_code_lives_in_memory(stub):
    for name in ("code", "cache"):
        (stub / name).write_text("a file where a folder should be")
    assert taken() == 42


def test_another_numba_another_setting_and_another_source_have_other_code(stub, monkeypatch):
    keys = {machine_code._key()}
    for change in (
        lambda: monkeypatch.setattr(machine_code, "_NUMBA", "0.1"),
        lambda: monkeypatch.setenv("NUMBA_OPT", "1"),
        lambda: monkeypatch.setattr(machine_code, "_SOURCES", ("lanes.py",)),
    ):
        change()
        machine_code._key.cache_clear()
        keys.add(machine_code._key())
    assert len(keys) == 4


def test_a_numba_that_hides_its_object_code_still_compiles(stub, monkeypatch):
    monkeypatch.setattr(machine_code, "_keep", lambda name, made: made._hidden)
    assert taken() == 42
    assert not (stub / "code").exists()


def test_code_that_another_user_owns_is_not_run(stub, monkeypatch):
    assert taken() == 42
    (path,) = (stub / "code").iterdir()
    assert machine_code._loaded(path)
    others = path.stat().st_uid + 1
    monkeypatch.setattr(machine_code, "_owners", lambda: {others})
    assert machine_code._loaded(path) is None


def test_a_whole_file_that_llvm_does_not_take_is_compiled_anew(stub):
    assert taken() == 42
    (path,) = (stub / "code").iterdir()
    body = b'{"entry": "nothing", "called": []}' + bytes([10]) + b"no object code"
    path.write_bytes(machine_code.hashlib.sha256(body).digest() + body)
    assert machine_code._loaded(path) is None


def test_where_numba_keeps_the_code_and_finds_no_folder_it_compiles_in_memory(monkeypatch):
    original = cpu_loops.numba.cfunc
    asked = []

    def cfunc(*args, cache=False, **options):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return original(*args, **options)

    def work(address):
        cpu_loops.numba.carray(address, 1)[0].taken = 42

    monkeypatch.setattr(cpu_loops, "ON_DISK", False)
    monkeypatch.setattr(cpu_loops.numba, "cfunc", cfunc)
    made, arguments = cpu_loops.compiled(work, "key"), machine_code.Arguments()
    threads.run(made.address, arguments, 1, None)
    assert arguments.taken == 42
    assert asked == [True, False]
