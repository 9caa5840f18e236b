"""``nmnist-conv`` three times: ours, and as users of SpikingJelly and snnTorch would build it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks import peers
from snnbd_core import networks
from snnbd_core.networks import VOTERS

SHAPE = (2, 34, 34)
CLASSES = 10
CHANNELS, HIDDEN, SIDE = 128, 2048, 8


class InSpikingJelly(nn.Module):
    """Its own layers in multi-step mode: they fold time into the batch, as ours do."""

    def __init__(self) -> None:
        super().__init__()
        from spikingjelly.activation_based import functional, layer

        self.reset = functional.reset_net
        blocks: list[nn.Module] = []
        for before in (SHAPE[0], CHANNELS):
            blocks += [
                layer.Conv2d(before, CHANNELS, 3, padding=1, bias=False),
                layer.BatchNorm2d(CHANNELS),
                peers.SpikingJelly().node,
                layer.MaxPool2d(2),
            ]
        self.layers = nn.Sequential(
            *blocks,
            layer.Flatten(),
            layer.Dropout(0.5),
            layer.Linear(CHANNELS * SIDE**2, HIDDEN),
            peers.SpikingJelly().node,
            layer.Dropout(0.5),
            layer.Linear(HIDDEN, CLASSES * VOTERS),
            peers.SpikingJelly().node,
        )
        functional.set_step_mode(self.layers, "m")

    def forward(self, sequence: Tensor) -> Tensor:
        self.reset(self.layers)
        votes: Tensor = self.layers(sequence)
        return votes.unflatten(-1, (CLASSES, VOTERS)).mean(dim=(0, -1))


class InSnnTorch(nn.Module):
    """The whole network stepped in a Python loop over time, as in its tutorials."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for before in (SHAPE[0], CHANNELS):
            blocks += [
                nn.Conv2d(before, CHANNELS, 3, padding=1, bias=False),
                nn.BatchNorm2d(CHANNELS),
                self._neuron(),
                nn.MaxPool2d(2),
            ]
        self.layers = nn.Sequential(
            *blocks,
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(CHANNELS * SIDE**2, HIDDEN),
            self._neuron(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, CLASSES * VOTERS),
            self._neuron(),
        )

    def forward(self, sequence: Tensor) -> Tensor:
        for layer in self.layers:
            if hasattr(layer, "reset_mem"):
                layer.reset_mem()
        votes = torch.stack([self.layers(frame) for frame in sequence])
        return votes.unflatten(-1, (CLASSES, VOTERS)).mean(dim=(0, -1))

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


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "snnbd": lambda: networks.build("nmnist-conv", SHAPE, CLASSES, neuron=peers.ours, seed=0),
    "SpikingJelly": InSpikingJelly,
    "snnTorch": InSnnTorch,
    "ANN twin": lambda: networks.build("nmnist-conv", SHAPE, CLASSES, neuron=nn.ReLU, seed=0),
}


def build(name: str) -> nn.Module:
    """One of the networks, with the weights of ours."""
    net = BUILDERS[name]()
    source = BUILDERS["snnbd"]()
    with torch.no_grad():
        for ours, theirs in zip(source.parameters(), net.parameters(), strict=True):
            theirs.copy_(ours)
    return net


def training_step(net: nn.Module, frames: Tensor, labels: Tensor) -> Callable[[], None]:
    """Forward, cross entropy, backward and one step of Adam."""
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    net.train()

    def run() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(frames), labels).backward()
        optimiser.step()

    return run


def batch(steps: int, size: int) -> tuple[Tensor, Tensor]:
    """Random event counts [T, B, 2, 34, 34] as sparse as binned recordings, and labels."""
    draw = torch.Generator().manual_seed(0)
    frames = torch.poisson(torch.full((steps, size, *SHAPE), 0.1), generator=draw)
    return frames, torch.randint(CLASSES, (size,), generator=draw)
