"""What is done to an ANN before it spikes: one chain of layers, whose activations lie in 0..1."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from snnbd_core.checks import copied
from snnbd_core.data.batches import as_sequence
from snnbd_core.learning.ann import QCFS
from snnbd_core.networks import Network
from snnbd_core.networks.layers import Folded, Gain, Residual, SharedDropout
from snnbd_core.view import evaluating

__all__ = ["DROPOUTS", "NORMS", "activations", "folded", "network_of", "rescale"]

_VALUES = 100_000  # so many activations of a layer and batch are looked at for its percentile
DROPOUTS = (SharedDropout, nn.Dropout, nn.Dropout2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
Shape = tuple[int, int, int]


def folded(net: Network) -> Network:
    """A copy without dropout and with each batch norm in the layer of weights before it.

    A module or a weight that is used several times has a copy for each use, so that each can be
    scaled by itself. A batch norm that follows no layer of weights is a ValueError.
    """
    out = copied(net).eval()
    _separate(out, set())
    for parent in list(out.modules()):
        if isinstance(parent, Folded):
            _fold(parent)
        for name, child in parent.named_children():
            if isinstance(child, DROPOUTS):
                setattr(parent, name, nn.Identity())
    for name, layer in out.layers.named_modules():
        if isinstance(layer, NORMS):
            raise ValueError(
                f"layer {name} ({layer}) follows no layer of weights: allowed is BatchNorm2d after "
                "Conv2d and BatchNorm1d after Linear"
            )
    return out


@torch.no_grad()
def network_of(ann: nn.Module, input_shape: Shape) -> Network:
    """A `Network` as it is; an `nn.Sequential` over images [B, C, H, W] as one over sequences."""
    if isinstance(ann, Network):
        return ann
    assert isinstance(ann, nn.Sequential)  # as `convert` checks
    layers: list[nn.Module] = []
    for part in _flat(ann):
        if isinstance(part, nn.ReLU):
            layers.append(part)
        elif layers and isinstance(layers[-1], Folded):
            layers[-1].append(part)
        else:
            layers.append(Folded(part))
    device = next(ann.parameters()).device
    with evaluating(ann):
        outputs = ann(torch.zeros(1, *input_shape, device=device)).shape
    if len(outputs) != 2:
        raise ValueError(f"ann gives {list(outputs)} for one image: allowed is [1, classes]")
    return Network(layers, input_shape, outputs[1], voters=1)


def _flat(parent: nn.Sequential) -> Iterator[nn.Module]:
    for child in parent:
        if isinstance(child, nn.Sequential):
            yield from _flat(child)
        else:
            yield child


def _separate(parent: nn.Module, seen: set[int]) -> None:
    """Gives each use of a module, and of a weight, its own copy."""
    for name, weight in parent._parameters.items():
        if weight is not None and id(weight) in seen:
            weight = parent._parameters[name] = nn.Parameter(weight.detach().clone())
        seen.add(id(weight))
    for name, child in parent._modules.items():
        if child is not None and id(child) in seen:
            child = parent._modules[name] = copy.deepcopy(child)
        seen.add(id(child))
        if child is not None:
            _separate(child, seen)


def _fold(block: nn.Sequential) -> None:
    for first, second in zip(range(len(block)), range(1, len(block)), strict=False):
        layer, norm = block[first], block[second]
        if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            fused: nn.Module = fuse_conv_bn_eval(layer, norm)
        elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            fused = fuse_linear_bn_eval(layer, norm)
        else:
            continue
        # a bias that batch norm brought can be trained like all weights
        block[first] = fused.requires_grad_()
        block[second] = nn.Identity()


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

    Weights after the last ReLU, a linear read-out, give what they gave before. A ReLU whose input
    no weights can scale is a ValueError.
    """
    _walk(net.layers, _Signal(), scales).scaled(1.0)


def activations(net: Network, calibration: Any, share: float, steps: int) -> dict[nn.Module, float]:
    """The activation of each ReLU that becomes a rate of 1: a quantile of those on some samples.

    A share of 1 is the largest; a QCFS has its learnt limit. `steps` is T for static images.
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
            raise ValueError("a Residual must end with Conv2d, Linear or Gain in body and shortcut")
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
