"""Adversarial neuron pruning (Wu and Wang 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from snnbd_core.checks import Count, Positive, Unit
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.pruning import Choice, Pruning, learnt_masks
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
    is one step of the gradient's sign, as in the paper's code. That code starts at a random
    disturbance, with batch norm in training mode; here the step starts at none, and batch norm
    keeps its statistics.

    Args:
        eps: the paper's is 0.4.
        alpha: 0.5 here and in BadSNN's Table 2, 0.2 in the paper's code.
        threshold: channels with a mask below it are silenced.
        iterations, learning_rate: of the masks.
        loss: the paper's is the cross-entropy.
    """

    eps: Positive = 0.4
    alpha: Unit = 0.5
    threshold: Unit = 0.8
    iterations: Count = 100
    learning_rate: Positive = 2.0
    loss: Literal["mse", "cross_entropy"] = "cross_entropy"

    def _choice(self, bench: Bench) -> Choice:
        """The learnt masks, and which channels they leave."""
        bench.net.requires_grad_(False)
        biases = bench.view.biases()

        def loss(gates: list[Tensor], xi: list[Tensor], rows: np.ndarray) -> Tensor:
            """L of (gate w x + (1 + xi) b), whose bias was multiplied by the gate too."""
            batch, labels = bench.samples(rows)
            offsets = [
                (1 + shift - gate) * bias
                for gate, shift, bias in zip(gates, xi, biases, strict=True)
            ]
            with bench.view.gated(gates, offsets):
                return LOSSES[self.loss](bench(batch), labels)

        def both(masks: list[Tensor], rows: np.ndarray) -> Tensor:
            delta, xi = self._worst(loss, masks, rows)
            gates = [mask + change for mask, change in zip(masks, delta, strict=True)]
            none = [torch.zeros_like(mask) for mask in masks]
            high, low = loss(gates, xi, rows), loss(masks, none, rows)
            return self.alpha * low + (1 - self.alpha) * high

        return learnt_masks(
            bench,
            both,
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            threshold=self.threshold,
        )

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
