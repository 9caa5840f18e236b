"""A Trojan in a neuron, which fires for good once it has fired a secret spike train.

That such a Trojan is built into the circuit of one neuron, waits for a crafted spike train and then
saturates the neuron for good (HOST 2025, arXiv 2503.21793) is all that was at hand; the form here
is ours. The circuit compares the neuron's own spikes with a pattern and sets a latch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.checks import Count, Flag, Natural
from snnbd_core.defenses.bench import Bench
from snnbd_core.deployment.change import Change

__all__ = ["Latch", "NeuronTrojan", "flickering"]


def _checked(name: str, given: Any) -> tuple[int, ...]:
    row = checks.whole_row(given)
    if row is None or not set(row) <= {0, 1} or 1 not in row:
        raise ValueError(f"{name}={given!r} must be a list of 0 and 1 with at least one 1")
    return row


@dataclass(frozen=True, kw_only=True)
class NeuronTrojan(Change):
    """Puts a `Latch` behind a spiking neuron. Weights and settings stay as they are.

    Args:
        layer: which spiking layer, counted from the last that runs: 0 is the last.
        neuron: its number in that layer, in the order of memory.
        count: so many neurons from this one on saturate with it; it alone is listened to.
        pattern: the spikes, step by step, that wake it.
        awake: whether it has been woken already.

    Raises:
        ValueError: a pattern that is no list of 0 and 1; when applied, a layer or a neuron that
            the network does not have, or a layer that has a Trojan already.
        NotVisible: when applied, no spiking layer, or one that runs step by step.
    """

    layer: Natural = 0
    neuron: Natural = 0
    count: Count = 1
    pattern: Annotated[tuple[int, ...], _checked] = (1, 0, 1, 1, 0, 1)
    awake: Flag = False

    def _repaired(self, bench: Bench) -> nn.Module:
        layers = bench.spiking_layers[::-1]
        if self.layer >= len(layers):
            raise ValueError(f"layer={self.layer}: the network has {len(layers)} spiking layers")
        layer = layers[self.layer]
        size = math.prod(layer.shape)
        if self.neuron + self.count > size:
            given = f"neuron={self.neuron}, count={self.count}"
            raise ValueError(f"{given}: the layer has {size} neurons")
        if layer.axes != "time":
            raise layer.adapter.blind(layer.module, "all steps at once", "needed is [T, B, ...]")
        if hasattr(layer.module, "trojan"):
            needed = "needed is a network without one there"
            raise ValueError(f"layer={self.layer} has a Trojan already: {needed}")
        layer.module.add_module("trojan", Latch(self.neuron, self.pattern, self.count, self.awake))
        layer.module.register_forward_hook(_through)
        return bench.net


class Latch(nn.Module):
    """Sets spikes to 1 at all steps after a neuron has fired its pattern.

    Samples of one batch are as many devices: each wakes for itself. Once any of them is awake,
    `awake` says so, and the next batch finds the latch set. It is held with the weights.
    """

    place: Tensor
    pattern: Tensor
    awake: Tensor

    def __init__(
        self, neuron: int, pattern: tuple[int, ...], count: int = 1, awake: bool = False
    ) -> None:
        super().__init__()
        self.register_buffer("place", torch.tensor([neuron, count]))
        self.register_buffer("pattern", torch.tensor(pattern))
        self.register_buffer("awake", torch.tensor(awake))

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes [T, B, ...] with those of its neurons changed."""
        first, count = self.place.tolist()
        flat = spikes.flatten(2).clone()
        woken = self.found(flat[:, :, first]).to(torch.int8).cummax(dim=0).values.bool()
        before = torch.cat([torch.zeros_like(woken[:1]), woken[:-1]]) | self.awake
        flat[:, :, first : first + count][before] = 1
        self.awake |= woken.any()
        return flat.reshape(spikes.shape)

    def found(self, own: Tensor) -> Tensor:
        """Whether the pattern ends at each step of a neuron's spikes [T, B], bool."""
        length = len(self.pattern)
        if length > len(own):
            return torch.zeros_like(own, dtype=torch.bool)
        windows = own.detach().unfold(0, length, 1)
        hits = torch.eq(windows, self.pattern.to(own)).all(dim=-1)
        return torch.cat([hits.new_zeros(length - 1, hits.shape[1]), hits])


def _through(module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
    if isinstance(output, tuple):  # with the potential
        return (module.trojan(output[0]), *output[1:])
    return module.trojan(output)


def flickering(frames: Tensor, pattern: tuple[int, ...]) -> Tensor:
    """A crafted recording: frames [T, C, H, W] blank wherever the pattern has a 0.

    The pattern begins with the first frame; frames after it stay.
    """
    crafted = frames.clone()
    for step, spike in enumerate(pattern[: len(frames)]):
        crafted[step] *= spike
    return crafted
