"""Anti-backdoor learning (ABL, Li et al. 2021): training on a set that may be poisoned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.checks import Checked, Count, Flag, Inner, Positive
from snnbd_core.learning import History, Rule, Task, Trained, as_sequence
from snnbd_core.learning.ann import with_neurons
from snnbd_core.learning.loop import answers_of
from snnbd_core.learning.surrogate_gradient import LOSSES, Loss
from snnbd_core.metrics import Rate

__all__ = ["AntiBackdoorLearning", "held_back", "sample_losses"]


@dataclass(frozen=True, kw_only=True)
class AntiBackdoorLearning(Checked, Rule):
    """A learning rule that isolates what is learnt first, and unlearns it at the end.

    Poisoned samples are learnt sooner than clean ones. For the first epochs the loss of each sample
    is turned around where it is below `floor`, which holds clean samples back (the paper's local
    gradient ascent; the authors' code turns the mean of a batch around). The `isolated` share with
    the lowest loss is then set aside. The network goes on with the others for the rest of the
    epochs, and is driven up the loss of those set aside.
    The report says which share of those was poisoned.

    Args:
        isolated: share of the training set; 0.01 in the paper.
        early: share of the epochs before samples are set aside.
        floor: of a sample's loss, in units of the loss of an answer without votes; the paper's 0.5
            is of a cross-entropy, for which there is no counterpart in votes.
        unlearning: passes over the isolated samples.
        learning_rate: of the unlearning, as a share of the training's.
        twin: True trains the network's ReLU twin, for which the paper's method was made.
    """

    figures: ClassVar[tuple[str, ...]] = ("isolated_poisoned",)

    isolated: Inner = 0.01
    early: Inner = 0.2
    floor: Inner = 0.2
    unlearning: Count = 5
    learning_rate: Positive = 0.1
    twin: Flag = False

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set, as far as it can be trusted."""
        net, history = self.begun(task)
        first = len(history)
        suspected = self.isolate(net, task.poisoned, steps=task.steps, device=task.device)
        others = np.setdiff1d(np.arange(len(task.poisoned)), suspected)
        if task.epochs > first:
            later = task.train(net, task.poisoned.subset(others), epochs=task.epochs - first)
            history = history.followed_by(later)
        task.train(
            net,
            task.poisoned.subset(suspected),
            epochs=self.unlearning,
            loss=_Upwards(),
            learning_rate=self.learning_rate * task.learning_rate,
        )
        if not hasattr(task.poisoned, "poisoned_indices"):  # a set that does not know them
            return Trained(net, history)
        found = Rate.of(np.isin(suspected, task.poisoned.poisoned_indices))
        return Trained(net, history, figures={"isolated_poisoned": found})

    def begun(self, task: Task) -> tuple[nn.Module, History]:
        """The network after the epochs at whose end samples are set aside, and these epochs."""
        net = self.layout(task.build())
        first = max(1, round(self.early * task.epochs))
        return net, task.train(net, epochs=first, loss=held_back(self.floor))

    def layout(self, net: nn.Module) -> nn.Module:
        """The network itself, or with ReLU in place of its neurons."""
        return with_neurons(net, nn.ReLU) if self.twin else net

    def isolate(self, net: nn.Module, data: Any, *, steps: int, device: torch.device) -> np.ndarray:
        """Rows of the samples with the lowest loss, ascending."""
        count = max(1, round(self.isolated * len(data)))
        losses = sample_losses(net, data, steps=steps, device=device)
        return np.sort(losses.argsort(stable=True)[:count].numpy())


@torch.no_grad()
def sample_losses(net: nn.Module, data: Any, *, steps: int, device: torch.device) -> Tensor:
    """Squared error of each sample of a set, [N]; an answer without votes has 1 / classes.

    The network is left in evaluation mode.
    """
    net.eval()
    losses = []
    for start in range(0, len(data), 128):
        batch, labels = data.batch(np.arange(start, min(start + 128, len(data))))
        logits = answers_of(net, as_sequence(batch.to(device), steps))
        losses.append(_each(logits, labels.to(device)).cpu())
    return torch.cat(losses)


def held_back(floor: float) -> Loss:
    """Mean over samples of sign(loss - floor / classes) * loss."""
    return _HeldBack(floor)


@dataclass(frozen=True)
class _HeldBack:
    floor: float

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        each = _each(logits, labels)
        return (torch.sign(each.detach() - self.floor / logits.shape[1]) * each).mean()


@dataclass(frozen=True)
class _Upwards:
    """The squared error with its sign turned around."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return -LOSSES["mse"](logits, labels)


def _each(logits: Tensor, labels: Tensor) -> Tensor:
    """Squared error of each sample, [B]; an answer without votes has 1 / classes."""
    truth = nn.functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return (logits - truth).square().mean(dim=1)
