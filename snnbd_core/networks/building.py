"""The papers' networks and their ANN twins, by name.

Every network takes a sequence [T, B, C, H, W] and gives logits [B, classes]: each class is voted
for by ten output neurons, whose rates are averaged over neurons and time. So the logits of a
spiking network are firing rates in 0..1.

===============  =========================================================================
name             layers (Fang et al. 2021, as used in Abad et al. 2022 and 2024)
===============  =========================================================================
nmnist-conv      2 blocks of 128 channels, dense 2048, voting
cifar10dvs-conv  4 blocks of 128 channels, dense 512, voting
gesture-conv     5 blocks of 128 channels, dense 512, voting
quick-conv       ours, for the embedded data: one convolution 5x5 of 16 channels, stride 4 (1 for
                 images under 16 pixels a side), batch norm, neuron; dense 128, voting
===============  =========================================================================

vgg11, vgg16, resnet18, resnet19 and quick-resnet are in `snnbd_core.networks.deep`. N-Caltech101 is
read by gesture-conv, whose five blocks are those of Sneaky Spikes for that set.

A block is convolution 3x3 without bias, batch norm, neuron, max-pool 2x2. Both dense layers have
dropout 0.5 before them, with one mask for all time steps (Lee et al. 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core import checks, guards
from snnbd_core.networks import deep
from snnbd_core.networks.layers import Folded, PoissonCode, Scaled, SharedDropout
from snnbd_core.networks.recomputing import recomputed
from snnbd_core.neurons import LIF

__all__ = ["CODINGS", "NAMES", "PAPERS", "QUICK", "VOTERS", "Network", "Size", "build", "seeded"]

VOTERS = 10


@dataclass(frozen=True)
class Size:
    """How many blocks of how many channels, and the units of the hidden dense layer."""

    blocks: int
    channels: int
    hidden: int

    def narrowed(self, width: float) -> Size:
        """The same with fewer channels and hidden units, see `build`."""
        return Size(self.blocks, *(deep.narrowed(n, width) for n in (self.channels, self.hidden)))


PAPERS = {
    "nmnist-conv": Size(blocks=2, channels=128, hidden=2048),
    "cifar10dvs-conv": Size(blocks=4, channels=128, hidden=512),
    "gesture-conv": Size(blocks=5, channels=128, hidden=512),
}
QUICK = Size(blocks=1, channels=16, hidden=128)
NAMES = (*PAPERS, *deep.NAMES, "quick-conv")
CODINGS: Mapping[str, Callable[[], nn.Module] | None] = {
    "direct": None,
    "poisson": PoissonCode,
    "clipped": partial(nn.Hardtanh, 0.0, 1.0),
    "scaled": Scaled,
}
"""Name -> makes what reads a sequence before the first layer."""


class Network(nn.Module):
    """Layers over a sequence and a vote: [T, B, C, H, W] -> logits [B, classes].

    Attributes:
        encoder: what turns the input into what the first layer reads; None for nothing.
        layers: what runs before the vote, in order, [T, B, ...] to [T, B, ...].
        input_shape: (C, H, W).
        classes: how many classes are voted on.
        voters: outputs of the last layer for each class.
        recompute: True takes less memory for training and more time, see
            `snnbd_core.networks.recomputing`.
    """

    recompute = False

    def __init__(
        self,
        layers: Sequence[nn.Module],
        input_shape: tuple[int, int, int],
        classes: int,
        encoder: nn.Module | None = None,
        voters: int = VOTERS,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = nn.Sequential(*layers)
        self.input_shape = input_shape
        self.classes = classes
        self.voters = voters
        self._spikes = not any(isinstance(layer, nn.ReLU) for layer in self.layers.modules())

    def forward(self, sequence: Tensor) -> Tensor:
        """Logits [B, classes].

        Raises:
            ValueError: a sequence that is not [T, B, C, H, W] with this network's C, H, W.
        """
        if sequence.dim() != 5 or tuple(sequence.shape[2:]) != self.input_shape:
            channels, height, width = self.input_shape
            raise ValueError(
                f"sequence of shape {list(sequence.shape)} must be "
                f"[T, B, {channels}, {height}, {width}]"
            )
        if self.encoder is not None:
            sequence = self.encoder(sequence)
        if not self._spikes and sequence.stride(0) == 0:
            sequence = sequence[:1]  # the twin has no state: equal frames give equal logits
        if self.recompute and self.training and torch.is_grad_enabled():
            votes = recomputed(list(self.layers), sequence)
        else:
            votes = self.layers(sequence)
        if votes.dtype in (torch.float16, torch.bfloat16):
            votes = votes.float()  # under autocast; a mean of half-precision votes is too coarse
        return votes.reshape(*votes.shape[:2], self.classes, self.voters).mean(dim=(0, -1))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Takes over the guards of a repaired network."""
        guards.prepare(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def build(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    neuron: Callable[[], nn.Module] = LIF,
    seed: int | None = None,
    coding: str = "direct",
    width: float = 1.0,
) -> Network:
    """Builds a network by name.

    Args:
        name: one of ``NAMES``, see the table above.
        input_shape: (C, H, W) of one frame.
        classes: number of classes, >= 1.
        neuron: makes the neurons of one layer, called once per layer. ``torch.nn.ReLU`` gives the
            ANN twin: same weights' names and shapes, frame by frame, logits averaged over time.
        seed: fixes the initial weights, without touching torch's global random state. None draws
            them from that state.
        coding: "direct" feeds the values as they are, of static images in every step; "poisson"
            spikes, for images; "clipped" takes event counts above 1 for 1, "scaled" divides
            them by the greatest of their sample.
        width: multiplies the channels of all convolutions and the units of hidden dense layers,
            > 0; below 1 the network is narrower and quicker than the published one.

    Raises:
        ValueError: unknown name or coding, an input shape that is not three positive sizes or is
            too small for the network's pooling, fewer than one class, a width that is not > 0.
    """
    if name not in NAMES:
        raise ValueError(f"name={name!r} is not a network; allowed: {', '.join(NAMES)}")
    coding = checks.choice("coding", coding, CODINGS)
    shape = _checked_shape(input_shape)
    classes = checks.whole("classes", classes, 1)
    width = checks.above("width", width, 0)
    with seeded(seed):
        if name in deep.NAMES:
            layers, features = deep.features(name, shape, neuron, width)
            layers += [Folded(nn.Linear(features, classes * VOTERS)), neuron()]
        elif name == "quick-conv":
            layers = _quick_layers(QUICK.narrowed(width), shape, classes, neuron)
        else:
            size = PAPERS[name].narrowed(width)
            layers = _paper_layers(name, size, shape, classes, neuron)
    encoder = CODINGS[coding]
    net = Network(layers, shape, classes, None if encoder is None else encoder())
    if not name.startswith("quick-"):  # whose layers are too small to gain
        _lay_channels_last(net)
    return net


def _lay_channels_last(net: nn.Module) -> None:
    """Stores the weights of convolutions with the channels of a pixel side by side.

    What a convolution gives, and all layers up to the dense ones, then lies so too: on CPUs
    convolution, batch norm and pooling are faster. (Not measured on a GPU.)
    """
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            weight = layer.weight
            weight.data = weight.contiguous(memory_format=torch.channels_last)


def _paper_layers(
    name: str,
    size: Size,
    shape: tuple[int, int, int],
    classes: int,
    neuron: Callable[[], nn.Module],
) -> list[nn.Module]:
    channels, height, width = shape
    if min(height, width) >> size.blocks < 1:
        raise ValueError(
            f"input_shape={shape} is too small for {name}: {size.blocks} poolings by 2 need "
            f"at least {2**size.blocks} pixels a side"
        )
    layers: list[nn.Module] = []
    for _ in range(size.blocks):
        convolution = nn.Conv2d(channels, size.channels, 3, padding=1, bias=False)
        layers += [
            Folded(convolution, nn.BatchNorm2d(size.channels)),
            neuron(),
            Folded(nn.MaxPool2d(2)),
        ]
        channels = size.channels
    features = channels * (height >> size.blocks) * (width >> size.blocks)
    return [
        *layers,
        Folded(nn.Flatten()),
        SharedDropout(),
        Folded(nn.Linear(features, size.hidden)),
        neuron(),
        SharedDropout(),
        Folded(nn.Linear(size.hidden, classes * VOTERS)),
        neuron(),
    ]


def _quick_layers(
    size: Size, shape: tuple[int, int, int], classes: int, neuron: Callable[[], nn.Module]
) -> list[nn.Module]:
    """Most of the time would go to the first feature map: the stride keeps it small."""
    channels, height, width = shape
    stride = 4 if min(height, width) >= 16 else 1
    convolution = nn.Conv2d(channels, size.channels, 5, stride=stride, padding=2, bias=False)
    features = size.channels * -(-height // stride) * -(-width // stride)
    return [
        Folded(convolution, nn.BatchNorm2d(size.channels)),
        neuron(),
        Folded(nn.Flatten(), nn.Linear(features, size.hidden)),
        neuron(),
        Folded(nn.Linear(size.hidden, classes * VOTERS)),
        neuron(),
    ]


def _checked_shape(input_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    shape = tuple(input_shape)
    try:
        channels, height, width = (checks.whole("input_shape", size, 1) for size in shape)
    except ValueError:
        raise ValueError(f"input_shape={input_shape!r} must be (C, H, W), each >= 1") from None
    return channels, height, width


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Runs a block with torch's CPU generator at a seed and gives its state back."""
    if seed is None:
        yield
        return
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(checks.whole("seed", seed, 0))
    try:
        yield
    finally:
        torch.set_rng_state(state)
