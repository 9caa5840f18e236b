"""Adversarial neuron pruning (Wu and Wang 2021)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.defenses import checks
from snnbd_core.defenses.channels import check_clean, counts, gated, prune
from snnbd_core.learning import as_sequence
from snnbd_core.learning.surrogate_gradient import LOSSES


@dataclass(frozen=True, kw_only=True)
class AdversarialPruning:
    """Prunes the channels that a small disturbance turns against the network.

    Masks m in 0..1 on all hidden channels are learnt to keep the loss low while a disturbance delta
    of the channels, |delta| <= eps, makes it high:

        min over m of  alpha L(m) + (1 - alpha) max over delta of L(m + delta).

    m and delta multiply a channel's current. The paper disturbs weights and biases apart; behind
    batch norm the current carries both.

    Args:
        eps: > 0; the papers' is 0.4.
        alpha: 0..1; 0.5 here and in BadSNN's Table 2.
        threshold: channels with a mask below it are silenced, 0..1; 0.2.
        iterations: steps of the masks, at least 1.
        learning_rate: of the masks, > 0.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    data_free: ClassVar[bool] = False

    eps: float = 0.4
    alpha: float = 0.5
    threshold: float = 0.2
    iterations: int = 100
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        checks.above("eps", self.eps, 0)
        checks.within("alpha", self.alpha, 0, 1)
        checks.within("threshold", self.threshold, 0, 1)
        checks.whole("iterations", self.iterations, 1)
        checks.above("learning_rate", self.learning_rate, 0)

    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A pruned copy of the network."""
        check_clean(net, clean_samples)
        out = copy.deepcopy(net).to(device).eval()

        def loss(gates: list[Tensor], rows: np.ndarray) -> Tensor:
            batch, labels = clean_samples.batch(rows)
            with gated(out, gates):
                logits = out(as_sequence(batch.to(device), steps))
            return LOSSES["mse"](logits, labels.to(device))

        sizes = counts(out, clean_samples, steps)
        masks = self._masks(loss, sizes, len(clean_samples), seed, device)
        prune(out, [kept_most(mask, self.threshold) for mask in masks])
        return out

    def _masks(
        self,
        loss: Callable[[list[Tensor], np.ndarray], Tensor],
        sizes: list[int],
        samples: int,
        seed: int,
        device: torch.device,
    ) -> list[Tensor]:
        masks = [torch.ones(size, device=device, requires_grad=True) for size in sizes]
        optimizer = torch.optim.SGD(masks, lr=self.learning_rate, momentum=0.9)
        draw = np.random.default_rng(seed)
        for _ in range(self.iterations):
            rows = draw.choice(samples, min(128, samples), replace=False)
            zeros = [torch.zeros_like(mask, requires_grad=True) for mask in masks]
            worst = loss([m.detach() + z for m, z in zip(masks, zeros, strict=True)], rows)
            steepest = torch.autograd.grad(worst, zeros)
            delta = [self.eps * slope.sign() for slope in steepest]
            disturbed = loss([m + d for m, d in zip(masks, delta, strict=True)], rows)
            total = self.alpha * loss(list(masks), rows) + (1 - self.alpha) * disturbed
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(total)
            optimizer.step()
            with torch.no_grad():
                for mask in masks:
                    mask.clamp_(0, 1)
        return [mask.detach() for mask in masks]


def kept_most(mask: Tensor, threshold: float) -> Tensor:
    """Which channels stay: those not below the threshold, or the best one if none is."""
    keep: Tensor = mask >= threshold
    if not bool(keep.any()):
        keep = mask == mask.max()
    return keep
