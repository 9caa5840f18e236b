"""Repairs that first unlearn the clean task, to see which channels are left: RNP and TSBD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.checks import Count, Flag, Natural, Positive, Share, Unit
from snnbd_core.data.batches import shuffled
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.pruning import Choice, Pruning, all_but_lowest, learnt_masks
from snnbd_core.defenses.repair import tuned
from snnbd_core.learning.loop import Step, answers_of, epochs_of, mixed_seed, scored
from snnbd_core.learning.surrogate_gradient import LOSSES

__all__ = ["TwoStage", "UnlearnRecoverPrune", "moved", "unlearnt"]

_RECOVERING = 0.2  # weight of the published loss of masks
_FORGOTTEN = 0.2  # unlearning stops when so few clean samples are still right


@dataclass(frozen=True, kw_only=True)
class UnlearnRecoverPrune(Pruning):
    """RNP (Li et al. 2023): unlearn at the neurons, recover at the filters, prune what does not.

    A copy forgets the clean samples by gradient ascent; what it still does is the backdoor. Then
    masks on its channels are learnt that bring the clean task back, and channels whose masks fall
    on the way, which the clean task does not want, are silenced in the network itself. A mask
    multiplies a channel's current, that of a spiking one alike at every time step; gradients
    through spikes are the surrogate's.

    The authors' code differs: its masks, and its pruning, leave the bias of batch norm alone, and
    masks go down 0.2 times the cross-entropy (`published`, of the masks alone). It also unlearns
    and recovers with batch norm in training mode, by SGD with momentum and weight decay. Its
    unlearning stops as here.

    Args:
        threshold: channels with a mask below it are silenced.
        unlearning_rate, epochs: of the ascent; it ends when at most 20 % of the clean samples are
            right.
        iterations, learning_rate: of the masks.
        published: whether masks are learnt as in the authors' code.
    """

    threshold: Unit = 0.8
    unlearning_rate: Positive = 0.02
    epochs: Count = 20
    iterations: Count = 100
    learning_rate: Positive = 1.0
    published: Flag = False

    def _choice(self, bench: Bench) -> Choice:
        """The masks that bring the clean task back, and which channels they leave."""
        forgot = unlearnt(bench, self.unlearning_rate, self.epochs)
        biases = forgot.view.biases() if self.published else None

        def loss(masks: list[Tensor], rows: np.ndarray) -> Tensor:
            batch, labels = forgot.samples(rows)
            kept = None
            if biases is not None:  # what a mask takes from the bias is given back
                kept = [(1 - mask) * bias for mask, bias in zip(masks, biases, strict=True)]
            with forgot.view.gated(masks, kept):
                answers = answers_of(forgot.net, forgot.sequence(batch))
            if self.published:
                return _RECOVERING * LOSSES["cross_entropy"](answers, labels)
            return LOSSES["mse"](answers, labels)

        return learnt_masks(
            forgot,
            loss,
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            threshold=self.threshold,
        )


@dataclass(frozen=True, kw_only=True)
class TwoStage(Pruning):
    """TSBD (Lin et al. 2024): clean unlearning finds the neurons, reinitialising cleans them.

    Neurons whose weights change most while the clean task is unlearnt are, by the paper, those of
    the backdoor. In the first stage, of the `neurons` share with the largest change, the `weights`
    share of sub-weights that changed most is set to zero. The second stage is fine-tuning; the
    paper's activeness-aware term, a penalty on the gradient's norm, is left out. Weights are the
    same in a spiking network as in an ANN; gradients through spikes are the surrogate's.

    The authors' code differs: it ranks the neurons of all convolutions together and cuts the
    sub-weights of those that it finds at one change, where here each layer gives its share of
    neurons and each neuron its share of weights. Dense layers stay whole there. It unlearns in
    training mode, by SGD with momentum, until 10 % are right.

    Args:
        neurons, weights: shares, rounded down.
        unlearning_rate, unlearning_epochs: of the ascent, see `UnlearnRecoverPrune`.
        epochs, learning_rate: of the fine-tuning; 0 epochs leaves it out.
    """

    neurons: Share = 0.15
    weights: Share = 0.7
    unlearning_rate: Positive = 0.02
    unlearning_epochs: Count = 20
    epochs: Natural = 30
    learning_rate: Positive = 1e-2

    def _repaired(self, bench: Bench) -> nn.Module:
        changes = self._changes(bench)
        with torch.no_grad():
            for weight, change in zip(_weights(bench), changes, strict=True):
                weight.mul_(self._staying(change))
        return tuned(bench, self.epochs, self.learning_rate)

    def _choice(self, bench: Bench) -> Choice:
        """How far unlearning moves the weights of each neuron, and which neurons stay whole.

        Scores are sums of absolute changes, for each layer with weights but the read-out.
        """
        scores = [moved(change) for change in self._changes(bench)]
        return Choice.of(scores, [all_but_lowest(-score, self.neurons) for score in scores])

    def _changes(self, bench: Bench) -> list[Tensor]:
        """Absolute change of each weight while the clean task is unlearnt."""
        forgot = unlearnt(bench, self.unlearning_rate, self.unlearning_epochs)
        pairs = zip(_weights(bench), _weights(forgot), strict=True)
        return [(after - before).detach().abs() for before, after in pairs]

    def _staying(self, change: Tensor) -> Tensor:
        """1 for the sub-weights that stay, 0 for the others, of the shape of `change`."""
        rows = change.flatten(1)
        keep = torch.ones_like(rows)
        for row in (~all_but_lowest(-moved(change), self.neurons)).nonzero()[:, 0].tolist():
            keep[row, ~all_but_lowest(-rows[row], self.weights)] = 0
        return keep.reshape(change.shape)


def moved(change: Tensor) -> Tensor:
    """Sum of the changes of each neuron's weights, [C] of [C, ...]."""
    return change.flatten(1).sum(dim=1)


def unlearnt(bench: Bench, rate: float, epochs: int) -> Bench:
    """A copy that has forgotten the clean samples, by gradient ascent on its loss."""
    forgot = bench.copied()

    def step(rows: np.ndarray) -> Step:
        batch, labels = forgot.samples(rows)
        logits = answers_of(forgot.net, forgot.sequence(batch))
        return scored(-LOSSES["cross_entropy"](logits, labels), logits, labels)

    for history in epochs_of(
        forgot.net,
        torch.optim.SGD(forgot.net.parameters(), lr=rate),
        lambda epoch: list(shuffled(len(forgot.data), 32, forgot.seed, epoch)),
        step,
        epochs=epochs,
        seed_of=lambda epoch: mixed_seed(forgot.seed, epoch),
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
