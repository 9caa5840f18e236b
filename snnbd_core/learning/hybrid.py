"""LR_H: a converted network, fine-tuned by surrogate gradients at few time steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.learning import conversion
from snnbd_core.learning.ann import ANN, READS
from snnbd_core.learning.conversion import Conversion, Migrating
from snnbd_core.learning.surrogate_gradient import train as train_by_surrogates
from snnbd_core.learning.task import Task, Trained
from snnbd_core.networks import Network

__all__ = ["SETS", "Hybrid", "hybrid"]

SETS = ("poisoned", "clean")


def hybrid(
    ann: nn.Module,
    train: Any,
    *,
    epochs: int = 5,
    seed: int = 0,
    device: str | torch.device = "auto",
    batch_size: int = 64,
    learning_rate: float = 5e-4,
    loss: str = "mse",
    steps: int = 4,
    normalisation: str = "percentile",
    percentile: float = 99.9,
    progress: bool = True,
) -> Network:
    """A spiking network from an ANN, fine-tuned (Rathi et al. 2020); the ANN is not changed.

    Args:
        ann, normalisation, percentile: as for `convert`.
        train: the training set; the seed draws 256 of its samples for calibration.
        epochs, seed, device, batch_size, learning_rate, loss, steps, progress: of the fine-tuning,
            as for `snnbd_core.learning.train`.

    Raises:
        ValueError: as `convert` and `snnbd_core.learning.train`.
    """
    net = conversion.converted(ann, train, seed, normalisation, percentile)
    train_by_surrogates(
        net,
        train,
        epochs=epochs,
        seed=seed,
        device=device,
        batch_size=batch_size,
        learning_rate=learning_rate,
        loss=loss,
        steps=steps,
        progress=progress,
    )
    return net


@dataclass(frozen=True, kw_only=True)
class Hybrid(Migrating):
    """LR_H of Jin et al. (2024); conversion first (Rathi et al. 2020), see `Conversion`.

    Args:
        epochs: of the fine-tuning, at least 1.
        learning_rate: of the fine-tuning, > 0.
        data: "poisoned" fine-tunes on the set that the ANN was trained on, "clean" on the one
            before it was poisoned.
        reads: as for `Conversion`.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    epochs: int = 5
    learning_rate: float = 5e-4
    data: str = "poisoned"
    reads: str = "frames"

    def __post_init__(self) -> None:
        checks.settings(
            self,
            epochs=checks.whole("epochs", self.epochs, 1),
            learning_rate=checks.above("learning_rate", self.learning_rate, 0),
            data=checks.choice("data", self.data, SETS),
            reads=checks.choice("reads", self.reads, READS),
        )

    def source(self, experiment: Any) -> Any:
        """The ANN that is converted."""
        return conversion.source(experiment, ANN(reads=self.reads))

    def fit(self, task: Task) -> Trained:
        """Converts and fine-tunes."""
        net = Conversion(reads=self.reads).converted(task)
        data = task.poisoned if self.data == "poisoned" else task.clean
        history = task.train(net, data, epochs=self.epochs, learning_rate=self.learning_rate)
        return Trained(net, history)

    def layout(self, net: nn.Module) -> nn.Module:
        """The modules of a converted network."""
        return conversion.layout(net, self.reads)
