"""A network of the attacker's own, for triggers that need the gradients of one."""

from __future__ import annotations

from typing import Any

from torch import nn

from snnbd_core import networks
from snnbd_core.learning import train

__all__ = ["surrogate", "untrained"]


def untrained(data: Any, seed: int) -> nn.Module:
    """ "quick-conv" with its default neurons for a set's samples and classes."""
    return networks.build("quick-conv", data.input_shape, data.classes, seed=seed)


def surrogate(data: Any, seed: int, epochs: int, steps: int = 4) -> nn.Module:
    """The same, trained on the set, on the CPU.

    Args:
        data: the attacker's training data.
        seed: of the weights and the training.
        epochs: of the training.
        steps: T for static images.
    """
    net = untrained(data, seed)
    train(
        net,
        data,
        epochs=epochs,
        seed=seed,
        batch_size=32,
        learning_rate=2e-3,
        steps=steps,
        device="cpu",
        progress=False,
    )
    return net
