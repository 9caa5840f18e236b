"""What runs take before they are done: downloads, hours, disk and memory.

Time comes from records of the same network and set where there are any, and else from operations:
three times the multiplications of a forward pass for each sample, time step and epoch, at the rate
that a training step was measured at (``benchmarks/results/neurons.json``: nmnist-conv, T = 16, 64
samples in 2,388 ms on two cores). No card was at hand: its rate is assumed, 10 TMAC/s, a
fifteenth of what a data sheet says of a card of 2020 (A100, bfloat16: 156 TMAC/s).
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snnbd_book.runs import Experiment, Record
from snnbd_core import networks
from snnbd_core.attacks import Dynamic, Generated
from snnbd_core.data.downloads import BY_HAND, SOURCES
from snnbd_core.defenses import Repair
from snnbd_core.triggers import Recipe

CORES = 80e9  # multiplications a second of two cores, see above
CARD = 10e12
_PASSES = 3  # forward, and backward for weights and inputs
_EVALUATED = 4  # passes over the test set: clean, triggered, and both of the floor's network
_GIB = 2**30

Kind = tuple[str, str, str, float, int, int | None]


@dataclass(frozen=True)
class Set:
    """A data set as it is published: samples, (C, H, W), classes, MB to download."""

    train: int
    test: int
    shape: tuple[int, int, int]
    classes: int
    megabytes: int = 0


SETS = {
    "digits": Set(1_438, 359, (1, 8, 8), 10),
    "digits-events": Set(1_438, 359, (2, 34, 34), 10),
    "gestures-events": Set(660, 220, (2, 64, 64), 11),
    "cifar10-events": Set(2_250, 250, (2, 48, 48), 10, 162),
    "mnist": Set(60_000, 10_000, (1, 28, 28), 10, 12),
    "cifar10": Set(50_000, 10_000, (3, 32, 32), 10, 162),
    "cifar10-small": Set(8_000, 2_000, (3, 32, 32), 10, 162),
    "cifar100": Set(50_000, 10_000, (3, 32, 32), 100, 161),
    "gtsrb": Set(39_209, 12_630, (3, 32, 32), 43, 343),
    "nmnist": Set(60_000, 10_000, (2, 34, 34), 10, 1_180),
    "dvs-gesture": Set(1_077, 264, (2, 128, 128), 11, 2_700),
    "cifar10-dvs": Set(9_000, 1_000, (2, 128, 128), 10, 7_700),
    "ncaltech101": Set(6_967, 1_742, (2, 180, 240), 101, 3_800),
}
"""Sizes of downloads are rounded; those of the three last are of tonic's and others' archives."""


@dataclass(frozen=True)
class Size:
    """Of a network: multiplications of one sample's time step, and numbers it keeps for it."""

    operations: int
    kept: int
    weights: int


@functools.lru_cache(maxsize=64)
def size_of(network: str, data: str, width: float) -> Size:
    """Counted on a network without memory, by the layers that it runs."""
    found, counts = SETS[data], [0, 0]

    def count(layer: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        counts[1] += out.numel()
        if isinstance(layer, nn.Conv2d):
            counts[0] += out.numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Linear):
            counts[0] += layer.weight.numel()

    with torch.device("meta"):
        net = networks.build(network, found.shape, found.classes, nn.ReLU, width=width).eval()
        leaves = [layer for layer in net.modules() if not list(layer.children())]
        hooks = [layer.register_forward_hook(count) for layer in leaves]
        with torch.no_grad():
            net(torch.empty(1, 1, *found.shape))
    for hook in hooks:
        hook.remove()
    return Size(counts[0], counts[1], sum(part.numel() for part in net.parameters()))


def operations(run: Experiment) -> float:
    """Multiplications of a training and of what is measured of it."""
    found = SETS[run.data]
    trained = (run.samples or found.train) * run.epochs * _PASSES
    tested = found.test * _EVALUATED
    step = size_of(run.network, run.data, run.width).operations
    return float(step * run.frames * (trained + tested))


def trainings(wanted: Iterable[Experiment]) -> dict[str, Experiment]:
    """All trainings that runs need, by hash, those of the floors' clean networks among them."""
    found: dict[str, Experiment] = {}
    for run in wanted:
        for one in (run, run.clean_twin):
            found.setdefault(one.training.hash, one.training)
    return found


