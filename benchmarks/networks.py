"""The papers' networks three times: ours, and as users of SpikingJelly and snnTorch build them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import peers
from snnbd_core import networks
from snnbd_core.networks import VOTERS
from snnbd_core.networks.deep import POOL, VGG

CLASSES = 10


@dataclass(frozen=True)
class Plan:
    """A network, and the batch that its training step is timed on.

    Attributes:
        shape: (C, H, W) of a frame.
        features: channels of the convolutions, each with batch norm and neurons, and poolings.
        hidden: units of a dense layer with dropout before it and behind; None for none.
        steps, batch: T and B.
    """

    shape: tuple[int, int, int]
    features: tuple[int | str, ...]
    hidden: int | None
    steps: int
    batch: int


PLANS = {
    "nmnist-conv": Plan((2, 34, 34), (128, POOL, 128, POOL), 2048, 16, 64),
    "vgg16": Plan((3, 32, 32), VGG["vgg16"], None, 4, 32),
}


def stacked(plan: Plan, kit: Any, neuron: Callable[[], nn.Module]) -> nn.Sequential:
    """A plan's layers, from a library's own kit of Conv2d, BatchNorm2d and so on."""
    channels, height, width = plan.shape
    layers: list[nn.Module] = []
    for feature in plan.features:
        if isinstance(feature, str):
            layers.append(kit.MaxPool2d(2))
            height, width = height // 2, width // 2
            continue
        convolution = kit.Conv2d(channels, feature, 3, padding=1, bias=False)
        layers += [convolution, kit.BatchNorm2d(feature), neuron()]
        channels = feature
    layers.append(kit.Flatten())
    units = channels * height * width
    if plan.hidden is not None:
        layers += [kit.Dropout(0.5), kit.Linear(units, plan.hidden), neuron(), kit.Dropout(0.5)]
        units = plan.hidden
    return nn.Sequential(*layers, kit.Linear(units, CLASSES * VOTERS), neuron())


class InSpikingJelly(nn.Module):
    """Its own layers in multi-step mode: they fold time into the batch, as ours do."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        from spikingjelly.activation_based import functional, layer

        self.reset = functional.reset_net
        self.layers = stacked(plan, layer, lambda: peers.SpikingJelly().node)
        functional.set_step_mode(self.layers, "m")

    def forward(self, sequence: Tensor) -> Tensor:
        self.reset(self.layers)
        votes: Tensor = self.layers(sequence)
        return votes.float().unflatten(-1, (CLASSES, VOTERS)).mean(dim=(0, -1))


class InSnnTorch(nn.Module):
    """The whole network stepped in a Python loop over time, as in its tutorials."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.layers = stacked(plan, nn, self._neuron)

    def forward(self, sequence: Tensor) -> Tensor:
        for layer in self.layers:
            if hasattr(layer, "reset_mem"):
                layer.reset_mem()
        votes = torch.stack([self.layers(frame) for frame in sequence])
        return votes.float().unflatten(-1, (CLASSES, VOTERS)).mean(dim=(0, -1))

    @staticmethod
    def _neuron() -> nn.Module:
        import snntorch
        from snntorch import surrogate

        return snntorch.Leaky(
            peers.BETA,
            peers.THRESHOLD,
            surrogate.atan(peers.SLOPE),
            init_hidden=True,
            reset_mechanism="zero",
        )


NAMES = ("snnbd", "SpikingJelly", "snnTorch", "ANN twin")


def build(name: str, network: str) -> nn.Module:
    """A network by one of the libraries, with the weights of ours."""
    plan = PLANS[network]

    def ours(neuron: Callable[[], nn.Module]) -> nn.Module:
        return networks.build(network, plan.shape, CLASSES, neuron=neuron, seed=0)

    if name in ("snnbd", "ANN twin"):
        return ours(peers.ours if name == "snnbd" else nn.ReLU)
    net = InSpikingJelly(plan) if name == "SpikingJelly" else InSnnTorch(plan)
    with torch.no_grad():
        for source, theirs in zip(ours(peers.ours).parameters(), net.parameters(), strict=True):
            theirs.copy_(source)
    return net


def training_step(
    net: nn.Module, frames: Tensor, labels: Tensor, half: bool = False
) -> Callable[[], None]:
    """Forward (in bf16 under autocast, if half), cross entropy, backward and one step of Adam."""
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    net.train()

    def run() -> None:
        optimiser.zero_grad()
        with torch.autocast(frames.device.type, torch.bfloat16, enabled=half):
            logits = net(frames)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimiser.step()

    return run


def batch(network: str) -> tuple[Tensor, Tensor]:
    """Random event counts [T, B, C, H, W] as sparse as binned recordings, and labels."""
    plan = PLANS[network]
    draw = torch.Generator().manual_seed(0)
    rates = torch.full((plan.steps, plan.batch, *plan.shape), 0.1)
    frames = torch.poisson(rates, generator=draw)
    return frames, torch.randint(CLASSES, (plan.batch,), generator=draw)
