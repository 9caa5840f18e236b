"""DeepFool (Moosavi-Dezfooli et al. 2016) for networks that end in logits, spiking ones included.

Each step takes the classifier for linear and goes over the nearest boundary: with w the difference
of two logits' gradients and f the difference of the logits, the step is |f| / |w|^2 w. For a linear
classifier one step is enough, and is the smallest change that alters the answer. The gradients of a
spiking network are those of its surrogates, which are only a guide, so it takes more steps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.learning import as_sequence
from snnbd_core.learning.loop import answers_of
from snnbd_core.metrics import decide
from snnbd_core.poisoning import check_target
from snnbd_core.view import evaluating

__all__ = ["deepfool"]

_TINY = 1e-12


def deepfool(
    net: nn.Module,
    batch: Tensor,
    *,
    target: int | None = None,
    steps: int = 4,
    iterations: int = 50,
    overshoot: float = 0.02,
) -> Tensor:
    """The change, of the batch's shape, that takes each sample over a boundary.

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
        norm = flat.norm(dim=1).clamp_min(_TINY)
        # a little more than the distance, since equal logits are no answer
        distance = (gap.detach().abs() + 1e-4) / norm
        nearer = (distance < best) & (start != k) & (norm > _TINY)
        best = torch.where(nearer, distance, best)
        scaled = _per_sample(distance / norm, point) * gradient
        step = torch.where(_per_sample(nearer, point), scaled, step)
    return step
