"""Pruning of channels by what they do on clean samples, with or without fine-tuning after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.choice import Choice, all_but_lowest
from snnbd_core.defenses.pruning import pruned
from snnbd_core.defenses.repair import Pruning

__all__ = ["FinePruning"]

ORDERS = ("quiet", "loud")


@dataclass(frozen=True, kw_only=True)
class FinePruning(Pruning):
    """Fine-pruning (Liu et al. 2018), by rates; HS-FP of the SNN literature is this one.

    In the last hidden layer the channels with the lowest rate on clean samples are silenced: what
    is asleep on clean data may be awake for the trigger. "loud" prunes the ones with the largest
    activation instead, in every hidden layer (Xu et al. 2020: adversarial and backdoor signals show
    as large activations), by the largest rate over samples and places.

    Args:
        share: of the channels, in [0, 1), rounded down.
        order: "quiet" or "loud".
        epochs: of the fine-tuning after it; 0 prunes only.
        learning_rate: of the fine-tuning, > 0.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    share: float = 0.3
    order: str = "quiet"
    epochs: int = 30
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        checks.settings(
            self,
            share=checks.share("share", self.share),
            order=checks.choice("order", self.order, ORDERS),
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
        """Rates on clean samples, mean or largest, and which channels stay."""
        loud = self.order == "loud"
        found = bench.rates(clean, largest=loud)
        keep = [torch.ones_like(rate, dtype=torch.bool) for rate in found]
        for number in range(len(found)) if loud else (len(found) - 1,):
            keep[number] = all_but_lowest(-found[number] if loud else found[number], self.share)
        return Choice(tuple(found), tuple(keep), (None,) * len(found))
