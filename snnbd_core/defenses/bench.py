"""What a defence works with: a network on a device, samples that it may look at, T and a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks, guards
from snnbd_core.data import as_set
from snnbd_core.data.batches import as_sequence, choose_device
from snnbd_core.data.samples import SampleSet, frames_of
from snnbd_core.view import Layer, View, evaluating, fixed, override

__all__ = ["Bench", "check_clean", "copied", "covered", "frozen", "taken"]

_BATCH = 128


@dataclass(frozen=True)
class Bench:
    """A network that is looked at.

    Attributes:
        view: what the network shows.
        data: samples to look at; None for a defence that needs none.
        device: where the network is, evaluating.
        steps: T for static images.
        seed: of all that is drawn.
    """

    view: View
    data: Any
    device: torch.device
    steps: int
    seed: int = 0

    def __post_init__(self) -> None:
        checks.fields(self, ("steps",), checks.whole, 1)

    @property
    def net(self) -> nn.Module:
        """The network."""
        return self.view.net

    def __call__(self, batch: Tensor) -> Tensor:
        """Logits [B, classes] of samples [B, T, C, H, W] or [B, C, H, W], from a fresh state."""
        return self.view(self.sequence(batch))

    def sequence(self, batch: Tensor) -> Tensor:
        """The samples as the network reads them, [T, B, C, H, W], on its device."""
        return as_sequence(batch.to(self.device), self.steps)

    def samples(self, rows: np.ndarray | None = None) -> tuple[Tensor, Tensor]:
        """Samples and labels of some rows on the device, or of all."""
        batch, labels = self.data.batch(np.arange(len(self.data)) if rows is None else rows)
        return batch.to(self.device), labels.to(self.device)

    @property
    def few(self) -> Tensor:
        """The first samples, at most 8, as the network reads them."""
        return self.sequence(self.data.batch(np.arange(min(8, len(self.data))))[0])

    def made_up(self, count: int, frames: int | None) -> tuple[int, ...]:
        """Shape of so many inputs that nobody recorded: [count, T, C, H, W], or of static images.

        T is `frames`; None takes that of the samples, and without samples means static images.
        """
        if frames is None and self.data is not None:
            frames = frames_of(self.data)
        times = () if frames is None else (frames,)
        return (count, *times, *self.view.input_shape)

    def batches(self, data: SampleSet | Tensor) -> Iterator[Tensor]:
        """All samples of a set or batch, 128 at a time, as sequences [T, B, C, H, W]."""
        for start in range(0, len(data), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(data)))
            yield self.sequence(data[rows] if isinstance(data, Tensor) else data.batch(rows)[0])

    @torch.no_grad()
    def rates(self, data: SampleSet | Tensor, largest: bool = False) -> list[Tensor]:
        """Spikes per neuron and time step of each hidden channel, one [C] for each hidden layer.

        Averaged over the channel's places and the samples, or the largest of them.
        """
        found: list[list[Tensor]] = []
        for sequence in self.batches(data):
            with self.view.read(self.view.hidden, "spikes") as spikes:
                self.view(sequence)
            places = [output.mean(dim=0).unsqueeze(2).flatten(2) for output in spikes]
            found.append([rate.amax(dim=2) if largest else rate.mean(dim=2) for rate in places])
        stacked = [torch.cat(parts) for parts in zip(*found, strict=True)]
        return [rate.amax(dim=0) if largest else rate.mean(dim=0) for rate in stacked]

    @property
    def spiking_layers(self) -> tuple[Layer, ...]:
        """The layers of neurons that have a threshold; NotVisible where there is none."""
        if not self.view.spiking:
            raise self.view.blind("a threshold", "it has no spiking layer")
        return self.view.spiking_layers

    def at(self, threshold: float | None) -> AbstractContextManager[Any]:
        """The block in which all neurons have another threshold; None leaves them theirs."""
        return nullcontext() if threshold is None else override(self.net, threshold=threshold)

    def copied(self) -> Bench:
        """The same with a copy of the network."""
        self.view.reset()  # state that hangs on a graph cannot be copied
        return replace(self, view=View(checks.copied(self.net), self.view.like))


def copied(
    net: nn.Module, data: Any, *, device: str | torch.device = "auto", steps: int = 4, seed: int = 0
) -> Bench:
    """A copy of a network, evaluating; the network itself is left as it is. See `frozen`."""
    checks.finite(net, "repaired")
    place, view = choose_device(device), View(net)
    view.reset()
    return _bench(checks.copied(view.net).to(place).eval(), data, place, steps, seed)


@contextmanager
def frozen(
    net: nn.Module,
    data: Any = None,
    *,
    device: str | torch.device = "auto",
    steps: int = 4,
    seed: int = 0,
) -> Iterator[Bench]:
    """The network itself, evaluating and its weights without gradients; all of it is put back.

    Args:
        net: the network.
        data: samples as it reads them, a set of this library; None where there are none.
        device: "auto" is CUDA, MPS or CPU, in this order.
        steps: T for static images.
        seed: of all that is drawn.

    Raises:
        ValueError: weights that are not finite, a device that is not here, steps below 1.
    """
    checks.finite(net, "inspected")
    view, place = View(net), choose_device(device)
    with evaluating(view.net, place), fixed(view.net):
        try:
            yield _bench(view.net, data, place, steps, seed)
        finally:
            view.reset()


def taken(data: Any) -> Any:
    """A data set of any kind as one of this library's; None stays None."""
    return None if data is None else as_set(data)


def check_clean(net: nn.Module, clean: Any) -> SampleSet:
    """The clean samples as a set of this library, if a defence can work with them.

    Raises:
        ValueError: no samples, samples of another shape than the network's.
    """
    clean = taken(clean)
    if clean is None or not len(clean):
        raise ValueError("clean_samples is empty: this defence needs some of every class")
    shape = getattr(net, "input_shape", None) or clean.input_shape
    if tuple(clean.input_shape) != tuple(shape):
        raise ValueError(
            f"clean_samples have shape {tuple(clean.input_shape)}, the network reads {tuple(shape)}"
        )
    return clean


def covered(bench: Bench) -> Bench:
    """The bench, if it has samples of every class.

    Classes are those of the set and of the network: its own number, or that of its logits.

    Raises:
        ValueError: a class without a sample.
    """
    classes = getattr(bench.net, "classes", None)
    if not isinstance(classes, int):
        with torch.no_grad(), torch.random.fork_rng(devices=[]), guards.undrawn(bench.net):
            classes = bench.view(bench.few).shape[1]
    wanted = range(max(classes, bench.data.classes))
    missing = sorted(set(wanted) - {int(label) for label in bench.data.labels})
    if missing:
        raise ValueError(
            f"clean_samples has none of class {missing[0]}, and the network answers {classes} "
            "classes: allowed is every class"
        )
    return bench


def _bench(net: nn.Module, data: Any, place: torch.device, steps: int, seed: int) -> Bench:
    """A network on a bench, if it answers a few samples alike twice."""
    if data is None or not len(data):
        return Bench(View(net), data, place, steps, seed)
    like = as_sequence(data.batch(np.arange(1))[0], max(2, steps))
    bench = Bench(View(net, like), data, place, steps, seed)
    with torch.random.fork_rng(devices=[]):
        bench.view.check_steady(bench.few)
    return bench
