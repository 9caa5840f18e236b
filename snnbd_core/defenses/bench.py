"""A network on a device as defences look at it, and the samples that they show it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.data import as_set
from snnbd_core.data.batches import as_sequence, choose_device
from snnbd_core.view import Layer, View, evaluating, fixed

__all__ = [
    "BATCH",
    "Bench",
    "check_clean",
    "copied",
    "frozen",
    "taken",
]

BATCH = 128


@dataclass(frozen=True)
class Bench:
    """A network that is looked at.

    Attributes:
        net: the network, evaluating, on `device`.
        view: what it shows.
        device: where it runs.
        steps: T for static images.
    """

    net: nn.Module
    view: View
    device: torch.device
    steps: int

    def __call__(self, batch: Tensor) -> Tensor:
        """Logits [B, classes] of samples [B, T, C, H, W] or [B, C, H, W], from a fresh state."""
        return self.view(self.sequence(batch))

    def sequence(self, batch: Tensor) -> Tensor:
        """The samples as the network reads them, [T, B, C, H, W], on its device."""
        return as_sequence(batch.to(self.device), self.steps)

    def samples(self, data: Any, rows: np.ndarray | None = None) -> tuple[Tensor, Tensor]:
        """Samples and labels on the device; all of them without `rows`."""
        batch, labels = data.batch(np.arange(len(data)) if rows is None else rows)
        return batch.to(self.device), labels.to(self.device)

    def batches(self, data: Any) -> Iterator[Tensor]:
        """All samples of a set, `BATCH` at a time, as sequences [T, B, C, H, W]."""
        for start in range(0, len(data), BATCH):
            rows = np.arange(start, min(start + BATCH, len(data)))
            yield self.sequence(data.batch(rows)[0])

    @torch.no_grad()
    def rates(self, data: Any, largest: bool = False) -> list[Tensor]:
        """Rate of each hidden channel on a set, one [C] for each hidden layer.

        Spikes per neuron and time step, averaged over the places of the channel and over samples.

        Args:
            data: samples.
            largest: True gives the largest over samples and places in place of the mean.
        """
        found: list[list[Tensor]] = []
        for sequence in self.batches(data):
            with self.view.read(self.view.hidden, "spikes") as spikes:
                self.view(sequence)
            found.append([_per_channel(output, largest) for output in spikes])
        stacked = [torch.cat(parts) for parts in zip(*found, strict=True)]
        return [rate.amax(dim=0) if largest else rate.mean(dim=0) for rate in stacked]

    @property
    def channels(self) -> list[int]:
        """Number of channels of each hidden layer."""
        return [layer.channels for layer in self.view.hidden]

    @property
    def spiking_layers(self) -> tuple[Layer, ...]:
        """The layers of neurons that have a threshold.

        Raises:
            NotVisible: there is none.
        """
        if not self.view.spiking:
            raise self.view.blind("a threshold", "it has no spiking layer")
        return self.view.spiking_layers

    def copied(self) -> Bench:
        """A copy of the network on a bench of its own."""
        self.view.reset()  # state that hangs on a graph cannot be copied
        net = copy.deepcopy(self.net)
        return Bench(net, View(net, self.view.like), self.device, self.steps)


def copied(net: nn.Module, data: Any, *, device: str | torch.device, steps: int) -> Bench:
    """A copy of a network, evaluating; the network itself is left where and as it is.

    Args:
        net: the network.
        data: samples as it reads them; None where there are none.
        device: "auto" is CUDA, MPS or CPU, in this order.
        steps: T for static images.

    Raises:
        ValueError: weights that are not finite, a device that is not here, steps below 1.
    """
    checks.finite(net, "repaired")
    place = choose_device(device)
    seen = View(net)
    seen.reset()
    return _bench(copy.deepcopy(seen.net).to(place).eval(), data, place, steps)


@contextmanager
def frozen(
    net: nn.Module, data: Any = None, *, device: str | torch.device = "auto", steps: int = 4
) -> Iterator[Bench]:
    """The network itself, evaluating and its weights without gradients; all of it is put back.

    Args, Raises: as `copied`.
    """
    checks.finite(net, "inspected")
    view, place = View(net), choose_device(device)
    with evaluating(view.net, place), fixed(view.net):
        try:
            yield _bench(view.net, data, place, steps)
        finally:
            view.reset()


def taken(data: Any) -> Any:
    """A data set of any kind as one of this library's; None stays None."""
    return None if data is None else as_set(data)


def check_clean(net: nn.Module, clean: Any) -> Any:
    """The clean samples as a set of this library, if a defence can work with them.

    Raises:
        ValueError: no samples, a class without one, samples of another shape than the network's.
    """
    clean = taken(clean)
    if clean is None or not len(clean):
        raise ValueError("clean_samples is empty: this defence needs some of every class")
    missing = sorted(set(range(clean.classes)) - {int(label) for label in clean.labels})
    if missing:
        raise ValueError(f"clean_samples has none of class {missing[0]}: allowed is every class")
    shape = getattr(net, "input_shape", None) or clean.input_shape
    if tuple(clean.input_shape) != tuple(shape):
        raise ValueError(
            f"clean_samples have shape {tuple(clean.input_shape)}, the network reads {tuple(shape)}"
        )
    return clean


def _bench(net: nn.Module, data: Any, place: torch.device, steps: int) -> Bench:
    """A network on a bench, if it answers a few samples alike twice."""
    bench = Bench(net, View(net, _like(data, steps)), place, checks.whole("steps", steps, 1))
    if bench.view.like is not None:
        few, _ = bench.samples(data, np.arange(min(8, len(data))))
        with torch.random.fork_rng(devices=[]):
            bench.view.check_steady(bench.sequence(few))
    return bench


def _like(data: Any, steps: int) -> Tensor | None:
    """A sample as the network reads it; None without data."""
    if data is None or not len(data):
        return None
    return as_sequence(data.batch(np.arange(1))[0], max(2, steps))


def _per_channel(output: Tensor, largest: bool) -> Tensor:
    """[B, C] of [T, B, C, ...]."""
    rate = output.mean(dim=0).flatten(2) if output.dim() > 3 else output.mean(dim=0)[..., None]
    return rate.amax(dim=2) if largest else rate.mean(dim=2)
