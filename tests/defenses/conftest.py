"""Small networks on digits with a BadNets patch, and their clean twins; trained once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import nn

import snnbd_core as sb
from snnbd_book.runs import Neuron
from snnbd_core.files import cache_dir
from snnbd_core.triggers import Patch

PATCH = Patch(size=0.25)
CPU = torch.device("cpu")


@dataclass
class Victim:
    """A trained network, what the defender has, and what it is judged on."""

    net: nn.Module
    clean: Any
    test: Any
    steps: int

    def report(self, net: nn.Module | None = None) -> sb.Report:
        return sb.evaluate(net or self.net, self.test, PATCH, 0, steps=self.steps, device=CPU)


def trained(name: str, neuron: Any, steps: int, rate: float) -> Victim:
    """A victim; one process of the session trains it, the others read its weights."""
    train, test = sb.data.load("digits", seed=0)
    labels = np.asarray(test.labels)
    rows = np.sort(np.concatenate([np.flatnonzero(labels == one)[:10] for one in range(10)]))
    others = np.setdiff1d(np.arange(len(labels)), rows)
    drawn = np.random.default_rng(0)  # the samples that the tests' ranges were measured with
    data = sb.poison(train, PATCH, rate=rate, target=0, generator=drawn) if rate else train
    net = sb.networks.build("quick-conv", train.input_shape, 10, neuron=neuron, seed=0)
    weights = cache_dir() / f"{name}.pt"
    with FileLock(f"{weights}.lock"):
        if weights.exists():
            net.load_state_dict(torch.load(weights, weights_only=True))
        else:
            settings = {"batch_size": 32, "learning_rate": 2e-3, "steps": steps, "device": CPU}
            sb.learning.train(net, data, epochs=10, seed=0, progress=False, **settings)
            torch.save(net.state_dict(), weights)
    return Victim(net.eval(), test.subset(rows), test.subset(others), steps)


@pytest.fixture(scope="session")
def twin() -> Victim:
    """An attacked ANN."""
    return trained("twin", nn.ReLU, 1, 0.1)


@pytest.fixture(scope="session")
def spiking() -> Victim:
    """An attacked spiking network."""
    return trained("spiking", Neuron().build, 4, 0.1)


@pytest.fixture(scope="session")
def innocent() -> Victim:
    """A clean spiking network."""
    return trained("innocent", Neuron().build, 4, 0.0)
