"""A network that the attacker trains, for triggers that need the gradients of a network."""

from __future__ import annotations

from typing import Any

from torch import nn

from snnbd_core import networks
from snnbd_core.learning import train

__all__ = ["surrogate"]


def surrogate(data: Any, seed: int, epochs: int, steps: int = 4) -> nn.Module:
    """ "quick-conv" with its default neurons, trained on the attacker's data, on the CPU."""
    net = networks.build("quick-conv", data.input_shape, data.classes, seed=seed)
    settings: dict[str, Any] = {"batch_size": 32, "learning_rate": 2e-3, "device": "cpu"}
    train(net, data, epochs=epochs, seed=seed, steps=steps, progress=False, **settings)
    return net
