"""What runs take before they are done: downloads, hours and disk; for memory see `choosing`.

Time comes from records of the same network and set where there are any, and else from operations:
three times the multiplications of a forward pass for each sample, time step and epoch, at the rate
that a training step was measured at (``benchmarks/results/neurons.json``: nmnist-conv, T = 16, 64
samples in 2,388 ms on two cores). No card was at hand: its rate is assumed, 10 TMAC/s, a
fifteenth of what a data sheet says of a card of 2020 (A100, bfloat16: 156 TMAC/s).

Repairs, detectors and learnt triggers are counted by their passes, see `work`, a pass taking what
it takes in training. For repairs with passes that is within a factor of 3 of the seconds in all
committed records of networks of the papers' size (CIFAR-10, GTSRB), and in four of five of the
others, where seconds are few; detectors with few passes take up to ten times as long, which is the
time of their other work. Records do not time what `Generated` learns.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snnbd_book.runs import Experiment, Record
from snnbd_book.verify import holdings, work
from snnbd_book.verify.holdings import Holdings
from snnbd_core import networks
from snnbd_core.attacks import Dynamic, Generated
from snnbd_core.data.downloads import BY_HAND, SOURCES
from snnbd_core.triggers import Recipe

CORES = 80e9  # multiplications a second of two cores, see above
CARD = 10e12
_GIB = 2**30

Kind = tuple[str, str, str, float, int, int | None]
Handling = tuple[Kind, tuple[str, ...]]


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
    trained = (run.samples or found.train) * run.epochs * work.BOTH
    return _multiplications(run, trained + found.test * work.EVALUATED)


def _multiplications(run: Experiment, passes: float, network: str | None = None) -> float:
    """Those of so many samples' passes through a run's network, or through another."""
    width = run.width if network is None else 1.0
    return float(size_of(network or run.network, run.data, width).operations * run.frames * passes)


def _samples(run: Experiment) -> work.Samples:
    found = SETS[run.data]
    given = run.held_out * found.classes
    return work.Samples(run.samples or found.train, found.test - given, given, found.classes)


def trainings(wanted: Iterable[Experiment]) -> dict[str, Experiment]:
    """All trainings that runs need, by hash, those of the floors' clean networks among them."""
    found: dict[str, Experiment] = {}
    for run in wanted:
        for one in (run, run.clean_twin):
            found.setdefault(one.training.hash, one.training)
    return found


def learners(wanted: Iterable[Experiment]) -> list[Experiment]:
    """One run for each trigger that is learnt: with its network, against it, or on a set."""
    found: dict[object, Experiment] = {}
    for run in wanted:
        if isinstance(run.trigger, Dynamic | Generated):
            found.setdefault((run.training.hash, run.trigger, run.target), run)
        elif isinstance(run.trigger, Recipe):
            on = run.data, run.frames, run.binning, run.samples
            found.setdefault((on, run.trigger, run.target, run.seed), run)
    return [run for run in found.values() if work.learnt(run, _samples(run))[1]]


def told(
    wanted: Sequence[Experiment],
    every: Iterable[Record],
    here: Holdings,
    parts: Holdings,
) -> str:
    """What running some experiments takes, for people.

    Args:
        wanted: the experiments.
        every: records, for their times.
        here: how many samples are here of each set, or what is damaged.
        parts: those of them that are less than is needed.
    """
    return "\n".join(_lines(wanted, list(every), here, parts))


def _lines(
    wanted: Sequence[Experiment], every: list[Record], here: Holdings, parts: Holdings
) -> Iterator[str]:
    needed = trainings(wanted)
    sets = sorted({run.data for run in wanted})
    missing = [name for name in sets if name not in here or name in parts]
    own = len({run.training.hash for run in wanted})
    yield f"{len(wanted)} runs of {own} trainings, {len(needed)} with those of their floors"
    yield f"data sets: {', '.join(sets) or 'none'}"
    yield from (_to_get(name, parts) for name in missing)
    yield from (f"damaged: {one.damage}" for one in here.values() if one.damage)
    yield from _times(wanted, list(needed.values()), every)
    if wanted:
        yield f"disk: about {_disk(needed.values(), missing) / _GIB:.1f} GiB for sets and networks"


def _to_get(name: str, parts: Holdings) -> str:
    """How a set that is not here, or of which a part is, can be had."""
    size = f"{SETS[name].megabytes:,} MB"
    start = f"{holdings.share(name, parts[name])}; " if name in parts else ""
    other = "another" if name in parts else "a"
    if name in SOURCES:
        place = ", into a folder without the part" if name in parts else ""
        return f"{start}to download: {name}, {size}{place}"
    how = f"{BY_HAND[name]} into {other} folder, and set SNNBD_DATA to it"
    return f"{start}to get by hand: {name}, {size}. {how}"


