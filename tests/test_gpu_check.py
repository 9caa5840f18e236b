"""`snnbd gpu-check`: parts that fail or hang leave the others; the kernels in the interpreter."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from torch import nn

from benchmarks import gpu_check, gpu_parts
from benchmarks.gpu_check import Part


def python(code: str, seconds: float = 60) -> Part:
    return Part([sys.executable, "-c", code], seconds)


def test_a_part_that_fails_says_why_and_keeps_what_it_had_found() -> None:
    done = gpu_check.run(
        python(
            """print('{"a": 1}\\nnoise\\n{"b": 2}', flush=True); raise ValueError("no device")"""
        )
    )
    assert done["found"] == {"a": 1, "b": 2}
    assert done["error"] == "ValueError: no device"


def test_a_part_that_hangs_is_ended_and_keeps_what_it_had_found() -> None:
    hangs = """print('{"a": 1}', flush=True); import time; time.sleep(60)"""
    done = gpu_check.run(python(hangs, seconds=2))
    assert done["found"] == {"a": 1}
    assert done["error"] == "ended after 2 s"
    assert done["seconds"] < 30


def test_the_record_holds_all_parts_and_a_failure_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    some = {"first": python("raise SystemExit(3)"), "second": python("""print('{"a": 1}')""")}
    monkeypatch.setattr(gpu_check, "parts", lambda dry: some)
    with pytest.raises(typer.Exit) as left:
        gpu_check.gpu_check(out=tmp_path / "gpu.json")
    assert left.value.exit_code == 1
    record = json.loads((tmp_path / "gpu.json").read_text())
    assert record["parts"]["first"]["error"] == "exit code 3"
    assert record["parts"]["second"]["found"] == {"a": 1}


def test_the_limits_are_six_minutes_together() -> None:
    assert sum(part.seconds for part in gpu_check.parts(dry=False).values()) <= 360


def test_without_torch_compile_networks_run_eagerly_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(net: nn.Module, backend: str) -> None:
        raise RuntimeError("Dynamo is not supported on Python 3.99+")

    monkeypatch.setattr(torch, "compile", refuse)
    gpu_parts.say_once.cache_clear()
    nets = [nn.Linear(2, 2), nn.Linear(2, 2)]
    with pytest.warns(UserWarning, match=r"does not run here.*Python 3\.99") as said:
        assert [gpu_parts.compiled(net) for net in nets] == nets
    assert len(said) == 1


@pytest.mark.parametrize("part", ["kernels", "neurons"])
@pytest.mark.slow
def test_the_kernels_are_checked_in_tritons_interpreter(project: Path, part: str) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_parts", part, "--dry"],
        capture_output=True,
        text=True,
        cwd=project,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(json.loads(line) for line in done.stdout.splitlines())


def test_every_rule_and_every_layout_with_every_type_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    monkeypatch.setattr(gpu_parts, "compare", lambda *case: seen.append(case))
    (found,) = gpu_parts.check_kernels(torch.device("cpu"), True)
    assert len({rule for rule, *_ in seen}) == 3 * 2 * 3 * 3
    kinds = set(itertools.product(gpu_parts.LAYOUTS.values(), gpu_parts.CLOSE))
    assert {(arrange, dtype) for _, arrange, dtype, _ in seen} == kinds
    assert found == {"cases that agree with the reference": len(seen)}
