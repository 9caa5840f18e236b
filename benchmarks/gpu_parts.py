"""The parts of ``snnbd gpu-check``; each prints what it found, a JSON object a line.

python -m benchmarks.gpu_parts kernels | neurons | training | NETWORK [--dry]
"""

from __future__ import annotations

import functools
import itertools
import json
import statistics
import warnings
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

import snnbd_core as sb
from benchmarks import networks, peers
from benchmarks.measure import Run, by_turns
from snnbd_book.runs import Experiment
from snnbd_core.kernels import RESETS, SURROGATES, UPDATES, Rule, compute_dtype, fused, reference

Found = dict[str, Any]
# Shape of a frame, T and B of a training step.
STEPS = {
    "nmnist-conv": ((2, 34, 34), 16, 64),
    "gesture-conv": ((2, 128, 128), 16, 16),
    "resnet19": ((3, 32, 32), 4, 64),
}
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
    "one step repeated": lambda x: x[:1].expand(len(x), -1, -1, -1, -1),
}
# How far a gradient may be from the reference's: half precision rounds what backward needs.
CLOSE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.05, torch.float16: 0.01}


def check_kernels(device: torch.device, dry: bool) -> Iterator[Found]:
    """The kernels beside the reference: every rule, every layout with every type."""
    rules = [
        Rule(reset, update, surrogate, 1.7, detach, decay)
        for reset, update, surrogate, (detach, decay) in itertools.product(
            RESETS, UPDATES, SURROGATES, ((True, False), (False, False), (False, True))
        )
    ]
    kinds = list(itertools.product(LAYOUTS.values(), CLOSE))
    cases = [
        *zip(rules, itertools.cycle(kinds), strict=False),
        *zip(itertools.cycle(rules[:7]), kinds, strict=False),
    ]
    for rule, (arrange, dtype) in cases:
        compare(rule, arrange, dtype, device)
    yield {"cases that agree with the reference": len(cases)}


def compare(
    rule: Rule, arrange: Callable[[Tensor], Tensor], dtype: torch.dtype, device: torch.device
) -> None:
    """Raises AssertionError where spikes differ, or gradients by more than is `CLOSE`."""
    from snnbd_core.kernels import cuda  # needs Triton

    draw = torch.Generator().manual_seed(0)
    current = arrange(1.5 * torch.randn(6, 3, 8, 5, 5, generator=draw).to(device, dtype))
    wide = compute_dtype(current)
    beta = torch.rand(8, 1, 1, generator=draw).to(device, wide)
    threshold = (0.2 + torch.rand((), generator=draw)).to(device, wide)
    upstream = torch.randn(current.shape, generator=draw).to(device, dtype)
    results = []
    for given, run in (
        (current, lambda *leaves: fused.step(cuda, *leaves, rule, False)),
        (current.to(wide), lambda *leaves: reference.step(*leaves, rule)),
    ):
        leaves = [value.detach().requires_grad_() for value in (given, beta, threshold)]
        spikes, _ = run(*leaves)
        results.append((spikes, torch.autograd.grad(spikes, leaves, upstream.to(spikes.dtype))))
    (spikes, gradients), (expected, expected_gradients) = results
    assert torch.equal(spikes.to(wide), expected), f"spikes differ: {rule}, {dtype}"
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        scale = theirs.abs().max().item()
        torch.testing.assert_close(
            ours.to(wide), theirs, rtol=CLOSE[dtype], atol=CLOSE[dtype] * scale
        )


def time_neurons(device: torch.device, dry: bool) -> Iterator[Found]:
    """A layer forward and backward beside its peers, and against a copy."""
    shape = (4, 2, 64) if dry else (16, 64, 65536)
    rounds = 2 if dry else 20
    current = (0.4 + 0.6 * torch.randn(shape)).to(device)
    target, upstream = torch.empty_like(current), torch.randn(shape).to(device)
    nets = {
        "snnbd": peers.ours(),
        "SpikingJelly": peers.SpikingJelly(),
        "snnTorch": peers.SnnTorch(),
    }
    runs: dict[str, Run] = {"copy": lambda: target.copy_(current)}
    for name, net in nets.items():
        runs[f"{name}, forward"] = functools.partial(forward, net.to(device), current)
        runs[f"{name}, forward and backward"] = functools.partial(
            back_and_forth, net, current, upstream
        )
    times = medians(runs, rounds)
    yield {f"{name} (ms)": value for name, value in times.items()}
    # Forward reads the current and writes spikes and distances; backward reads distances and the
    # spikes' gradient, and writes one. A copy moves two tensors.
    share = 1.5 * times["copy"] / times["snnbd, forward"]
    yield {"share of the copy's bandwidth, forward": share}
    share = 3 * times["copy"] / times["snnbd, forward and backward"]
    yield {"share of the copy's bandwidth, forward and backward (goal 0.8)": share}