def _times(
    wanted: Sequence[Experiment], needed: Sequence[Experiment], every: list[Record]
) -> Iterator[str]:
    """Hours by the records, and by operations where there are none; what is in neither."""
    epoch, beside = _seconds(every)
    known = [run for run in needed if _kind(run) in epoch]
    handled = [run for run in wanted if _handling(run) in beside]
    if known or handled:
        seconds = sum(epoch[_kind(run)] * run.epochs for run in known)
        rest = sum(beside[_handling(run)] for run in handled)
        yield (
            f"about {(seconds + rest) / 3600:.1f} hours of one core by the records: "
            f"{seconds / 3600:.1f} for {len(known)} trainings, {rest / 3600:.1f} for evaluation, "
            f"repairs and detectors of {len(handled)} runs"
        )
    trained = [operations(run) for run in needed if _kind(run) not in epoch]
    repaired = [
        _multiplications(run, work.handled(run, _samples(run)))
        for run in wanted
        if _handling(run) not in beside
    ]
    learning = []
    for run in learners(wanted):
        if _handling(run) in beside and not isinstance(run.trigger, Generated):
            continue  # records time what others learn
        network, passes = work.learnt(run, _samples(run))
        learning.append(_multiplications(run, passes, network))
    yield from _by_operations(trained, [some for some in repaired if some], learning)
    counts = Counter(name for run in wanted for name in work.left_out(run))
    if counts:
        names = ", ".join(f"{name} of {count} runs" for name, count in sorted(counts.items()))
        yield f"not counted: {names}"


def _by_operations(
    trained: list[float], repaired: list[float], learning: list[float]
) -> Iterator[str]:
    total = sum((*trained, *repaired, *learning))
    if not total:
        return
    shares = ", ".join(
        f"{max(0.01, sum(some) / total):.0%} for {what.format(len(some))}"
        for some, what in (
            (trained, "{} trainings"),
            (repaired, "evaluation, repairs and detectors of {} runs"),
            (learning, "{} triggers that are learnt"),
        )
        if some
    )
    yield (
        f"about {lasting(total / CORES)} of two cores by their operations ({total:.1e} "
        f"multiplications), or {lasting(total / CARD)} of a card (assumed: "
        f"{CARD / 1e12:.0f} TMAC/s): {shares}"
    )


def _kind(run: Experiment) -> Kind:
    # A profile's set may be a part of the published one, as in the sample profile.
    return run.profile, run.data, run.network, run.width, run.frames, run.samples


def _handling(run: Experiment) -> Handling:
    """What the time of a run beside its training depends on."""
    inner = getattr(run.defence, "repair_by", None)
    parts = (run.defence, inner, run.probe, run.trigger)
    return _kind(run), tuple(type(part).__name__ for part in parts)


def _seconds(
    every: Iterable[Record],
) -> tuple[dict[Kind, float], dict[Handling, float]]:
    """Mean seconds of an epoch of each kind of run that was recorded, and of what came beside."""
    epochs: dict[Kind, list[float]] = defaultdict(list)
    beside: dict[Handling, list[float]] = defaultdict(list)
    for item in every:
        trained = sum(item.history.seconds)
        if not trained:  # of a conversion nothing is told
            continue
        epochs[_kind(item.experiment)].append(trained / len(item.history.seconds))
        beside[_handling(item.experiment)].append(max(0.0, item.provenance.seconds - trained))
    return (
        {kind: sum(some) / len(some) for kind, some in epochs.items()},
        {kind: sum(some) / len(some) for kind, some in beside.items()},
    )


def _disk(runs: Iterable[Experiment], missing: Sequence[str]) -> float:
    """Bytes of downloads, of sets as the cache holds them, and of the networks."""
    runs = list(runs)
    total = float(sum(SETS[name].megabytes * 1e6 for name in missing))
    total += sum(cached(name, frames) for name, frames in {(run.data, run.frames) for run in runs})
    return total + sum(4 * size_of(run.network, run.data, run.width).weights for run in runs)


def cached(name: str, frames: int) -> int:
    """Bytes of a set as the cache holds it."""
    found = SETS[name]
    channels, height, width = found.shape
    steps = frames if channels == 2 else 1
    return (found.train + found.test) * steps * channels * height * width


def lasting(seconds: float) -> str:
    """Seconds in hours, or in days from 72 hours on."""
    hours = seconds / 3600
    return f"{hours / 24:.0f} days" if hours >= 72 else f"{hours:.1f} hours"
