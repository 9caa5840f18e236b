"""Repairs that first unlearn the clean task, to see which channels are left: RNP and TSBD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.data.batches import shuffled
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.choice import Choice, all_but_lowest
from snnbd_core.defenses.fine_tuning import tuned
from snnbd_core.defenses.masks import chosen_by, learnt_masks
from snnbd_core.defenses.pruning import pruned
from snnbd_core.defenses.repair import Pruning
from snnbd_core.learning.loop import Step, answers_of, epochs_of, mixed_seed, scored
from snnbd_core.learning.surrogate_gradient import LOSSES

__all__ = ["TwoStage", "UnlearnRecoverPrune", "moved", "unlearnt"]

_FORGOTTEN = 0.2  # unlearning stops when so few clean samples are still right


@dataclass(frozen=True, kw_only=True)
class UnlearnRecoverPrune(Pruning):
    """RNP (Li et al. 2023): unlearn at the neurons, recover at the filters, prune what does not.

    A copy forgets the clean samples by gradient ascent; what it still does is the backdoor. Then
    masks on its channels are learnt that bring the clean task back, and channels whose masks fall
    on the way, which the clean task does not want, are silenced in the network itself. A mask
    multiplies a channel's current, that of a spiking one alike at every time step; gradients
    through spikes are the surrogate's.

    Args:
        threshold: channels with a mask below it are silenced, 0..1.
        unlearning_rate, epochs: of the ascent, > 0 and at least 1; it ends when at most 20 % of the
            clean samples are right.
        iterations, learning_rate: of the masks, at least 1 and > 0.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    threshold: float = 0.8
    unlearning_rate: float = 0.02
    epochs: int = 20
    iterations: int = 100
    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        checks.fields(self, ("unlearning_rate", "learning_rate"), checks.above, 0)
        checks.fields(self, ("epochs", "iterations"), checks.whole, 1)
        checks.settings(self, threshold=checks.within("threshold", self.threshold, 0, 1))

    def _repaired(self, bench: Bench, clean: Any, seed: int) -> nn.Module:
        return pruned(bench, self._choice(bench, clean, seed).keep)

    def _choice(self, bench: Bench, clean: Any, seed: int) -> Choice:
        """The masks that bring the clean task back, and which channels they leave."""
        forgot = unlearnt(bench, clean, self.unlearning_rate, self.epochs, seed)

        def loss(masks: list[Tensor], rows: np.ndarray) -> Tensor:
            batch, labels = forgot.samples(clean, rows)
            with forgot.view.gated(masks):
                logits = answers_of(forgot.net, forgot.sequence(batch))
            return LOSSES["mse"](logits, labels)

        masks = learnt_masks(
            loss,
            bench.channels,
            len(clean),
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            seed=seed,
            device=bench.device,
        )
        return chosen_by(masks, self.threshold)


@dataclass(frozen=True, kw_only=True)
class TwoStage(Pruning):
    """TSBD (Lin et al. 2024): clean unlearning finds the neurons, reinitialising cleans them.

    Neurons whose weights change most while the clean task is unlearnt are, by the paper, those of
    the backdoor. In the first stage, of the `neurons` share with the largest change, the `weights`
    share of sub-weights that changed most is set to zero. The second stage is fine-tuning; the
    paper's activeness-aware term, a penalty on the gradient's norm, is left out. Weights are the
    same in a spiking network as in an ANN; gradients through spikes are the surrogate's.

    Args:
        neurons, weights: shares in [0, 1).
        unlearning_rate, unlearning_epochs: of the ascent.
        epochs, learning_rate: of the fine-tuning; 0 epochs leaves it out.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    neurons: float = 0.15
    weights: float = 0.7
    unlearning_rate: float = 0.02
    unlearning_epochs: int = 20
    epochs: int = 30
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        checks.fields(self, ("neurons", "weights"), checks.share)
        checks.fields(self, ("unlearning_rate", "learning_rate"), checks.above, 0)
        checks.settings(
            self,
            unlearning_epochs=checks.whole("unlearning_epochs", self.unlearning_epochs, 1),
            epochs=checks.whole("epochs", self.epochs, 0),
        )

    def _repaired(self, bench: Bench, clean: Any, seed: int) -> nn.Module:
        changes = self._changes(bench, clean, seed)
        with torch.no_grad():
            for weight, change in zip(_weights(bench), changes, strict=True):
                weight.mul_(self._kept(change))
        return tuned(bench, clean, self.epochs, self.learning_rate, seed)

    def _choice(self, bench: Bench, clean: Any, seed: int) -> Choice:
        """How far unlearning moves the weights of each neuron, and which neurons stay whole.

        Scores are sums of absolute changes, for each layer with weights but the read-out; of a
        neuron that is not kept, the first stage sets weights to zero.
        """
        scores = [moved(change) for change in self._changes(bench, clean, seed)]
        keep = (all_but_lowest(-score, self.neurons) for score in scores)
        return Choice(tuple(scores), tuple(keep), (None,) * len(scores))

    def _changes(self, bench: Bench, clean: Any, seed: int) -> list[Tensor]:
        """Absolute change of each weight while the clean task is unlearnt."""
        forgot = unlearnt(bench, clean, self.unlearning_rate, self.unlearning_epochs, seed)
        pairs = zip(_weights(bench), _weights(forgot), strict=True)
        return [(after - before).detach().abs() for before, after in pairs]

    def _kept(self, change: Tensor) -> Tensor:
        """1 for the sub-weights that stay, 0 for the others, of the shape of `change`."""
        rows = change.flatten(1)
        keep = torch.ones_like(rows)
        for row in (~all_but_lowest(-moved(change), self.neurons)).nonzero()[:, 0].tolist():
            keep[row, ~all_but_lowest(-rows[row], self.weights)] = 0
        return keep.reshape(change.shape)


def moved(change: Tensor) -> Tensor:
    """Sum of the changes of each neuron's weights, [C] of [C, ...]."""
    return change.flatten(1).sum(dim=1)


def unlearnt(bench: Bench, clean: Any, rate: float, epochs: int, seed: int) -> Bench:
    """A copy that has forgotten the clean samples, by gradient ascent on its loss."""
    forgot = bench.copied()

    def step(rows: np.ndarray) -> Step:
        batch, labels = forgot.samples(clean, rows)
        logits = answers_of(forgot.net, forgot.sequence(batch))
        return scored(-LOSSES["cross_entropy"](logits, labels), logits, labels)

    for history in epochs_of(
        forgot.net,
        torch.optim.SGD(forgot.net.parameters(), lr=rate),
        lambda epoch: list(shuffled(len(clean), 32, seed, epoch)),
        step,
        epochs=epochs,
        seed_of=lambda epoch: mixed_seed(seed, epoch),
        cosine=False,
        training=False,  # batch norm keeps its statistics
        clip=1.0,
    ):
        if history.accuracy[-1] <= _FORGOTTEN:
            break
    return forgot


def _weights(bench: Bench) -> list[Any]:
    """Weights of all convolutions and dense layers but the read-out."""
    modules = list(dict.fromkeys(layer.module for layer in bench.view.weights))
    return [module.weight for module in modules[:-1]]
