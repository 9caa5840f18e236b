"""What trained triggers share: the attacker's network, and a check of the recordings."""

from __future__ import annotations

from typing import Any

from torch import nn

from snnbd_core import networks
from snnbd_core.data import as_set
from snnbd_core.learning import train

__all__ = ["recorded", "surrogate"]


def recorded(train: Any, recipe: Any) -> Any:
    """The set, see `as_set`; ValueError unless it has recordings, cut by number or by time."""
    train = as_set(train)
    if "events" not in train.spaces or not hasattr(train, "binning"):
        raise ValueError(
            f"train={train!r} has no recordings, or does not say how they are cut to frames "
            f"(binning), which {type(recipe).__name__} needs: make the set by sb.data.from_events"
        )
    return train


def surrogate(data: Any, seed: int, epochs: int, steps: int = 4) -> nn.Module:
    """ "quick-conv" with its default neurons, trained on the attacker's data, on the CPU."""
    net = networks.build("quick-conv", data.input_shape, data.classes, seed=seed)
    settings: dict[str, Any] = {"batch_size": 32, "learning_rate": 2e-3, "device": "cpu"}
    train(net, data, epochs=epochs, seed=seed, steps=steps, progress=False, **settings)
    return net
