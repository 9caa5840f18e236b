"""Weights scaled so that each activation of an ANN lies in 0..1, where a rate can follow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.data.batches import as_sequence
from snnbd_core.learning.ann import QCFS
from snnbd_core.networks import Network
from snnbd_core.networks.layers import Gain, Residual

__all__ = ["activations", "rescale"]

_VALUES = 100_000  # so many activations of a layer and batch are looked at for its percentile


@dataclass(frozen=True)
class _Signal:
    """What goes from one layer to the next.

    Attributes:
        scale: the ANN's values are these times it.
        waiting: the layers of weights that it comes from and that are still to be scaled, each
            with the scale of its input.
    """

    scale: float = 1.0
    waiting: tuple[tuple[Any, float], ...] = ()

    def scaled(self, scale: float) -> _Signal:
        """The signal after its waiting layers were made to give the ANN's values over a scale."""
        for layer, given in self.waiting:
            layer.weight.mul_(given / scale)
            if layer.bias is not None:
                layer.bias.div_(scale)
        return _Signal(scale if self.waiting else self.scale)


def rescale(net: Network, scales: Mapping[nn.Module, float]) -> None:
    """Scales all weights in place: each ReLU gives its activation over its scale.

    Weights after the last ReLU, a linear read-out, give what they gave before.

    Raises:
        ValueError: a ReLU whose input no weights can scale.
    """
    _walk(net.layers, _Signal(), scales).scaled(1.0)


def activations(net: Network, calibration: Any, share: float, steps: int) -> dict[nn.Module, float]:
    """The activation of each ReLU that becomes a rate of 1.

    Args:
        net: with ReLU.
        calibration: samples, with the protocol of `snnbd_core.data`.
        share: quantile of the activations; 1 is their largest. A QCFS has its learnt limit.
        steps: T for static images.
    """
    seen: dict[nn.Module, list[Tensor]] = {
        layer: [] for layer in net.modules() if isinstance(layer, nn.ReLU)
    }
    hooks = [layer.register_forward_hook(_recorder(values)) for layer, values in seen.items()]
    place = next(net.parameters()).device
    try:
        for start in range(0, len(calibration), 64):
            batch, _ = calibration.batch(np.arange(start, min(start + 64, len(calibration))))
            net(as_sequence(batch.to(place), steps))
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: _scale(layer, values, share) for layer, values in seen.items()}


def _walk(layer: nn.Module, signal: _Signal, scales: Mapping[nn.Module, float]) -> _Signal:
    """The signal after a layer, whose weights are scaled as soon as their ReLU is reached."""
    if isinstance(layer, nn.Conv2d | nn.Linear | Gain):
        return _Signal(waiting=((layer, signal.scaled(1.0).scale),))
    if isinstance(layer, nn.ReLU):
        scale = scales[layer]
        if not signal.waiting and scale > signal.scale:
            raise ValueError(
                f"a {type(layer).__name__} reads values up to {scale:.4g} that no weights before "
                f"it scale: a rate reaches {signal.scale:.4g}; put Conv2d or Linear before it"
            )
        return signal.scaled(scale)
    if isinstance(layer, Residual):
        signal = signal.scaled(1.0)
        branches = [_walk(part, signal, scales) for part in (layer.body, layer.shortcut)]
        if not all(branch.waiting for branch in branches):
            raise ValueError(
                "a Residual whose body or shortcut ends without weights: allowed are "
                "Conv2d, Linear and Gain"
            )
        joined = _Signal(waiting=branches[0].waiting + branches[1].waiting)
        return _walk(layer.neuron, joined, scales)
    for child in layer.children():
        signal = _walk(child, signal, scales)
    return signal


def _scale(layer: nn.Module, values: list[Tensor], share: float) -> float:
    if isinstance(layer, QCFS):
        return float(layer.limit)
    together = np.concatenate([part.numpy() for part in values])
    scale = float(np.quantile(together, share))
    # a layer that is silent for all samples stays silent at any scale
    return scale if scale > 0 else float(together.max()) or 1.0


def _recorder(values: list[Tensor]) -> Callable[..., None]:
    def record(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        flat = output.flatten()
        if len(flat) > _VALUES:
            largest = flat.max().reshape(1)
            flat = torch.cat((flat[:: len(flat) // _VALUES + 1], largest))
        values.append(flat.clone().cpu())

    return record
