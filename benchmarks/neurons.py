"""Neurons side by side with their peers: time, memory, and the floor that memory sets.

    python -m benchmarks.neurons                      all workloads, as on the Performance page
    python -m benchmarks.neurons lif --runs 20        one of them
    SNNBD_KEEP_MEMORY=0 python -m benchmarks.neurons lif training    with memory as it is by default

Workloads: ``lif`` (a layer alone), ``linear`` (Linear + LIF over 500 steps, the layer timed apart
from the product), ``training`` and ``vgg16`` (a step of nmnist-conv and of VGG-16) and
``poisoning`` (triggers on recordings). All peers run in one process by turns, after it is asserted
that they give the same spikes; on processors with instructions for it, in bf16 too, and our
networks compiled by ``torch.compile``. The result is one JSON file, of which the book's page
*Performance* is made.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import networks, peers
from benchmarks.measure import Run, by_turns, differing_share, machine, peak_memory, summary
from snnbd_core import triggers
from snnbd_core.kernels import memory
from snnbd_core.learning.precision import has_bf16

OUT = Path(__file__).parent / "results"
LAYERS = {"lif": [(16, 64, 1024), (16, 64, 8192)], "linear": [(500, 16, 512), (500, 16, 4096)]}
STEPS = {"training": "nmnist-conv", "vgg16": "vgg16"}
HALF, COMPILED = ", bf16", ", compiled"  # behind the name of what runs so
RECORDINGS, EVENTS, SENSOR = 1000, 4144, (34, 34, 2)
Result = dict[str, Any]


def layer(kind: str, shape: tuple[int, int, int], rounds: int) -> Result:
    """A LIF layer [T, B, N]: forward, and forward + backward.

    A copy is the floor, and backward takes an empty call of autograd's besides.
    """
    current, product = _current(kind, shape)
    upstream = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    found, skipped = peers.neurons()
    differing = _assert_equal_spikes(found, current)
    target = torch.empty_like(current)

    def copy() -> None:
        target.copy_(current)

    forward: dict[str, Run] = {name: _forward(neuron, current) for name, neuron in found.items()}
    both: dict[str, Run] = {
        name: _both(neuron, current, upstream) for name, neuron in found.items()
    }
    if has_bf16(current.device):
        halves, name = [tensor.bfloat16() for tensor in (current, upstream)], "snnbd" + HALF
        forward[name] = _forward(found["snnbd"], halves[0])
        both[name] = _both(found["snnbd"], *halves)
    forward["copy"] = both["copy"] = copy
    both["empty call"] = _both(_Empty(), current, upstream)
    if product is not None:
        forward["Linear"] = product
    seconds = by_turns(forward, rounds), by_turns(both, rounds)
    return {
        "shape": list(shape),
        "differing_spikes": differing,
        "skipped": skipped,
        "forward": {name: summary(times) for name, times in seconds[0].items()},
        "forward_backward": {name: summary(times) for name, times in seconds[1].items()},
        # Forward reads the current and writes spikes; backward reads the current and the spikes'
        # gradient and writes one: 5 tensors, where a copy moves 2.
        "copies": {"forward": 1.0, "forward_backward": 2.5},
        "peak_memory": {name: _peak("layer", kind, shape, name) for name in found},
    }


def training(network: str, rounds: int) -> Result:
    """A training step of a network, for each library and the ANN twin."""
    # First, while this process is small: it keeps the memory that it has once had.
    peak = {name: _peak("training", network, (), name) for name in networks.NAMES}
    frames, labels = networks.batch(network)
    nets = {name: networks.build(name, network) for name in networks.NAMES}
    differing = _assert_equal_logits(nets, frames[:, :4])
    kinds = ("", HALF) if has_bf16(frames.device) else ("",)
    runs: dict[str, Run] = {
        name + kind: networks.training_step(net, frames, labels, half=kind == HALF)
        for name, net in nets.items()
        for kind in kinds
    }
    compiled = torch.compile(networks.build("snnbd", network))
    runs["snnbd" + COMPILED] = networks.training_step(compiled, frames, labels)
    seconds = by_turns(runs, rounds, warmup=1)
    return {
        "shape": list(frames.shape),
        "differing_logits": differing,
        "step": {name: summary(times) for name, times in seconds.items()},
        "peak_memory": peak,
    }


def poisoning(rounds: int) -> Result:
    """Events per second of Static and Moving on 1,000 recordings, raw and binned."""
    draw = np.random.default_rng(0)
    recordings = [_recording(draw) for _ in range(RECORDINGS)]
    frames = draw.poisson(0.1, (RECORDINGS, 16, 2, 34, 34)).astype(np.float32)
    static = triggers.Static(size=0.1, position="bottom-right", polarity="on")
    moving = triggers.Moving(size=0.1, position="top-left", polarity="on")
    on_events = [
        kind(size=0.1, position="top-left", space="events", sensor_size=SENSOR)
        for kind in (triggers.Static, triggers.Moving)
    ]
    assert np.array_equal(static(frames), _frame_by_frame(static, frames))
    assert np.array_equal(moving(frames), _frame_by_frame(moving, frames))
    runs: dict[str, Run] = {
        "Static, frames": lambda: static(frames),
        "Moving, frames": lambda: moving(frames),
        "Static, frame by frame": lambda: _frame_by_frame(static, frames),
        "Moving, frame by frame": lambda: _frame_by_frame(moving, frames),
        "Static, events": lambda: [on_events[0](recording) for recording in recordings],
        "Moving, events": lambda: [on_events[1](recording) for recording in recordings],
    }
    times = {name: summary(s) for name, s in by_turns(runs, rounds, warmup=1).items()}
    events = RECORDINGS * EVENTS
    return {
        "recordings": RECORDINGS,
        "events": events,
        "run": times,
        "events_per_second": {name: 1e3 * events / t["median"] for name, t in times.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [*LAYERS, *STEPS, "poisoning"]
    parser.add_argument("workloads", nargs="*", help=f"of {', '.join(names)}; none: all")
    parser.add_argument("--runs", type=int, default=30, help="timed runs of each peer")
    parser.add_argument("--training-runs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, help="default: in benchmarks/results")
    parser.add_argument("--peak-of", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    kept = memory.keep()
    if arguments.peak_of:
        print(_peak_here(*arguments.peak_of))
        return
    chosen = arguments.workloads or names
    if unknown := set(chosen) - set(names):
        parser.error(f"workloads={sorted(unknown)} are unknown; allowed: {', '.join(names)}")
    results: Result = {"machine": machine(arguments.threads), "memory_kept": kept}
    results["large_pages"] = kept and memory.large_pages_on_request()
    for name in chosen:
        if name in LAYERS:
            results[name] = [layer(name, shape, arguments.runs) for shape in LAYERS[name]]
        elif name in STEPS:
            results[name] = training(STEPS[name], arguments.training_runs)
        else:
            results[name] = poisoning(arguments.training_runs)
        for result in results[name] if name in LAYERS else [results[name]]:
            _report(name, result)
    out = arguments.out or OUT / ("neurons.json" if kept else "neurons_default_memory.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n")


def _report(name: str, result: Result) -> None:
    """Medians, relative to ours where there is one of ours."""
    print(f"{name} {result.get('shape', '')}", flush=True)
    for measure in ("forward", "forward_backward", "step", "run"):
        times = result.get(measure, {})
        base = times.get("snnbd", {}).get("median")
        for who, time in times.items():
            ratio = f"{time['median'] / base:8.2f} x" if base else ""
            spread = f"({time['q1']:.2f} .. {time['q3']:.2f})"
            print(f"  {measure:16} {who:22} {time['median']:9.2f} ms {spread:22} {ratio}")
    for who, size in (result.get("peak_memory") or {}).items():
        print(f"  {'peak memory':16} {who:22} {(size or 0) / 2**20:9.0f} MiB", flush=True)


def _current(kind: str, shape: tuple[int, int, int]) -> tuple[Tensor, Run | None]:
    """A layer's current and, for ``linear``, the product that gives it."""
    draw = torch.Generator().manual_seed(1)
    if kind == "lif":
        return 0.4 + 0.6 * torch.randn(shape, generator=draw), None
    inputs = torch.rand(shape, generator=draw)
    linear = nn.Linear(shape[-1], shape[-1], bias=False)
    with torch.no_grad():
        linear.weight.normal_(0.5 / shape[-1], 1.0 / shape[-1] ** 0.5, generator=draw)
        current = linear(inputs)

    def product() -> Tensor:
        with torch.no_grad():
            out: Tensor = linear(inputs)
        return out

    return current, product


