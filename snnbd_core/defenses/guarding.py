"""Threshold guarding: fine-tuning that pushes potentials away from the threshold."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core import checks
from snnbd_core.defenses.channels import check_clean
from snnbd_core.learning import train
from snnbd_core.learning.surrogate_gradient import LOSSES
from snnbd_core.neurons import LIF, spiking_layers


@dataclass(frozen=True, kw_only=True)
class ThresholdGuarding:
    """Fine-tuning with a penalty on neurons whose potential comes close to the threshold.

    Neurons near their threshold are the weak spot of directly trained SNNs: little is needed to
    make them fire or to keep them from it. To the loss comes

        weight * mean over neurons and steps of max(0, 1 - |u - V_thr| / margin).

    Args:
        weight: > 0.
        margin: potential on either side of the threshold that is to stay empty, > 0.
        epochs, learning_rate, batch_size: of the fine-tuning.

    Raises:
        ValueError: for any argument outside what is said above; when repairing, for a network
            without spiking layers.
    """

    data_free: ClassVar[bool] = False

    weight: float = 0.1
    margin: float = 0.25
    epochs: int = 30
    learning_rate: float = 1e-2
    batch_size: int = 32

    def __post_init__(self) -> None:
        checks.above("weight", self.weight, 0)
        checks.above("margin", self.margin, 0)
        checks.whole("epochs", self.epochs, 1)
        checks.above("learning_rate", self.learning_rate, 0)
        checks.whole("batch_size", self.batch_size, 1)

    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A fine-tuned copy of the network."""
        check_clean(net, clean_samples)
        if not spiking_layers(net):
            raise ValueError(f"net={type(net).__name__} has no spiking layer: it has no threshold")
        out = copy.deepcopy(net)
        with currents(out) as seen:

            def loss(logits: Tensor, labels: Tensor) -> Tensor:
                ran = list(seen)  # to ask a layer again for its potential adds to `seen`
                close = torch.stack([crowding(*one, self.margin) for one in ran]).mean()
                seen.clear()
                return LOSSES["mse"](logits, labels) + self.weight * close

            train(
                out, clean_samples, epochs=self.epochs, learning_rate=self.learning_rate,
                batch_size=self.batch_size, loss=loss, steps=steps, seed=seed, device=device,
                progress=False,
            )  # fmt: skip
        return out


def crowding(layer: LIF, current: Tensor, margin: float) -> Tensor:
    """How close a layer's potentials are to its threshold: 0 where all keep the margin, up to 1."""
    return functional.relu(1 - gap(layer, current).abs() / margin).mean()


def gap(layer: LIF, current: Tensor) -> Tensor:
    """Potential less threshold of all neurons at all steps, of the current's shape [T, B, ...].

    With SpikingJelly's update a neuron that fired is seen after its reset.
    """
    _, potential = layer(current, return_potential=True)
    distance: Tensor = potential - layer.threshold
    return distance


@torch.no_grad()
def gaps(net: nn.Module, sequence: Tensor) -> list[Tensor]:
    """`gap` of each spiking layer for a sequence [T, B, C, H, W], in the order they run."""
    with currents(net) as seen:
        net(sequence)
        return [gap(*one) for one in list(seen)]  # `gap` adds to `seen`


@contextmanager
def currents(net: nn.Module) -> Iterator[list[tuple[LIF, Tensor]]]:
    """(layer, current) of all spiking layers, in the order they ran inside the block."""
    seen: list[tuple[LIF, Tensor]] = []
    hooks = [
        layer.register_forward_pre_hook(lambda one, inputs: seen.append((one, inputs[0])))
        for layer in spiking_layers(net)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
