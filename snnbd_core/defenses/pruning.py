"""How repairs that choose channels silence them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.fine_tuning import tuned

__all__ = ["pruned"]


def pruned(
    bench: Bench,
    keep: Sequence[Tensor],
    clean: Any = None,
    *,
    epochs: int = 0,
    learning_rate: float = 0.0,
    seed: int = 0,
) -> nn.Module:
    """A network whose channels are silenced for good, after fine-tuning with them silent.

    Args:
        bench: the network, which is changed in place.
        keep: for each hidden layer which channels stay, bool [C].
        clean: samples to tune on.
        epochs, learning_rate, seed: of the fine-tuning; 0 epochs leaves it out.

    Raises:
        ValueError: a layer of which nothing would be left.
    """
    gates = [None if bool(mask.all()) else mask.float() for mask in keep]
    with bench.view.gated(gates):  # gradients do not reach, and cannot wake, a silent channel
        tuned(bench, clean, epochs, learning_rate, seed)
    bench.view.prune(keep)
    return bench.net
