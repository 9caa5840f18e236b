"""LR_H: a converted network, fine-tuned by surrogate gradients at few time steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from snnbd_core.checks import Count, Positive
from snnbd_core.learning.ann import Reads
from snnbd_core.learning.conversion import Conversion, Migrating, converted
from snnbd_core.learning.surrogate_gradient import train as train_by_surrogates
from snnbd_core.learning.task import Task, Trained
from snnbd_core.networks import Network

__all__ = ["Hybrid", "hybrid"]


def hybrid(
    ann: nn.Module,
    train: Any,
    *,
    epochs: int = 5,
    seed: int = 0,
    learning_rate: float = 5e-4,
    normalisation: str = "percentile",
    percentile: float = 99.9,
    **settings: Any,
) -> Network:
    """A spiking network from an ANN, fine-tuned (Rathi et al. 2020); the ANN is not changed.

    Args:
        ann, normalisation, percentile: as for `convert`.
        train: the training set; the seed draws 256 of its samples for calibration.
        epochs, seed, learning_rate: of the fine-tuning, as for `snnbd_core.learning.train`.
        settings: others of `snnbd_core.learning.train`.

    Raises:
        ValueError: as `convert` and `snnbd_core.learning.train`.
    """
    net = converted(ann, train, seed, normalisation=normalisation, percentile=percentile)
    settings |= {"epochs": epochs, "seed": seed, "learning_rate": learning_rate}
    train_by_surrogates(net, train, **settings)
    return net


@dataclass(frozen=True, kw_only=True)
class Hybrid(Migrating):
    """LR_H of Jin et al. (2024); conversion first (Rathi et al. 2020), see `Conversion`.

    Args:
        epochs, learning_rate: of the fine-tuning.
        data: "poisoned" fine-tunes on the set that the ANN was trained on, "clean" on the one
            before it was poisoned.
        reads: as for `Conversion`.
    """

    epochs: Count = 5
    learning_rate: Positive = 5e-4
    data: Literal["poisoned", "clean"] = "poisoned"
    reads: Reads = "frames"

    def fit(self, task: Task) -> Trained:
        """Converts and fine-tunes."""
        net = Conversion(reads=self.reads).converted(task)
        data = task.poisoned if self.data == "poisoned" else task.clean
        history = task.train(net, data, epochs=self.epochs, learning_rate=self.learning_rate)
        return Trained(net, history)