def _forward(neuron: nn.Module, current: Tensor) -> Run:
    def run() -> object:
        with torch.no_grad():
            return neuron(current)

    return run


def _both(neuron: nn.Module, current: Tensor, upstream: Tensor) -> Run:
    leaf = current.clone().requires_grad_()

    def run() -> object:
        return torch.autograd.grad(neuron(leaf), leaf, upstream)

    return run


class _Empty(nn.Module):
    """What a call of autograd's takes by itself, forward and backward."""

    def forward(self, current: Tensor) -> Tensor:
        out: Tensor = _Same.apply(current)
        return out


class _Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor) -> Tensor:
        return current.view_as(current)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _assert_equal_spikes(found: dict[str, nn.Module], current: Tensor) -> dict[str, float]:
    """Share of spikes in which each peer differs from ours; stops where it is too large."""
    spikes = {name: _forward(neuron, current)() for name, neuron in found.items()}
    ours = spikes.pop("snnbd")
    assert isinstance(ours, Tensor)
    if not 0.01 < ours.mean() < 0.9:
        raise ValueError(f"{ours.mean():.3f} of the neurons fire: no workload to compare")
    shares: dict[str, float] = {}
    for name, theirs in spikes.items():
        assert isinstance(theirs, Tensor)
        shares[name] = differing_share(ours, theirs)
        if shares[name] > peers.TOLERATED[name]:
            raise ValueError(f"{name} differs from ours in {shares[name]:.2e} of all spikes")
    return shares


