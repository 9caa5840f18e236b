"""A network whose answers are known by hand, and the samples that it tells apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnbd_core as sb
from snnbd_core.auditing.case import Case
from snnbd_core.data.batches import as_sequence
from snnbd_core.defenses.bench import Bench
from snnbd_core.networks.layers import Folded
from snnbd_core.view import View

from ..defenses.conftest import spiking  # noqa: F401 - a fixture, which trains once

SIDE = 12
CPU = torch.device("cpu")


@dataclass
class Known:
    """A network, samples of its classes, and its read-out."""

    net: nn.Module
    clean: Any
    readout: nn.Linear

    def planted(self, target: int, weight: float = 9.0) -> Known:
        """The last pixel, of frames that of ON events, now shouts for a class."""
        self.readout.weight.data[10 * target : 10 * target + 10, -1] = weight
        return self

    @property
    def case(self) -> Case:
        """The network with all samples, as a part of an audit is given it."""
        like = as_sequence(self.clean.batch([0])[0], 4)
        return Case(Bench(View(self.net, like), self.clean, CPU, 4))

    @property
    def state(self) -> dict[str, np.ndarray]:
        """A copy of its weights and settings."""
        return {name: value.numpy().copy() for name, value in self.net.state_dict().items()}


def made(frames: bool, neuron: Any = sb.IF, steps: int = 4) -> Known:
    """Class k is lit by nine of its own ten pixels; the last pixels are of no class.

    Frames have an event in each of these pixels in the first four steps, images a value of 1/2; a
    read-out neuron gets 0.1 for each event.
    """
    channels = 2 if frames else 1
    shape, inputs = (channels, SIDE, SIDE), channels * SIDE * SIDE
    readout = nn.Linear(inputs, 100, bias=False)
    readout.weight.data.zero_()
    samples = torch.zeros(50, inputs)
    for label in range(10):
        own = slice(10 * label, 10 * label + 10)
        readout.weight.data[own, own] = 0.1
        samples[label::10, own] = 0.5
        samples[range(label, 50, 10), range(10 * label, 10 * label + 5)] = 0.0  # no two are alike
    layers: list[nn.Module] = [Folded(nn.Flatten()), Folded(readout), neuron()]
    net = sb.networks.Network(layers, shape, 10).eval()
    values = samples.reshape(50, *shape)
    if frames:
        still = (values > 0).float().unsqueeze(1)
        values = torch.cat(
            [still.repeat(1, 4, 1, 1, 1), 0 * still.repeat(1, steps - 4, 1, 1, 1)], 1
        )
    labels = [row % 10 for row in range(50)]
    clean = sb.data.as_set(list(zip(values, labels, strict=True)), classes=10)
    return Known(net, clean, readout)


@pytest.fixture
def events() -> Known:
    return made(frames=True)


@pytest.fixture
def images() -> Known:
    return made(frames=False)
