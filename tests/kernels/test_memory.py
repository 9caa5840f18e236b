"""Memory is kept where it can be, once, can be refused, and spares page faults; large pages."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import snnbd_core
from snnbd_core.kernels import memory

PACKAGE = Path(snnbd_core.__file__).parent
GLIBC = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"

# Allocates 48 MB twenty times, as a training loop does, and counts page faults.
PROBE = """
import json, resource, runpy, sys, threading
import torch
took_effect = runpy.run_path(sys.argv[1])["keep"]()  # the module alone, without the package
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def allocate():
    for _ in range(20):
        torch.zeros(12_000_000).add_(1)
def count():
    allocate()  # the heap grows to what the loop needs
    before = faults()
    allocate()
    counts.append(faults() - before)
counts = []
count()
thread = threading.Thread(target=count)
thread.start()
thread.join()
print(json.dumps([took_effect, *counts]))
"""


def probe(setting: str) -> tuple[bool, list[int]]:
    run = subprocess.run(
        [sys.executable, "-c", PROBE, memory.__file__],
        check=True,
        capture_output=True,
        text=True,
        env={"SNNBD_KEEP_MEMORY": setting},
    )
    took_effect, *faults = json.loads(run.stdout)
    return took_effect, faults


@pytest.mark.skipif(not GLIBC, reason="only glibc's malloc can be told to keep memory")
def test_memory_that_is_kept_is_not_faulted_in_again_in_any_thread():
    took_effect, faults = probe("1")
    refused, faults_without = probe("0")
    assert took_effect and not refused
    assert len(faults) == len(faults_without) == 2
    assert all(ours < others / 5 for ours, others in zip(faults, faults_without, strict=True))


def test_elsewhere_it_does_nothing(monkeypatch):
    memory.keep.cache_clear()
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert memory.keep() is False
    memory.keep.cache_clear()


# The share of 48 MB that lies in large pages, and by how many MB of memory the process grew.
LARGE = """
import os
import torch
import snnbd_core
from snnbd_core.kernels import memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before = resident()
memory.keep()
ones = torch.ones(12_000_000)
lines = open("/proc/self/smaps_rollup").read().splitlines()
(large,) = (int(line.split()[1]) for line in lines if line.startswith("AnonHugePages"))
print(large / 48_000, (resident() - before) / 1e6)
"""


@pytest.mark.skipif(
    not (GLIBC and memory.large_pages_on_request()),
    reason="this kernel does not give large pages to those who ask",
)
def test_large_tensors_lie_in_large_pages_unless_refused():
    shares, growths = {}, {}
    for setting in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", LARGE],
            check=True,
            capture_output=True,
            text=True,
            env={"SNNBD_KEEP_MEMORY": setting, "PYTHONPATH": str(PACKAGE.parent)},
        )
        shares[setting], growths[setting] = map(float, run.stdout.split())
    assert shares["0"] < 0.05 and shares["1"] > 0.8
    assert growths["1"] < growths["0"] + 8  # addresses were taken, not memory


# No more addresses are reserved than a limit leaves.
LIMITED = """
import resource
import torch
import snnbd_core
from snnbd_core.kernels import memory
resource.setrlimit(resource.RLIMIT_DATA, (2 * 1024**3, 2 * 1024**3))
assert memory._most_memory() == 2 * 1024**3
print(memory.keep(), torch.ones(12_000_000).sum().item())
"""


@pytest.mark.skipif(not GLIBC, reason="only glibc's malloc can be told to keep memory")
def test_a_limit_of_addresses_is_respected():
    run = subprocess.run(
        [sys.executable, "-c", LIMITED],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(PACKAGE.parent)},
    )
    assert run.stdout.split() == ["True", "12000000.0"]


@pytest.mark.parametrize(
    ("policy", "size", "given"),
    [
        ("always [madvise] never", 2**21, True),
        ("always [never] madvise", 2**21, False),
        ("[always] madvise never", 2**21, False),
        ("always [madvise] never", 2**29, False),  # as on ARM with pages of 64 kB
        (None, 2**21, False),
    ],
)
def test_large_pages_are_for_those_who_ask_and_of_two_megabytes(
    policy, size, given, monkeypatch, tmp_path
):
    monkeypatch.setattr(memory, "LARGE_PAGES", tmp_path)
    (tmp_path / "hpage_pmd_size").write_text(f"{size}\n")
    if policy:
        (tmp_path / "enabled").write_text(policy)
    assert memory.large_pages_on_request() is given


@pytest.mark.parametrize(
    ("variables", "overcommit", "free"),
    [
        ({}, "0", True),
        ({}, "2", False),
        ({"MALLOC_PERTURB_": "7"}, "0", False),
        ({"GLIBC_TUNABLES": "glibc.malloc.perturb=7"}, "0", False),
        ({"GLIBC_TUNABLES": "glibc.malloc.tcache_count=7"}, "0", True),
    ],
)
def test_addresses_are_reserved_only_where_they_cost_no_memory(
    variables, overcommit, free, monkeypatch, tmp_path
):
    for name in ("MALLOC_PERTURB_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(memory, "OVERCOMMIT", tmp_path / "overcommit_memory")
    memory.OVERCOMMIT.write_text(f"{overcommit}\n")
    assert memory._addresses_are_free() is free
