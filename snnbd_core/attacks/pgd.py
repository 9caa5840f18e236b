"""FGSM and PGD (Goodfellow et al. 2015, Madry et al. 2018): robustness without a backdoor.

Spiking networks give the gradient by their surrogates. Inherent robustness of SNNs is claimed for
such attacks (Sharmin et al. 2020: Poisson input, leak); the book lays it beside backdoors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core.learning import as_sequence


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
        images: [B, C, H, W] in 0..1.
        labels: [B], the true classes.
        bound: largest change of a pixel, 0..1.
        iterations: at least 1.
        steps: T.

    Raises:
        ValueError: a bound or a number of iterations outside what is allowed.
    """
    if not 0 <= bound <= 1:
        raise ValueError(f"bound={bound!r} must be a number in 0..1")
    if iterations < 1:
        raise ValueError(f"iterations={iterations} must be >= 1")
    size = bound if iterations == 1 else 2.5 * bound / iterations
    training = net.training
    net.eval()
    point = images.clone()
    for _ in range(iterations):
        asked = point.clone().requires_grad_()
        loss = functional.cross_entropy(net(as_sequence(asked, steps)), labels)
        (slope,) = torch.autograd.grad(loss, asked)
        point = point + size * slope.sign()
        point = (images + (point - images).clamp(-bound, bound)).clamp(0, 1)
    net.train(training)
    return point
