"""Neuron suspiciousness: heavy channels that clean samples hardly use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.choice import Choice, all_but_lowest
from snnbd_core.defenses.pruning import pruned
from snnbd_core.defenses.repair import Pruning

__all__ = ["SuspiciousNeurons", "standard", "suspiciousness"]


@dataclass(frozen=True, kw_only=True)
class SuspiciousNeurons(Pruning):
    """Silences the channels with the highest suspiciousness, then fine-tunes.

    The score's idea is a channel's activation, its weights and how both stand to those of its
    layer. The exact formula was not at hand; ours is, with z the standard score within the layer,

        s = z(norm of the weights that leave the channel) - z(its rate on clean samples):

    what could say much and is hardly heard on clean samples.

    Args:
        share: of each hidden layer's channels, in [0, 1), rounded down.
        epochs: of the fine-tuning after it; 0 prunes only.
        learning_rate: of the fine-tuning, > 0.

    Raises:
        ValueError: for any argument outside what is said above.
        NotVisible: when repairing, a network that is not one chain of layers.
    """

    share: float = 0.4
    epochs: int = 30
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        checks.settings(
            self,
            share=checks.share("share", self.share),
            epochs=checks.whole("epochs", self.epochs, 0),
            learning_rate=checks.above("learning_rate", self.learning_rate, 0),
        )

    def _repaired(self, bench: Bench, clean: Any, seed: int) -> nn.Module:
        return pruned(
            bench,
            self._choice(bench, clean, seed).keep,
            clean,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            seed=seed,
        )

    def _choice(self, bench: Bench, clean: Any, seed: int) -> Choice:
        """The suspiciousness of all channels, and which of them stay."""
        scores = suspiciousness(bench, clean)
        keep = (all_but_lowest(-score, self.share) for score in scores)
        return Choice(tuple(scores), tuple(keep), (None,) * len(scores))


def suspiciousness(bench: Bench, clean: Any) -> list[Tensor]:
    """The score of each channel, one [C] for each hidden layer."""
    leaving = [strength.norm(dim=0) for strength in bench.view.connections()[1:]]
    heard = bench.rates(clean)
    return [standard(weight) - standard(rate) for weight, rate in zip(leaving, heard, strict=True)]


def standard(values: Tensor) -> Tensor:
    """Standard scores [C]: less the mean, over the deviation; 0 where all are equal."""
    spread = values.std(correction=0)
    return (values - values.mean()) / spread if bool(spread > 0) else torch.zeros_like(values)
