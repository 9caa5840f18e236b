"""Neural attention distillation (Li et al. 2021)."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core import checks
from snnbd_core.data.batches import shuffled
from snnbd_core.defenses.channels import check_clean, outputs
from snnbd_core.defenses.fine_tuning import FineTuning
from snnbd_core.learning import as_sequence
from snnbd_core.learning.surrogate_gradient import LOSSES
from snnbd_core.networks import seeded


@dataclass(frozen=True, kw_only=True)
class AttentionDistillation:
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

    data_free: ClassVar[bool] = False

    beta: float = 10.0
    epochs: int = 10
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        checks.above("beta", self.beta, 0)
        checks.whole("epochs", self.epochs, 1)
        checks.above("learning_rate", self.learning_rate, 0)

    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A distilled copy of the network."""
        check_clean(net, clean_samples)
        teacher = self.teacher(net, clean_samples, seed=seed, device=device, steps=steps)
        student = copy.deepcopy(net).to(device).train()
        optimizer = torch.optim.Adam(student.parameters(), lr=self.learning_rate)
        for epoch in range(self.epochs):
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate / 2 * (1 + math.cos(math.pi * epoch / self.epochs))
            with seeded(seed + epoch):
                for rows in shuffled(len(clean_samples), 32, seed, epoch):
                    batch, labels = clean_samples.batch(rows)
                    sequence = as_sequence(batch.to(device), steps)
                    loss = self._loss(student, teacher, sequence, labels.to(device))
                    optimizer.zero_grad(set_to_none=True)
                    torch.autograd.backward(loss)
                    optimizer.step()
        return student.eval()

    @property
    def rounds(self) -> str:
        """What it repeats, for a table of costs."""
        return f"{self.epochs} epochs, twice"

    def teacher(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """The fine-tuned copy whose attention the student is to take over."""
        tuning = FineTuning(epochs=self.epochs, learning_rate=self.learning_rate)
        return tuning.repair(net, clean_samples, seed=seed, device=device, steps=steps).eval()

    def _loss(
        self, student: nn.Module, teacher: nn.Module, sequence: Tensor, labels: Tensor
    ) -> Tensor:
        with outputs(teacher) as taught, torch.no_grad():
            teacher(sequence)
        with outputs(student) as seen:
            logits = student(sequence)
        loss = LOSSES["mse"](logits, labels)
        for mine, wanted in zip(seen, taught, strict=True):
            loss = loss + self.beta * (attention(mine) - attention(wanted)).square().sum(1).mean()
        return loss


def attention(output: Tensor) -> Tensor:
    """Attention of a layer's output [T, B, C, ...] as vectors of length 1, [B, places]."""
    squared = output.mean(dim=0).square()
    over = squared.sum(dim=1) if squared.dim() > 2 else squared
    return functional.normalize(over.flatten(1), dim=1)
