"""What is done to an ANN before its weights are scaled: one chain of layers, nothing shared."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from snnbd_core.networks import Network
from snnbd_core.networks.layers import Folded, SharedDropout

__all__ = ["DROPOUTS", "NORMS", "folded", "network_of"]

DROPOUTS = (SharedDropout, nn.Dropout, nn.Dropout2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
Shape = tuple[int, int, int]


def folded(net: Network) -> Network:
    """A copy without dropout and with each batch norm in the layer of weights before it.

    A module or a weight that is used several times has a copy for each use, so that each can be
    scaled by itself.

    Raises:
        ValueError: a batch norm that follows no layer of weights.
    """
    out = copy.deepcopy(net).eval()
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
    outputs = ann(torch.zeros(1, *input_shape, device=device)).shape
    if len(outputs) != 2:
        raise ValueError(f"ann gives {list(outputs)} for one image: allowed is [1, classes]")
    return Network(layers, input_shape, outputs[1], voters=1).train(ann.training)


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
