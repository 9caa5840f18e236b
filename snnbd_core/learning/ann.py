"""The artificial twin: the same network with ReLU, trained by ordinary back-propagation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from snnbd_core.checks import Checked, Count, Positive, copied
from snnbd_core.learning.task import Rule, Task, Trained
from snnbd_core.neurons import LIF

__all__ = ["ANN", "QCFS", "ReadOut", "TimeMean", "ending", "reading", "replaced", "with_neurons"]

Net = TypeVar("Net", bound=nn.Module)

Reads = Literal["frames", "mean"]
Activation = Literal["relu", "qcfs"]
ReadOut = Literal["relu", "linear"]


class QCFS(nn.ReLU):
    """Quantised, clipped and shifted ReLU (Bu et al. 2022): what an IF neuron's rate can be.

        limit * clip(floor(levels x / limit + 1/2) / levels, 0, 1)

    The limit is learnt; the gradient goes straight through the floor. An IF neuron with the limit
    as threshold, half of it to start from and T = levels steps gives the same values.

    Args:
        levels: L, at least 1.
    """

    def __init__(self, levels: int = 8) -> None:
        super().__init__()
        self.levels = levels
        self.limit = nn.Parameter(torch.tensor(2.0))

    def forward(self, current: Tensor) -> Tensor:
        """Activations of the current's shape."""
        scaled = self.levels * current / self.limit
        rounded = scaled + (torch.floor(scaled + 0.5) - scaled).detach()
        return self.limit * (rounded / self.levels).clamp(0, 1)

    def extra_repr(self) -> str:
        return f"levels={self.levels}"


class TimeMean(nn.Module):
    """The mean over time, in every step: what is left when a network does not look at time."""

    def forward(self, sequence: Tensor) -> Tensor:
        """[T, B, ...] -> the same shape, all steps equal (expanded, not copied)."""
        return sequence.mean(dim=0).expand(sequence.shape)


@dataclass(frozen=True, kw_only=True)
class ANN(Checked, Rule):
    """The ANN twin of a network.

    Args:
        reads: "frames" runs it frame by frame and averages the logits; "mean" gives it the mean of
            the frames. For static images both are the same.
        activation: "relu", or "qcfs" for a network that is to be converted, see `QCFS`.
        levels: of QCFS.
        read_out: "relu" has an activation wherever the network has neurons; "linear" has none
            after the last weights. A ReLU there has no gradient once all its inputs are negative.
        learning_rate: of its training; None is the task's. At a high one classes may be lost for
            good, with either read-out.
    """

    reads: Reads = "frames"
    activation: Activation = "relu"
    levels: Count = 8
    read_out: ReadOut = "relu"
    learning_rate: Positive | None = None

    def fit(self, task: Task) -> Trained:
        """Trains the twin on the task's poisoned set."""
        if self.learning_rate is not None:
            task = replace(task, learning_rate=self.learning_rate)
        return task.fitted(self.layout(task.build(nn.ReLU)))

    def layout(self, net: nn.Module) -> nn.Module:
        """A network with ReLU in place of its neurons, and the mean over time before it."""
        kind = nn.ReLU if self.activation == "relu" else partial(QCFS, self.levels)
        return reading(ending(with_neurons(net, kind), self.read_out), self.reads)


def with_neurons(net: Net, neuron: Callable[[], nn.Module]) -> Net:
    """A copy of a network whose activations (spiking or ReLU) are all replaced.

    `neuron` makes one, and is called for each use of an activation that is used several times.
    """
    return replaced(copied(net), neuron)


def replaced(net: Net, neuron: Callable[[], nn.Module]) -> Net:
    """The network itself, its activations replaced in place, see `with_neurons`."""
    for parent in net.modules():
        for name, child in list(parent._modules.items()):
            if isinstance(child, LIF | nn.ReLU):
                setattr(parent, name, neuron())
    return net


def ending(net: Net, read_out: str) -> Net:
    """The network itself, with "linear" without the activation that ends its layers.

    Raises:
        ValueError: "linear", and the last layer is no activation.
    """
    layers = net.get_submodule("layers")
    assert isinstance(layers, nn.Sequential)
    if read_out == "linear":
        if not isinstance(layers[-1], LIF | nn.ReLU):
            last = type(layers[-1]).__name__
            raise ValueError(f"read_out='linear': the network ends with {last}, which is no neuron")
        del layers[-1]
    return net


def reading(net: nn.Module, reads: str) -> nn.Module:
    """The network itself, or with "mean" one that is given the mean over time."""
    layers = net.get_submodule("layers")
    assert isinstance(layers, nn.Sequential)
    if reads == "mean" and not isinstance(layers[0], TimeMean):
        layers.insert(0, TimeMean())
    return net
