"""A data set small enough to train on in a test, and a network for it.

Run as a script it trains with a checkpoint and stops dead within an epoch, to be killed there.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import learning, networks
from snnbd_core.data.samples import SampleSet
from snnbd_core.networks.layers import SharedDropout
from snnbd_core.neurons import LIF


class Toy(SampleSet):
    """Frames [T, 2, 6, 6]: class c has its events in column c, over noise."""

    fingerprint = "toy"
    input_shape = (2, 6, 6)
    kind = "frames"
    spaces = ("frames",)

    def __init__(self, count: int = 60, frames: int = 4, classes: int = 3, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.classes = classes
        self.labels = np.arange(count, dtype=np.int64) % classes
        self.x = rng.poisson(0.3, (count, frames, 2, 6, 6)).astype(np.float32)
        for i, label in enumerate(self.labels):
            self.x[i, ..., 2 * label % 6] += 2

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.x[indices]), torch.from_numpy(self.labels[indices])


class Hanging(Toy):
    """A Toy that says so and then hangs at its n-th batch."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def batch(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        self.left -= 1
        if self.left == 0:
            print("hanging", flush=True)
            time.sleep(600)
        return super().batch(indices)


def network(seed: int = 0, threshold: float = 1.0) -> nn.Module:
    """Small, with batch norm and dropout: both carry state that a resumed run must match."""
    net = networks.build("quick-conv", (2, 6, 6), 3, neuron=lambda: LIF(0.8, threshold), seed=seed)
    net.layers.insert(2, SharedDropout(0.3))
    return net


SETTINGS = {"epochs": 5, "seed": 4, "batch_size": 16, "device": "cpu", "progress": False}

if __name__ == "__main__":
    torch.set_num_threads(1)
    learning.train(network(), Hanging(int(sys.argv[2])), checkpoint=sys.argv[1], **SETTINGS)
