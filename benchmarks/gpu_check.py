"""Looks a GPU over in six minutes: are the kernels right, how fast are they, does a network learn?

    snnbd gpu-check                   on the first CUDA device
    snnbd gpu-check --dry             small sizes on the CPU, Triton's kernels in its interpreter

Each part runs in a process of its own, with a time limit of its own, and prints what it has found
as soon as it has: a part that fails, hangs or takes the device down leaves the others and what it
had found. The record is one JSON file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results" / "gpu.json"
Found = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A process that prints what it found, a JSON object a line.

    Attributes:
        command: its arguments.
        seconds: after so many it is ended.
        environment: variables that it has besides.
    """

    command: Sequence[str]
    seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)


def parts(dry: bool) -> dict[str, Part]:
    """All parts by name. On a card their limits are six minutes together."""

    def part(name: str, seconds: float, **environment: str) -> Part:
        command = [sys.executable, "-m", "benchmarks.gpu_parts", name]
        if dry:
            return Part([*command, "--dry"], 10 * seconds, {"TRITON_INTERPRET": "1"})
        return Part(command, seconds, environment)

    steps = ("nmnist-conv", "gesture-conv", "resnet19")
    back_ends = () if dry else ("torch", "cuda", "triton")  # "cuda" is CuPy's successor
    return {
        "kernels": part("kernels", 60),
        "neurons": part("neurons", 25),
        **{
            f"neurons, SpikingJelly by {name}": part("neurons", 15, SJ_LIF_CUDA_IMPLEMENTATION=name)
            for name in back_ends
        },
        **{f"step of {name}": part(name, 40) for name in steps},
        "training": part("training", 75),
    }


def run(part: Part) -> Found:
    """What a part found: "found", "seconds", and "error" if it failed or was ended."""
    start, error = time.perf_counter(), None
    process = subprocess.Popen(
        part.command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **part.environment},
    )
    try:
        out, complaint = process.communicate(timeout=part.seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, complaint = process.communicate()
        error = f"ended after {part.seconds:g} s"
    if error is None and process.returncode:
        error = (complaint.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
    found: Found = {}
    for line in out.splitlines():
        if line.startswith("{"):
            found |= json.loads(line)
    seconds = round(time.perf_counter() - start, 1)
    return {"found": found, "seconds": seconds} | ({} if error is None else {"error": error})


def gpu_check(
    dry: Annotated[bool, typer.Option("--dry", help="On the CPU, with small sizes.")] = False,
    out: Annotated[Path | None, typer.Option(help="Default: benchmarks/results/gpu.json.")] = None,
) -> None:
    """Run all parts, print and write what they found; exit code 1 if one failed."""
    record: Found = {"dry": dry, "parts": {}}
    for name, part in parts(dry).items():
        done = record["parts"][name] = run(part)
        typer.echo(f"{name} ({done['seconds']} s): {done.get('error', 'done')}")
        for what, value in done["found"].items():
            typer.echo(f"    {what}: {value}")
    if out is None and not dry:
        out = OUT
    if out is not None:
        out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if any("error" in done for done in record["parts"].values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(gpu_check)