def forward(net: nn.Module, current: Tensor) -> object:
    with torch.no_grad():
        return net(current)


def back_and_forth(net: nn.Module, current: Tensor, upstream: Tensor) -> object:
    leaf = current.detach().requires_grad_()
    return torch.autograd.grad(net(leaf), leaf, upstream)


def time_step(name: str, device: torch.device, dry: bool) -> Iterator[Found]:
    """A training step in bf16 beside the ANN twin's, and under torch.compile."""
    shape, steps, batch = STEPS[name]
    if dry:
        side = 16 if name == "nmnist-conv" else 32
        shape, steps, batch = (shape[0], side, side), 2, 2
    draw = torch.Generator().manual_seed(0)
    frames = torch.poisson(torch.full((steps, batch, *shape), 0.1), generator=draw).to(device)
    labels = torch.randint(10, (batch,), generator=draw).to(device)

    def run(neuron: Callable[[], nn.Module], captured: bool = False) -> Run:
        net = sb.networks.build(name, shape, 10, neuron=neuron, seed=0).to(device)
        step = networks.training_step(
            compiled(net, dry) if captured else net, frames, labels, half=True
        )
        step()
        return step

    kinds = {"snnbd": peers.ours, "ANN twin": nn.ReLU}
    runs = {f"{kind}, bf16": run(neuron) for kind, neuron in kinds.items()}
    times = medians(runs, 2 if dry else 10)
    yield {f"{kind} (ms)": value for kind, value in times.items()}
    yield {"against the ANN twin (goal 1.15)": times["snnbd, bf16"] / times["ANN twin, bf16"]}
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        runs["snnbd, bf16"]()
        yield {"peak memory (MiB)": torch.cuda.max_memory_allocated(device) / 2**20}
    captured = {f"{kind}, bf16, compiled": run(neuron, True) for kind, neuron in kinds.items()}
    yield {f"{kind} (ms)": value for kind, value in medians(captured, 2 if dry else 10).items()}


def compiled(net: nn.Module, dry: bool = False) -> nn.Module:
    """The network under torch.compile; itself where there is none, which is said once."""
    try:
        return torch.compile(net, backend="aot_eager" if dry else "inductor")
    except RuntimeError as error:
        say_once(f"torch.compile does not run here, networks run without it: {error}")
        return net


@functools.cache
def say_once(message: str) -> None:
    warnings.warn(message, stacklevel=3)


def train(device: torch.device, dry: bool) -> Iterator[Found]:
    """The quick profile's network on digits-events, on the CPU and on the device."""
    usual = Experiment.for_profile("quick")
    data, test = sb.data.load(usual.data, frames=usual.frames)
    if dry:
        data, test = data.subset(range(64)), test.subset(range(64))
    accuracies: dict[str, list[float]] = {}
    for place in dict.fromkeys(("cpu", device.type)):
        accuracies[place] = []
        for seed in range(3):
            net = sb.networks.build(usual.network, data.input_shape, data.classes, seed=seed)
            sb.learning.train(
                net,
                data,
                epochs=1 if dry else 4,
                seed=seed,
                device=place,
                batch_size=usual.batch_size,
                learning_rate=usual.learning_rate,
                progress=False,
            )
            accuracies[place].append(float(sb.evaluate(net, test, device=place).clean_accuracy))
        yield {f"accuracies on {place}": accuracies[place]}
    means = [statistics.mean(values) for values in accuracies.values()]
    spread = 0.01 + 2 * statistics.stdev(accuracies["cpu"])
    yield {"difference of the means": means[-1] - means[0], "allowed": spread}
    assert abs(means[-1] - means[0]) <= spread, "the device's networks answer otherwise"


def medians(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Milliseconds, by turns."""
    seconds = by_turns(runs, rounds)
    return {name: round(1e3 * statistics.median(times), 3) for name, times in seconds.items()}


PARTS: dict[str, Callable[[torch.device, bool], Iterator[Found]]] = {
    "kernels": check_kernels,
    "neurons": time_neurons,
    "training": train,
    **{name: functools.partial(time_step, name) for name in STEPS},
}


def main(part: str, dry: Annotated[bool, typer.Option("--dry")] = False) -> None:
    """Run one part."""
    device = torch.device("cpu" if dry else "cuda")
    if not dry:
        print(json.dumps({"device": torch.cuda.get_device_name()}), flush=True)
    for found in PARTS[part](device, dry):
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    typer.run(main)
