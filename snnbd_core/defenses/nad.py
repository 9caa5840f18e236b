"""Neural attention distillation (Li et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core.checks import Count, Flag, Positive
from snnbd_core.data.batches import shuffled
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.repair import Repair, tuned
from snnbd_core.learning.loop import Step, answers_of, epochs_of, scored
from snnbd_core.learning.surrogate_gradient import LOSSES

__all__ = ["AttentionDistillation", "apart", "attention"]


@dataclass(frozen=True, kw_only=True)
class AttentionDistillation(Repair):
    """A fine-tuned copy teaches the network where to look.

    The attention of a layer is the sum over its channels of squared rates (averaged over time), as
    a vector over places, of length 1; of a dense layer the squared rates themselves. The loss adds
    beta times the squared distance of the two networks' attentions, summed over hidden layers.

    The authors' code divides a layer's distance by its number of places, 1,024 where they are 32 by
    32 (`published`). It also adds it to the cross-entropy, where here the loss is of votes.

    Args:
        beta: of the distances; BadSNN's Table 2 has 1000, of the published ones.
        epochs, learning_rate: of teacher and student.
        published: whether distances are means over places, as in the authors' code.
    """

    rounds: ClassVar[str] = "{epochs} epochs, twice"

    beta: Positive = 10.0
    epochs: Count = 10
    learning_rate: Positive = 1e-2
    published: Flag = False

    def _repaired(self, bench: Bench) -> nn.Module:
        student, teacher = bench, bench.copied()
        tuned(teacher, self.epochs, self.learning_rate)

        def step(rows: np.ndarray) -> Step:
            batch, labels = student.samples(rows)
            sequence = student.sequence(batch)
            with teacher.view.read(teacher.view.hidden, "spikes") as taught, torch.no_grad():
                answers_of(teacher.net, sequence)
            with student.view.read(student.view.hidden, "spikes") as seen:
                logits = answers_of(student.net, sequence)
            loss = LOSSES["mse"](logits, labels)
            for mine, wanted in zip(seen, taught, strict=True):
                loss = loss + self.beta * apart(mine, wanted, self.published)
            return scored(loss, logits, labels)

        training = epochs_of(
            student.net,
            torch.optim.Adam(student.net.parameters(), lr=self.learning_rate),
            lambda epoch: list(shuffled(len(student.data), 32, student.seed, epoch)),
            step,
            epochs=self.epochs,
            seed_of=lambda epoch: student.seed + epoch,
        )
        list(training)
        return student.net.eval()

    def teacher(self, net: nn.Module, clean_samples: Any, **settings: Any) -> nn.Module:
        """The fine-tuned copy whose attention the student takes over; arguments as `repair`'s."""
        bench = self._bench(net, clean_samples, **settings)
        return tuned(bench, self.epochs, self.learning_rate)


def apart(mine: Tensor, wanted: Tensor, published: bool = False) -> Tensor:
    """Squared distance of two outputs' attentions, the mean over samples; `published`: places too.

    Both are [T, B, C, ...], the distance is a number with gradients.
    """
    squared = (attention(mine) - attention(wanted)).square()
    return squared.mean() if published else squared.sum(1).mean()


def attention(output: Tensor) -> Tensor:
    """Attention of a layer's output [T, B, C, ...] as vectors of length 1, [B, places]."""
    squared = output.float().mean(dim=0).square()
    over = squared.sum(dim=1) if squared.dim() > 2 else squared
    return functional.normalize(over.flatten(1), dim=1)
