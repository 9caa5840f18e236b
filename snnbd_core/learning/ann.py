"""The artificial twin: the same network with ReLU, trained by ordinary back-propagation."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

from snnbd_core.learning.task import Task, Trained
from snnbd_core.neurons import LIF

Net = TypeVar("Net", bound=nn.Module)

READS = ("frames", "mean")


class TimeMean(nn.Module):
    """The mean over time, in every step: what is left when a network does not look at time."""

    def forward(self, sequence: Tensor) -> Tensor:
        """[T, B, ...] -> the same shape, all steps equal (expanded, not copied)."""
        return sequence.mean(dim=0).expand(sequence.shape)


@dataclass(frozen=True, kw_only=True)
class ANN:
    """The ANN twin of a network.

    Args:
        reads: "frames" runs it frame by frame and averages the logits; "mean" gives it the mean of
            the frames. For static images both are the same.

    Raises:
        ValueError: another way to read.
    """

    reads: str = "frames"

    def __post_init__(self) -> None:
        check_reads(self.reads)

    def fit(self, task: Task) -> Trained:
        """Trains the twin on the task's poisoned set."""
        net = self.layout(task.build(nn.ReLU))
        history = task.train(
            net, checkpoint=task.checkpoint, checkpoint_seconds=task.checkpoint_seconds
        )
        return Trained(net, history)

    def layout(self, net: nn.Module) -> nn.Module:
        """A network with ReLU in place of its neurons, and the mean over time before it."""
        return reading(with_neurons(net, nn.ReLU), self.reads)


def with_neurons(net: Net, neuron: type[nn.Module]) -> Net:
    """A copy of a network whose activations (spiking or ReLU) are all replaced.

    Args:
        net: a `Network`.
        neuron: makes an activation.
    """
    out = copy.deepcopy(net)
    for parent in out.modules():
        for name, child in parent.named_children():
            if isinstance(child, LIF | nn.ReLU):
                setattr(parent, name, neuron())
    return out


def reading(net: nn.Module, reads: str) -> nn.Module:
    """The network itself, or with "mean" one that is given the mean over time."""
    check_reads(reads)
    layers = net.get_submodule("layers")
    assert isinstance(layers, nn.Sequential)
    if reads == "mean" and not isinstance(layers[0], TimeMean):
        layers.insert(0, TimeMean())
    return net


def check_reads(reads: str) -> None:
    """Raises ValueError unless `reads` is one of `READS`."""
    if reads not in READS:
        raise ValueError(f"reads={reads!r} is unknown; allowed: {', '.join(READS)}")
