"""Fine-tuning on clean samples: the plainest repair, and the measure of all others."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import nn

from snnbd_core import checks
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.repair import Repair
from snnbd_core.learning import train
from snnbd_core.view import override

__all__ = ["FineTuning", "tuned"]


@dataclass(frozen=True, kw_only=True)
class FineTuning(Repair):
    """Trains on for some epochs, on clean samples only; through spikes by surrogate gradients.

    Args:
        epochs: at least 1; BadSNN's Table 2 has 10 on larger sets.
        learning_rate: > 0.
        batch_size: at least 1.
        threshold: of all neurons while training; None leaves them. Against an attack that ships
            another threshold, the one that is shipped.

    Raises:
        ValueError: for any argument outside what is said above; when repairing with a threshold,
            a network without spiking layers.
    """

    epochs: int = 30
    learning_rate: float = 1e-2
    batch_size: int = 32
    threshold: float | None = None

    def __post_init__(self) -> None:
        checks.fields(self, ("epochs", "batch_size"), checks.whole, 1)
        checks.settings(self, learning_rate=checks.above("learning_rate", self.learning_rate, 0))
        if self.threshold is not None:
            checks.settings(self, threshold=checks.above("threshold", self.threshold, 0))

    def _repaired(self, bench: Bench, clean: Any, seed: int) -> nn.Module:
        with ExitStack() as stack:
            if self.threshold is not None:
                stack.enter_context(override(bench.net, threshold=self.threshold))
            return tuned(
                bench, clean, self.epochs, self.learning_rate, seed, batch_size=self.batch_size
            )


def tuned(
    bench: Bench,
    clean: Any,
    epochs: int,
    learning_rate: float,
    seed: int,
    *,
    batch_size: int = FineTuning.batch_size,
) -> nn.Module:
    """The network of a bench after fine-tuning in place, or with 0 epochs as it is.

    Args:
        bench: the network.
        clean: samples.
        epochs, learning_rate, batch_size: of the fine-tuning.
        seed: of the order of the samples.
    """
    if epochs:
        train(
            bench.net,
            clean,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            steps=bench.steps,
            seed=seed,
            device=bench.device,
            progress=False,
        )
    return bench.net
