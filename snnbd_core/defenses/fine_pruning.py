"""Pruning of channels by what they do on clean samples, and fine-tuning after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from snnbd_core.checks import Natural, Positive, Share
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.pruning import Choice, Pruning, all_but_lowest, pruned

__all__ = ["FinePruning", "SuspiciousNeurons", "standard", "suspiciousness"]


@dataclass(frozen=True, kw_only=True)
class FinePruning(Pruning):
    """Fine-pruning (Liu et al. 2018), by rates.

    SS-FP of Kim et al. 2026 ranks by spikes as this does, HS-FP by hooks; what the hooks read was
    not at hand. Fine-tuning is by surrogate gradients, as in HS-FP; SS-FP has STDP too.

    In the last hidden layer the channels with the lowest rate on clean samples are silenced: what
    is asleep on clean data may be awake for the trigger. The authors' code prunes a late
    convolution, ranked behind its max-pooling; the layer here may be dense, and is ranked before
    pooling.

    "loud" prunes the ones with the largest activation instead, in every hidden layer (Xu et al.
    2020: adversarial and backdoor signals show as large activations), by the largest rate over
    samples and places.

    Args:
        share: of the channels, rounded down.
        order: "quiet" or "loud".
        epochs, learning_rate: of the fine-tuning after it; 0 epochs prunes only.
    """

    share: Share = 0.3
    order: Literal["quiet", "loud"] = "quiet"
    epochs: Natural = 30
    learning_rate: Positive = 1e-2

    def _repaired(self, bench: Bench) -> nn.Module:
        return pruned(bench, self._choice(bench).keep, self.epochs, self.learning_rate)

    def _choice(self, bench: Bench) -> Choice:
        """Rates on clean samples, mean or largest, and which channels stay."""
        loud = self.order == "loud"
        rates = bench.rates(bench.data, largest=loud)
        keep = [torch.ones_like(rate, dtype=torch.bool) for rate in rates]
        for number in range(len(rates)) if loud else (len(rates) - 1,):
            keep[number] = all_but_lowest(-rates[number] if loud else rates[number], self.share)
        return Choice.of(rates, keep)


@dataclass(frozen=True, kw_only=True)
class SuspiciousNeurons(Pruning):
    """Silences the channels with the highest suspiciousness, then fine-tunes.

    The score's idea is a channel's activation, its weights and how both stand to those of its
    layer. The exact formula was not at hand; ours is, with z the standard score within the layer,

        s = z(norm of the weights that leave the channel) - z(its rate on clean samples):

    what could say much and is hardly heard on clean samples. Needs one chain of layers.

    Args:
        share: of each hidden layer's channels, rounded down.
        epochs, learning_rate: of the fine-tuning after it; 0 epochs prunes only.
    """

    share: Share = 0.4
    epochs: Natural = 30
    learning_rate: Positive = 1e-2

    def _repaired(self, bench: Bench) -> nn.Module:
        return pruned(bench, self._choice(bench).keep, self.epochs, self.learning_rate)

    def _choice(self, bench: Bench) -> Choice:
        """The suspiciousness of all channels, and which of them stay."""
        scores = suspiciousness(bench)
        return Choice.of(scores, [all_but_lowest(-score, self.share) for score in scores])


def suspiciousness(bench: Bench) -> list[Tensor]:
    """The score of each channel, one [C] for each hidden layer."""
    leaving = [strength.norm(dim=0) for strength in bench.view.connections()[1:]]
    rates = bench.rates(bench.data)
    return [standard(weight) - standard(rate) for weight, rate in zip(leaving, rates, strict=True)]


def standard(values: Tensor) -> Tensor:
    """Standard scores [C]: less the mean, over the deviation; 0 where all are equal."""
    spread = values.std(correction=0)
    return (values - values.mean()) / spread if bool(spread > 0) else torch.zeros_like(values)
