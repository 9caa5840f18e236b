"""What an ANN must be to be converted: layers with a spiking form, an answer of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.data import as_set
from snnbd_core.data.batches import as_sequence
from snnbd_core.learning.ann import QCFS, TimeMean
from snnbd_core.learning.scaling import DROPOUTS, NORMS
from snnbd_core.learning.task import Task
from snnbd_core.metrics.evaluation import predict
from snnbd_core.networks import Network
from snnbd_core.networks.layers import Folded, Gain, Residual
from snnbd_core.neurons import LIF

__all__ = ["check_answers", "check_layers", "check_same"]

_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
_SHAPED = (nn.Flatten, nn.Identity, nn.Sequential, Folded, Residual, Gain, TimeMean)
_ALLOWED = (nn.Conv2d, nn.Linear, nn.ReLU, QCFS, *NORMS, *DROPOUTS, *_POOLS, *_SHAPED)
_FORWARDS = {kind.forward for kind in _ALLOWED}


def check_answers(ann: nn.Module, task: Task, rate: float) -> None:
    """Raises ValueError where the ANN, trained at a rate, never answers a class of its set."""
    data = as_set(task.poisoned)
    answers = predict(ann, data, device=task.device, steps=1)
    dead = sorted(set(np.asarray(data.labels).tolist()) - set(answers.tolist()))
    if dead:
        raise ValueError(
            f"the ANN answers none of its {len(data)} training samples with "
            f"class {', '.join(map(str, dead))}, and the SNN starts from it: train it longer, or "
            f"at a rate below {rate:g} (ann_learning_rate)"
        )


def check_layers(ann: nn.Module, calibration: Any) -> None:
    """Raises ValueError for an ANN with layers, weights or samples that cannot be converted."""
    if not isinstance(ann, Network | nn.Sequential):
        raise ValueError(f"ann={type(ann).__name__} must be a Network or an nn.Sequential")
    for name, layer in (ann.layers if isinstance(ann, Network) else ann).named_modules():
        named = f"layer {name} ({type(layer).__name__})"
        if isinstance(layer, LIF):
            raise ValueError(f"{named} spikes already: the network must be an ANN with ReLU")
        proved = (nn.Sequential, *DROPOUTS)  # what they compute is compared, or left out
        own = type(layer).forward not in _FORWARDS and not isinstance(layer, proved)
        known = isinstance(layer, _ALLOWED) and not own
        if name and not known:
            raise ValueError(
                f"{named} cannot be converted: allowed are Conv2d, Linear, BatchNorm, ReLU, "
                "pooling, dropout, Flatten, none with a forward of its own"
            )
        if isinstance(layer, NORMS) and layer.running_mean is None:
            raise ValueError(f"{named} has no running statistics to fold")
    if not any(isinstance(layer, nn.ReLU) for layer in ann.modules()):
        raise ValueError(f"ann={type(ann).__name__} has no ReLU: nothing would spike")
    for name, weight in ann.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise ValueError(f"the weights {name} are not finite: train the ANN again")
    if not len(calibration):
        raise ValueError("calibration is empty: at least one sample is needed")
    shape = tuple(calibration.input_shape)
    if isinstance(ann, Network) and shape != tuple(ann.input_shape):
        raise ValueError(f"calibration has samples of shape {shape}: allowed is {ann.input_shape}")


def check_same(ann: nn.Module, net: Network, calibration: Any, steps: int) -> None:
    """Raises ValueError unless the chain of layers that was read answers as the ANN does."""
    ann = checks.copied(ann).eval()
    batch, _ = calibration.batch(np.arange(min(16, len(calibration))))
    sequence = as_sequence(batch.to(next(net.parameters()).device), steps)
    if isinstance(ann, Network):
        wanted: Tensor = ann(sequence)
    else:
        wanted = torch.stack([ann(frames) for frames in sequence]).mean(dim=0)
    # QCFS jumps where rounding differs, so not every value need be the same
    if not (net(sequence) - wanted).abs().mean() <= 0.01 * wanted.abs().mean():
        raise ValueError(
            f"ann={type(ann).__name__} does not answer as the chain of its layers does, so these "
            "cannot be converted: allowed are networks without a forward or hooks of their own"
        )
