"""Fine-tuning on clean samples: the plainest repair, and the measure of all others."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from snnbd_core.checks import Count, Positive
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.repair import Repair, tuned

__all__ = ["FineTuning"]


@dataclass(frozen=True, kw_only=True)
class FineTuning(Repair):
    """Trains on for some epochs, on clean samples only; through spikes by surrogate gradients.

    Args:
        epochs: BadSNN's Table 2 has 10 on larger sets.
        learning_rate, batch_size: as for `snnbd_core.learning.train`.
        threshold: of all neurons while training; None leaves them. Against an attack that ships
            another threshold, the one that is shipped. Needs spiking layers.
    """

    epochs: Count = 30
    learning_rate: Positive = 1e-2
    batch_size: Count = 32
    threshold: Positive | None = None

    def _repaired(self, bench: Bench) -> nn.Module:
        with bench.at(self.threshold):
            return tuned(bench, self.epochs, self.learning_rate, batch_size=self.batch_size)
