"""Neural attention distillation (Li et al. 2021)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core import checks
from snnbd_core.data.batches import shuffled
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.fine_tuning import tuned
from snnbd_core.defenses.repair import Repair
from snnbd_core.learning.loop import Step, answers_of, epochs_of, scored
from snnbd_core.learning.surrogate_gradient import LOSSES

__all__ = ["AttentionDistillation", "attention"]


@dataclass(frozen=True, kw_only=True)
class AttentionDistillation(Repair):
    """A fine-tuned copy teaches the network where to look.

    The attention of a layer is the sum over its channels of squared rates (averaged over time), as
    a vector over places, of length 1; of a dense layer the squared rates themselves. The loss adds
    beta times the squared distance of the two networks' attentions, summed over hidden layers.

    Args:
        beta: > 0. BadSNN's Table 2 has 1000, for another scale of the loss.
        epochs, learning_rate: of teacher and student; at least 1, > 0.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    beta: float = 10.0
    epochs: int = 10
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        checks.fields(self, ("beta", "learning_rate"), checks.above, 0)
        checks.settings(self, epochs=checks.whole("epochs", self.epochs, 1))

    def _repaired(self, bench: Bench, clean: Any, seed: int) -> nn.Module:
        teacher = bench.copied()
        tuned(teacher, clean, self.epochs, self.learning_rate, seed)

        def step(rows: np.ndarray) -> Step:
            batch, labels = bench.samples(clean, rows)
            return self._step(bench, teacher, bench.sequence(batch), labels)

        deque(
            epochs_of(
                bench.net,
                torch.optim.Adam(bench.net.parameters(), lr=self.learning_rate),
                lambda epoch: list(shuffled(len(clean), 32, seed, epoch)),
                step,
                epochs=self.epochs,
                seed_of=lambda epoch: seed + epoch,
            ),
            maxlen=0,
        )
        return bench.net.eval()

    @property
    def rounds(self) -> str:
        """What it repeats, for a table of costs."""
        return f"{self.epochs} epochs, twice"

    def teacher(
        self,
        net: nn.Module,
        clean_samples: Any,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> nn.Module:
        """The fine-tuned copy whose attention the student is to take over."""
        bench, clean = self._bench(net, clean_samples, device, steps)
        return tuned(bench, clean, self.epochs, self.learning_rate, seed)

    def _step(self, student: Bench, teacher: Bench, sequence: Tensor, labels: Tensor) -> Step:
        with teacher.view.read(teacher.view.hidden, "spikes") as taught, torch.no_grad():
            answers_of(teacher.net, sequence)
        with student.view.read(student.view.hidden, "spikes") as seen:
            logits = answers_of(student.net, sequence)
        loss = LOSSES["mse"](logits, labels)
        for mine, wanted in zip(seen, taught, strict=True):
            loss = loss + self.beta * (attention(mine) - attention(wanted)).square().sum(1).mean()
        return scored(loss, logits, labels)


def attention(output: Tensor) -> Tensor:
    """Attention of a layer's output [T, B, C, ...] as vectors of length 1, [B, places]."""
    squared = output.float().mean(dim=0).square()
    over = squared.sum(dim=1) if squared.dim() > 2 else squared
    return functional.normalize(over.flatten(1), dim=1)
