"""keep(): takes effect where it can, once, can be refused, and spares page faults."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

from snnbd_core import memory

GLIBC = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"

# Allocates 48 MB twenty times, as a training loop does, and counts page faults.
PROBE = """
import json, resource, runpy, sys
import torch
took_effect = runpy.run_path(sys.argv[1])["keep"]()  # the module alone, without the package
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def allocate():
    for _ in range(20):
        torch.zeros(12_000_000).add_(1)
allocate()  # the heap grows to what the loop needs
before = faults()
allocate()
print(json.dumps([took_effect, faults() - before]))
"""


def probe(setting: str) -> tuple[bool, int]:
    run = subprocess.run(
        [sys.executable, "-c", PROBE, memory.__file__], check=True, capture_output=True, text=True,
        env={"SNNBD_KEEP_MEMORY": setting},
    )  # fmt: skip
    took_effect, faults = json.loads(run.stdout)
    return took_effect, faults


@pytest.mark.skipif(not GLIBC, reason="only glibc's malloc can be told to keep memory")
def test_memory_that_is_kept_is_not_faulted_in_again():
    took_effect, faults = probe("1")
    refused, faults_without = probe("0")
    assert took_effect and not refused
    assert faults < faults_without / 5


def test_elsewhere_it_does_nothing(monkeypatch):
    memory.keep.cache_clear()
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert memory.keep() is False
    memory.keep.cache_clear()
