"""Adversarial neuron pruning (Wu and Wang 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.choice import Choice
from snnbd_core.defenses.masks import chosen_by, learnt_masks
from snnbd_core.defenses.pruning import pruned
from snnbd_core.defenses.repair import Pruning
from snnbd_core.learning.surrogate_gradient import LOSSES

__all__ = ["AdversarialPruning"]


@dataclass(frozen=True, kw_only=True)
class AdversarialPruning(Pruning):
    """Prunes the channels that a small disturbance turns against the network.

    A channel's current is w x + b (behind batch norm: its scaled and its shifted part). Masks m in
    0..1 are learnt to keep the loss low while disturbances |delta|, |xi| <= eps make it high:

        (m + delta) w x + (1 + xi) b,
        min over m of  alpha L(m) + (1 - alpha) max over delta, xi of L(m + delta, 1 + xi).

    A spiking channel's current is masked and disturbed alike at every time step. The inner maximum
    is one step of the gradient's sign, as in the paper's code.

    Args:
        eps: > 0; the paper's is 0.4.
        alpha: 0..1; 0.5 here and in BadSNN's Table 2, 0.2 in the paper's code.
        threshold: channels with a mask below it are silenced, 0..1.
        iterations: steps of the masks, at least 1.
        learning_rate: of the masks, > 0.
        loss: "cross_entropy", as in the paper, or "mse".

    Raises:
        ValueError: for any argument outside what is said above.
    """

    eps: float = 0.4
    alpha: float = 0.5
    threshold: float = 0.8
    iterations: int = 100
    learning_rate: float = 2.0
    loss: str = "cross_entropy"

    def __post_init__(self) -> None:
        checks.fields(self, ("eps", "learning_rate"), checks.above, 0)
        checks.fields(self, ("alpha", "threshold"), checks.within, 0, 1)
        checks.settings(
            self,
            loss=checks.choice("loss", self.loss, LOSSES),
            iterations=checks.whole("iterations", self.iterations, 1),
        )

    def _repaired(self, bench: Bench, clean: Any, seed: int) -> nn.Module:
        return pruned(bench, self._choice(bench.copied(), clean, seed).keep)

    def _choice(self, bench: Bench, clean: Any, seed: int) -> Choice:
        """The learnt masks, and which channels they leave."""
        bench.net.requires_grad_(False)
        shifted = bench.view.biases()

        def loss(gates: list[Tensor], xi: list[Tensor], rows: np.ndarray) -> Tensor:
            batch, labels = bench.samples(clean, rows)
            offsets = [
                (1 + shift - gate) * bias
                for gate, shift, bias in zip(gates, xi, shifted, strict=True)
            ]
            with bench.view.gated(gates, offsets):
                return LOSSES[self.loss](bench(batch), labels)

        def both(masks: list[Tensor], rows: np.ndarray) -> Tensor:
            delta, xi = self._worst(loss, masks, rows)
            gates = [mask + change for mask, change in zip(masks, delta, strict=True)]
            none = [torch.zeros_like(mask) for mask in masks]
            high, low = loss(gates, xi, rows), loss(masks, none, rows)
            return self.alpha * low + (1 - self.alpha) * high

        masks = learnt_masks(
            both,
            bench.channels,
            len(clean),
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            seed=seed,
            device=bench.device,
        )
        return chosen_by(masks, self.threshold)

    def _worst(
        self, loss: Callable[..., Tensor], masks: list[Tensor], rows: np.ndarray
    ) -> tuple[list[Tensor], list[Tensor]]:
        """delta and xi after one step up the loss."""
        free = [torch.zeros_like(mask, requires_grad=True) for mask in (*masks, *masks)]
        delta, xi = free[: len(masks)], free[len(masks) :]
        gates = [mask.detach() + change for mask, change in zip(masks, delta, strict=True)]
        slopes = torch.autograd.grad(loss(gates, xi, rows), free)
        steps = [self.eps * slope.sign() for slope in slopes]
        return steps[: len(masks)], steps[len(masks) :]
