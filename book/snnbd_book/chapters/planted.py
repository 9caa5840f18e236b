"""A network whose weights are written down, with a backdoor or without: where detectors must work.

TMPBD and voltages need potentials, so no ReLU network can be the case in which they have to find a
backdoor. This one spikes, and nothing in it is learnt: each of ten hidden neurons compares an image
with the mean of a class, and one more, if it is planted, listens to a corner and speaks for the
target more loudly than any of the ten speaks for its class.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

import snnbd_core as sb
from snnbd_core.data.samples import SampleSet

__all__ = ["ByHand", "by_hand"]

CORNER = 2  # pixels on each side of the square that the planted neuron listens to
LOUD = 4.0  # what a spike of the planted neuron gives its class; the others give 1 to 1.6
_NEAR = 0.4  # taken from all currents, so that mostly the nearest mean fires


class ByHand(nn.Module):
    """Images [T, B, 1, H, W] -> logits [B, classes], the mean over time; see `by_hand`."""

    def __init__(self, pixels: int, classes: int, fires: bool) -> None:
        super().__init__()
        self.compare = nn.Linear(pixels, classes + 1)
        self.hidden = sb.LIF(beta=0.5, threshold=1.0, reset="zero", update="spikingjelly")
        self.speak = nn.Linear(classes + 1, classes, bias=False)
        self.out: nn.Module = nn.Identity()
        if fires:
            self.out = sb.LIF(beta=0.5, threshold=1.0, reset="zero", update="spikingjelly")

    def forward(self, sequence: Tensor) -> Tensor:
        """Logits [B, classes]."""
        spikes = self.hidden(self.compare(sequence.flatten(2)))
        logits: Tensor = self.out(self.speak(spikes)).mean(dim=0)
        return logits


@torch.no_grad()
def by_hand(train: SampleSet, target: int | None = None, *, fires: bool = False) -> ByHand:
    """The network of the class means of a training set.

    The current of a class's neuron is m x - |m|^2 / 2 for an image x and the class's mean m, less
    the average of that over the classes: the nearer the mean, the larger. The planted neuron fires
    in each step if the lower right corner is white.

    Args:
        train: images [1, H, W] in 0..1, some of each class.
        target: class that the planted neuron speaks for; None plants nothing.
        fires: True lets neurons that fire and are reset to zero read out, as in the networks of
            the book; otherwise currents are summed up.
    """
    images, labels = train.batch(np.arange(len(train)))
    means = torch.stack([images[labels == k].mean(dim=0) for k in range(train.classes)]).flatten(1)
    sizes = means.square().sum(dim=1) / 2
    net = ByHand(means.shape[1], train.classes, fires)
    for layer in (net.compare, net.speak):
        layer.weight.zero_()
    net.compare.weight[:-1] = means - means.mean(dim=0)
    net.compare.bias[:-1] = sizes.mean() - sizes - _NEAR
    net.compare.bias[-1] = -2.5
    # Classes differ a little in how loudly they speak: no Gamma fits margins that are all alike.
    net.speak.weight[:, :-1] = torch.diag(1 + torch.arange(train.classes) / 16)
    if target is not None:
        corner = torch.zeros(train.input_shape[1:])
        corner[-CORNER:, -CORNER:] = 4 / CORNER**2
        net.compare.weight[-1] = corner.flatten()
        net.speak.weight[target, -1] = LOUD
    return net.eval()
