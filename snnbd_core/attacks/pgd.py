"""FGSM and PGD (Goodfellow et al. 2015, Madry et al. 2018): robustness without a backdoor.

Spiking networks give the gradient by their surrogates. Inherent robustness of SNNs is claimed for
such attacks (Sharmin et al. 2020: Poisson input, leak); the book lays it beside backdoors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core import checks
from snnbd_core.checks import Count, Settings, Unit
from snnbd_core.learning import as_sequence
from snnbd_core.learning.loop import answers_of
from snnbd_core.metrics import Rate, decide
from snnbd_core.view import evaluating

__all__ = ["GradientAttack", "pgd"]

_BATCH = 128


@dataclass(frozen=True, kw_only=True)
class GradientAttack(Settings):
    """How many test images a network still names rightly after `pgd`.

    Args:
        bound: largest change of a pixel; 0 leaves the images as they are.
        iterations: of `pgd`; one is FGSM.
        samples: the first so many test images.
    """

    data_free: ClassVar[bool] = True
    figures: ClassVar[tuple[str, ...]] = ("adversarial_accuracy",)

    bound: Unit = 0.1
    iterations: Count = 10
    samples: Count = 200

    def measure(
        self, net: nn.Module, test: Any, *, seed: int, device: torch.device, steps: int
    ) -> dict[str, Rate]:
        """The share of images that keep their label; nothing is drawn, so the seed has no part."""
        if self.samples > len(test):
            raise ValueError(
                f"samples={self.samples} is more than the test set has: allowed is 1..{len(test)}"
            )
        right = 0
        with evaluating(net, device):
            for start in range(0, self.samples, _BATCH):
                rows = np.arange(start, min(start + _BATCH, self.samples))
                images, labels = (part.to(device) for part in test.batch(rows))
                changed = pgd(
                    net, images, labels, bound=self.bound, iterations=self.iterations, steps=steps
                )
                with torch.no_grad():
                    answers = decide(answers_of(net, as_sequence(changed, steps)))
                right += int((answers == labels).sum())
        return {"adversarial_accuracy": Rate(right, self.samples)}


def pgd(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    bound: float,
    iterations: int = 10,
    steps: int = 4,
) -> Tensor:
    """Images within `bound` of the given ones (largest pixel change) that raise the loss.

    Steps of 2.5 bound / iterations along the gradient's sign from the image itself, each projected
    back; one iteration takes the whole bound at once and is FGSM.

    Args:
        net: [T, B, C, H, W] -> logits [B, classes]; left as it was.
        images, labels: [B, C, H, W] in 0..1, and their true classes [B].
        bound: largest change of a pixel, 0..1.
        iterations: at least 1.
        steps: T.

    Raises:
        ValueError: a bound or a number of iterations outside what is allowed.
    """
    bound = checks.within("bound", bound, 0, 1)
    iterations = checks.whole("iterations", iterations, 1)
    size = bound if iterations == 1 else 2.5 * bound / iterations
    point = images.clone()
    with evaluating(net, images.device):
        for _ in range(iterations):
            asked = point.clone().requires_grad_()
            loss = functional.cross_entropy(answers_of(net, as_sequence(asked, steps)), labels)
            (slope,) = torch.autograd.grad(loss, asked)
            point = point + size * slope.sign()
            point = (images + (point - images).clamp(-bound, bound)).clamp(0, 1)
    return point
