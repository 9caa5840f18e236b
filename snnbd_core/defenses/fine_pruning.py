"""Pruning of channels by what they do on clean samples, with or without fine-tuning after it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.defenses.channels import check_clean, prune, rates
from snnbd_core.defenses.choice import Choice, all_but_lowest
from snnbd_core.defenses.fine_tuning import tuned

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
        checks.share("share", self.share)
        checks.whole("epochs", self.epochs, 0)
        checks.above("learning_rate", self.learning_rate, 0)
        if self.order not in ORDERS:
            raise ValueError(f"order={self.order!r} is unknown; allowed: {', '.join(ORDERS)}")

    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A pruned and fine-tuned copy of the network."""
        check_clean(net, clean_samples)
        out = copy.deepcopy(net).to(device).eval()
        prune(out, self.choose(out, clean_samples, seed=seed, device=device, steps=steps).keep)
        return tuned(
            out, clean_samples, self.epochs, self.learning_rate,
            seed=seed, device=device, steps=steps,
        )  # fmt: skip

    def choose(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> Choice:
        """Rates on clean samples, mean or largest, and which channels stay; seed is not used."""
        loud = self.order == "loud"
        out = copy.deepcopy(net).to(device).eval()
        found = rates(out, clean_samples, steps, largest=loud)
        keep = [torch.ones_like(one, dtype=torch.bool) for one in found]
        for number in range(len(found)) if loud else (len(found) - 1,):
            keep[number] = all_but_lowest(-found[number] if loud else found[number], self.share)
        return Choice(tuple(found), tuple(keep), (None,) * len(found))