def _assert_equal_logits(nets: dict[str, nn.Module], frames: Tensor) -> dict[str, float]:
    """Largest difference of a spiking peer's logits from ours, in evaluation mode.

    Convolutions of other batch sizes round otherwise, which moves single spikes: of the 10 T votes
    behind each logit, up to 2 may differ.
    """
    logits = {}
    for name, net in nets.items():
        net.eval()
        with torch.no_grad():
            logits[name] = net(frames)
    ours = logits.pop("snnbd")
    del logits["ANN twin"]
    differing = {name: (theirs - ours).abs().max().item() for name, theirs in logits.items()}
    for name, most in differing.items():
        if most > 2 / (10 * len(frames)):
            raise ValueError(f"{name} differs from ours by {most:.3f} in a logit")
    return differing


def _peak(what: str, kind: str, shape: tuple[int, ...], name: str) -> int | None:
    """Peak memory of one peer, in a process of its own."""
    if not sys.platform.startswith("linux"):
        return None
    command = [
        sys.executable,
        "-m",
        "benchmarks.neurons",
        "--threads",
        str(torch.get_num_threads()),
        "--peak-of",
        what,
        kind,
        json.dumps(shape),
        name,
    ]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )
    return int(done.stdout.split()[-1])


def _peak_here(what: str, kind: str, shape_text: str, name: str) -> int:
    shape = tuple(json.loads(shape_text))
    if what == "training":
        frames, labels = networks.batch(kind)
        step = networks.training_step(networks.build(name, kind), frames, labels)
        small = networks.training_step(networks.build(name, kind), frames[:1, :2], labels[:2])

        def run() -> object:
            return [step() for _ in range(3)]  # the heap grows for a few steps

    else:
        neuron = peers.neurons()[0][name]
        current, _ = _current(kind, shape)
        run = _both(neuron, current, torch.ones_like(current))
        small = _both(neuron, current[:, :1, :8].clone(), torch.ones_like(current[:, :1, :8]))
    small()  # compiles and imports what it needs
    return peak_memory(run)


def _recording(draw: np.random.Generator) -> np.ndarray:
    """A random recording as long and as large as those of N-MNIST."""
    events = np.empty(EVENTS, [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
    events["x"], events["y"] = draw.integers(0, 34, (2, EVENTS))
    events["t"] = np.sort(draw.integers(0, 300_000, EVENTS))
    events["p"] = draw.integers(0, 2, EVENTS)
    return events


def _frame_by_frame(trigger: Callable[[np.ndarray], np.ndarray], frames: np.ndarray) -> np.ndarray:
    """What the papers' code does: every recording, every frame, every pixel in a Python loop."""
    schedule = trigger.schedule(frames.shape[1], frames.shape[-1], frames.shape[-2])
    out = frames.copy()
    for sample in out:
        for patch, times in schedule:
            for frame in sample[times]:
                for y in range(patch.rows.start, patch.rows.stop):
                    for x in patch.columns:
                        frame[0, y, x], frame[1, y, x] = 0, 1
    return out


if __name__ == "__main__":
    main()
