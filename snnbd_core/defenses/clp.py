"""Channel Lipschitz pruning (Zheng et al. 2022): no data needed."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.defenses.choice import Choice
from snnbd_core.networks.layers import Folded


@dataclass(frozen=True, kw_only=True)
class ChannelLipschitz:
    """Silences channels whose bound on the Lipschitz constant stands out of their layer.

    The bound of channel k is the spectral norm of its kernel, as a matrix [inputs, places], times
    |gamma_k| / sqrt(var_k + eps) of the batch norm after it. It bounds how far an input can drive
    the channel's current, which is the same for a spiking neuron as for a ReLU.

    Args:
        u: channels above mean + u standard deviations of their layer are silenced; 3 in the paper
            and in BadSNN's Table 2.

    Raises:
        ValueError: u not above 0; when repairing, for a network without convolution and batch norm.
    """

    data_free: ClassVar[bool] = True

    u: float = 3.0

    def __post_init__(self) -> None:
        checks.above("u", self.u, 0)

    @torch.no_grad()
    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A pruned copy of the network; samples and seed are not used."""
        checks.finite(net, "repaired")
        out = copy.deepcopy(net).to(device).eval()
        found = self.choose(out, clean_samples, seed=seed, device=device, steps=steps)
        for (_, norm), keep in zip(_pairs(out), found.keep, strict=True):
            if norm.affine:
                norm.weight[~keep] = 0
                norm.bias[~keep] = 0
        return out

    @torch.no_grad()
    def choose(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> Choice:
        """Bounds of the channels of each convolution with batch norm, and which of them stay.

        The limit is mean + u standard deviations; samples and seed are not used.
        """
        pairs = _pairs(copy.deepcopy(net).to(device))
        if not pairs:
            raise ValueError(f"net={type(net).__name__} has no convolution with batch norm: "
                             "ChannelLipschitz needs them")  # fmt: skip
        bounds = [lipschitz_bounds(convolution, norm) for convolution, norm in pairs]
        limits = [bound.mean() + self.u * bound.std(correction=0) for bound in bounds]
        keep = (~(bound > limit) for bound, limit in zip(bounds, limits, strict=True))
        return Choice(tuple(bounds), tuple(keep), tuple(float(limit) for limit in limits))


def lipschitz_bounds(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """Upper bound of each output channel's Lipschitz constant, [C] (Zheng et al. 2022, eq. 6)."""
    assert norm.running_var is not None  # `_pairs` looks for it
    kernels = convolution.weight.flatten(2)
    largest: Tensor = torch.linalg.matrix_norm(kernels, ord=2)
    return largest * (norm.weight / (norm.running_var + norm.eps).sqrt()).abs()


def _pairs(net: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    found = []
    for block in net.modules():
        if isinstance(block, Folded):
            parts = list(block)
            for first, second in pairwise(parts):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    found.append((first, second))
    return found
