"""LR_H: a converted network, fine-tuned by surrogate gradients at few time steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from snnbd_core.learning import conversion
from snnbd_core.learning.ann import ANN, check_reads
from snnbd_core.learning.conversion import Conversion
from snnbd_core.learning.task import Task, Trained

SETS = ("poisoned", "clean")


@dataclass(frozen=True, kw_only=True)
class Hybrid:
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

    figures: ClassVar[tuple[str, ...]] = Conversion.figures

    def __post_init__(self) -> None:
        if isinstance(self.epochs, bool) or not isinstance(self.epochs, int) or self.epochs < 1:
            raise ValueError(f"epochs={self.epochs!r} must be a whole number >= 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate={self.learning_rate!r} must be a number > 0")
        if self.data not in SETS:
            raise ValueError(f"data={self.data!r} is unknown; allowed: {', '.join(SETS)}")
        check_reads(self.reads)

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
