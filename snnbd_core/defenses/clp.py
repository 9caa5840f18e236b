"""Channel Lipschitz pruning (Zheng et al. 2022): no data needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from snnbd_core import guards
from snnbd_core.checks import Positive
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.pruning import Choice, Pruning
from snnbd_core.view import NotVisible
from snnbd_core.view.trace import blocks

__all__ = ["ChannelLipschitz", "lipschitz_bounds"]

_ASKED = "a Lipschitz bound of its channels"


@dataclass(frozen=True, kw_only=True)
class ChannelLipschitz(Pruning):
    """Silences channels whose bound on the Lipschitz constant stands out of their layer.

    The bound of channel k is the spectral norm of its kernel, as a matrix [inputs, places], times
    |gamma_k| / sqrt(var_k + eps) of the batch norm after it. It bounds how far an input can drive
    the channel's current, which is the same for a spiking neuron as for a ReLU. Needs convolutions
    with batch norm that has running statistics. The authors' code leaves eps out.

    Args:
        u: channels above mean + u standard deviations of their layer are silenced; 3 in the paper
            and in BadSNN's Table 2.
        deviation: of the "population" of a layer's channels, or as of a "sample", which the
            authors' code takes: a little larger, so that fewer channels are silenced.
    """

    data_free: ClassVar[bool] = True

    u: Positive = 3.0
    deviation: Literal["population", "sample"] = "population"

    @torch.no_grad()
    def _repaired(self, bench: Bench) -> nn.Module:
        for (convolution, norm), keep in zip(_pairs(bench), self._choice(bench).keep, strict=True):
            if norm.affine:
                norm.weight[~keep] = 0
                norm.bias[~keep] = 0
            elif not bool(keep.all()):
                places = [1] * len(convolution.kernel_size)
                guards.attach(bench.net, norm, "scale", keep.float().reshape(-1, *places))
        return bench.net

    @torch.no_grad()
    def _choice(self, bench: Bench) -> Choice:
        """Bounds of each convolution with batch norm; the limit is mean + u deviations."""
        bounds = [lipschitz_bounds(convolution, norm) for convolution, norm in _pairs(bench)]
        less = int(self.deviation == "sample")
        limits = [
            bound.mean() + self.u * bound.std(correction=min(less, len(bound) - 1))
            for bound in bounds
        ]
        keep = (~(bound > limit) for bound, limit in zip(bounds, limits, strict=True))
        return Choice(tuple(bounds), tuple(keep), tuple(float(limit) for limit in limits))


def lipschitz_bounds(convolution: Any, norm: Any) -> Tensor:
    """Upper bound of each output channel's Lipschitz constant, [C] (Zheng et al. 2022, eq. 6).

    Of any convolution of torch's, transposed too, and the batch norm behind it.
    """
    kernels = blocks(convolution).flatten(0, 1)
    largest: Tensor = torch.linalg.matrix_norm(kernels.flatten(2), ord=2)
    gamma = torch.ones_like(largest) if norm.weight is None else norm.weight
    return largest * (gamma / (norm.running_var + norm.eps).sqrt()).abs()


def _pairs(bench: Bench) -> list[tuple[Any, Any]]:
    """Each convolution and the batch norm behind it."""
    normed = any(isinstance(module, _BatchNorm) for module in bench.net.modules())
    found = dict.fromkeys(
        (layer.module, layer.norm)
        for layer in (bench.view.weights if normed else ())
        if isinstance(layer.module, _ConvNd) and layer.norm is not None
    )
    if not found:
        raise bench.view.blind(_ASKED, "it has no convolution with batch norm behind it")
    names = {module: name for name, module in bench.net.named_modules()}
    for _, norm in found:
        if getattr(norm, "running_var", None) is None:
            raise NotVisible(
                _ASKED,
                f"{names[norm]} ({type(norm).__name__})",
                "needed are running statistics (track_running_stats=True)",
            )
    return list(found)