def told(wanted: Sequence[Experiment], every: Iterable[Record], absent: Sequence[str]) -> str:
    """What running some experiments takes, for people; `absent` are the sets that are not here."""
    return "\n".join(_lines(wanted, every, absent))


def _lines(
    wanted: Sequence[Experiment], every: Iterable[Record], absent: Sequence[str]
) -> Iterator[str]:
    needed = trainings(wanted)
    sets = sorted({run.data for run in wanted})
    own = len({run.training.hash for run in wanted})
    yield f"{len(wanted)} runs of {own} trainings, {len(needed)} with those of their floors"
    yield f"data sets: {', '.join(sets) or 'none'}"
    for name in absent:
        size = f"{SETS[name].megabytes:,} MB"
        if name in SOURCES:
            yield f"to download: {name}, {size}"
        else:
            how = f"{BY_HAND[name]} into a folder, and set SNNBD_DATA to it"
            yield f"to get by hand: {name}, {size}. {how}"
    known = _seconds(every)
    here = [run for run in needed.values() if _kind(run) in known]
    hours = sum(known[_kind(run)] * run.epochs for run in here) / 3600
    if here:
        yield f"about {hours:.1f} hours of one core for {len(here)} trainings, by the records"
    rest = [run for run in needed.values() if _kind(run) not in known]
    if rest:
        work = sum(map(operations, rest))
        yield (
            f"about {lasting(work / CORES)} of two cores for {len(rest)} trainings, by their "
            f"operations ({work:.1e} multiplications), or {lasting(work / CARD)} of a card "
            f"(assumed: {CARD / 1e12:.0f} TMAC/s)"
        )
    others = sum(run.probe is not None or _repairs(run.defence) for run in wanted)
    learnt = sum(isinstance(run.trigger, Recipe | Dynamic | Generated) for run in wanted)
    if others or learnt:
        yield (
            f"not counted: repairs and detectors of {others} runs, and what {learnt} runs take to "
            "learn a trigger"
        )
    if wanted:
        yield f"disk: about {_disk(needed.values(), absent) / _GIB:.1f} GiB for sets and networks"
        largest = max(needed.values(), key=_memory)
        yield (
            f"memory: up to {_memory(largest) / _GIB:.1f} GiB, for {largest.network} on "
            f"{largest.data} in batches of {largest.batch_size}"
        )


def _repairs(defence: object) -> bool:
    return isinstance(getattr(defence, "repair_by", defence), Repair)


def _kind(run: Experiment) -> Kind:
    # A profile's set may be a part of the published one, as in the sample profile.
    return run.profile, run.data, run.network, run.width, run.frames, run.samples


def _seconds(every: Iterable[Record]) -> dict[Kind, float]:
    """Mean seconds of an epoch of each kind of run that was recorded."""
    found: dict[Kind, list[float]] = defaultdict(list)
    for item in every:
        found[_kind(item.experiment)].append(item.provenance.seconds / item.experiment.epochs)
    return {kind: sum(some) / len(some) for kind, some in found.items()}


def _disk(runs: Iterable[Experiment], absent: Sequence[str]) -> float:
    """Bytes of downloads, of sets as the cache holds them, and of the networks."""
    runs = list(runs)
    total = float(sum(SETS[name].megabytes * 1e6 for name in absent))
    for name, frames in {(run.data, run.frames) for run in runs}:
        found = SETS[name]
        channels, height, width = found.shape
        steps = frames if channels == 2 else 1
        total += (found.train + found.test) * steps * channels * height * width
    return total + sum(4 * size_of(run.network, run.data, run.width).weights for run in runs)


def _memory(run: Experiment) -> float:
    """Bytes that a training keeps: what layers give, twice, and weights with their optimiser."""
    size = size_of(run.network, run.data, run.width)
    return 4.0 * (2 * size.kept * run.frames * run.batch_size + 4 * size.weights)


def lasting(seconds: float) -> str:
    """Seconds in hours, or in days from 72 hours on."""
    hours = seconds / 3600
    return f"{hours / 24:.0f} days" if hours >= 72 else f"{hours:.1f} hours"
