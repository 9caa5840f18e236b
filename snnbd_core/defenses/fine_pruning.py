"""Pruning of channels by what they do on clean samples, with or without fine-tuning after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.defenses.bench import Bench, repairing
from snnbd_core.defenses.choice import Choice, all_but_lowest
from snnbd_core.defenses.pruning import pruned

__all__ = ["FinePruning"]

ORDERS = ("quiet", "loud")


@dataclass(frozen=True, kw_only=True)
class FinePruning:
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

    data_free: ClassVar[bool] = False

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

    def repair(
        self,
        net: nn.Module,
        clean_samples: Any,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> nn.Module:
        """A pruned and fine-tuned copy of the network."""
        bench, clean = repairing(net, clean_samples, device=device, steps=steps)
        return pruned(
            bench,
            self._choice(bench, clean).keep,
            clean,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            seed=seed,
        )

    def choose(
        self,
        net: nn.Module,
        clean_samples: Any,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> Choice:
        """Rates on clean samples, mean or largest, and which channels stay; seed is not used."""
        return self._choice(*repairing(net, clean_samples, device=device, steps=steps))

    def _choice(self, bench: Bench, clean: Any) -> Choice:
        loud = self.order == "loud"
        found = bench.rates(clean, largest=loud)
        keep = [torch.ones_like(rate, dtype=torch.bool) for rate in found]
        for number in range(len(found)) if loud else (len(found) - 1,):
            keep[number] = all_but_lowest(-found[number] if loud else found[number], self.share)
        return Choice(tuple(found), tuple(keep), (None,) * len(found))
