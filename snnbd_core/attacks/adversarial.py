"""Adversarial examples, robustness without a backdoor: DeepFool, FGSM and PGD.

All end in logits; spiking networks give gradients by their surrogates, which are only a guide, so
DeepFool takes more steps in them. Inherent robustness of SNNs is claimed for such attacks (Sharmin
et al. 2020: Poisson input, leak); the book lays it beside backdoors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core import checks
from snnbd_core.checks import Checked, Count, Unit
from snnbd_core.learning import as_sequence
from snnbd_core.learning.loop import answers_of
from snnbd_core.metrics import Rate, decide
from snnbd_core.poisoning import check_target
from snnbd_core.view import evaluating

__all__ = ["GradientAttack", "deepfool", "pgd"]

_BATCH = 128


@dataclass(frozen=True, kw_only=True)
class GradientAttack(Checked):
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

    PGD (Madry et al. 2018): steps of 2.5 bound / iterations along the gradient's sign from the
    image itself, each projected back; one iteration takes the whole bound at once and is FGSM
    (Goodfellow et al. 2015).

    Args:
        net: [T, B, C, H, W] -> logits [B, classes]; left as it was.
        images, labels: [B, C, H, W] in 0..1, and their true classes [B].
        bound: largest change of a pixel, 0..1.
        iterations: at least 1.
        steps: time steps that an image is shown for, T.

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


def deepfool(
    net: nn.Module,
    batch: Tensor,
    *,
    target: int | None = None,
    steps: int = 4,
    iterations: int = 50,
    overshoot: float = 0.02,
) -> Tensor:
    """The change that takes each sample over a boundary, of the batch's shape.

    DeepFool (Moosavi-Dezfooli et al. 2016). Each step takes the classifier for linear and goes over
    the nearest boundary: with w the difference of two logits' gradients and f the difference of the
    logits, the step is |f| / |w|^2 w, the smallest that alters a linear classifier's answer.

    Args:
        net: [T, B, C, H, W] -> logits [B, classes]; left as it was.
        batch: images [B, C, H, W] (repeated over T = `steps`) or frames [B, T, C, H, W].
        target: the class to reach; None takes the nearest other class at each step.
        iterations: at most so many steps, at least 1; 50 in the paper.
        overshoot: share of the change that is added beyond the boundary, >= 0; 0.02 in the paper.

    Raises:
        ValueError: iterations or overshoot outside what is allowed, a target that is no class.
    """
    iterations = checks.whole("iterations", iterations, 1)
    overshoot = checks.number("overshoot", overshoot, lambda x: x >= 0, ">= 0")
    change = torch.zeros_like(batch)
    with evaluating(net, batch.device):
        with torch.no_grad():
            first = answers_of(net, as_sequence(batch, steps))
        target = None if target is None else check_target(target, first.shape[1])
        start = first.argmax(dim=1)  # the first class of a tie: a step must lead away from a class
        for _ in range(iterations):
            point = (batch + (1 + overshoot) * change).requires_grad_()
            logits = answers_of(net, as_sequence(point, steps))
            answer = decide(logits.detach())  # -1 for silence and ties: no class is reached
            missed = (answer == start) | (answer < 0) if target is None else answer != target
            if not bool(missed.any()):
                break
            source = start if target is None else _rival(logits, target)
            step = _nearest_step(logits, point, source, target)
            change = change + step * _per_sample(missed, batch)
    return (1 + overshoot) * change


def _rival(logits: Tensor, target: int) -> Tensor:
    """Each sample's strongest class but the target, [B]."""
    others = logits.detach().clone()
    others[:, target] = -torch.inf
    return others.argmax(dim=1)


def _per_sample(values: Tensor, batch: Tensor) -> Tensor:
    """Values [B] in a shape that multiplies samples [B, ...]."""
    return values.reshape(-1, *[1] * (batch.dim() - 1))


def _nearest_step(logits: Tensor, point: Tensor, start: Tensor, target: int | None) -> Tensor:
    """The smallest linear step from each sample's class to another, or to the target."""
    classes = range(logits.shape[1]) if target is None else (target,)
    own = logits.gather(1, start[:, None])[:, 0]
    best = torch.full_like(own, torch.inf)
    step = torch.zeros_like(point)
    for k in classes:
        gap = logits[:, k] - own
        (gradient,) = torch.autograd.grad(gap.sum(), point, retain_graph=True)
        flat = gradient.flatten(1)
        norm = flat.norm(dim=1).clamp_min(1e-12)
        # a little more than the distance, since equal logits are no answer
        distance = (gap.detach().abs() + 1e-4) / norm
        nearer = (distance < best) & (start != k) & (norm > 1e-12)
        best = torch.where(nearer, distance, best)
        scaled = _per_sample(distance / norm, point) * gradient
        step = torch.where(_per_sample(nearer, point), scaled, step)
    return step
