"""From an ANN to an SNN: fold batch norm, scale the weights, replace ReLU by IF neurons.

An IF neuron with soft reset that is fed a constant current x per step fires at a rate of
clip(x / threshold, 0, 1) up to 1 / T, which is a ReLU up to where it saturates. So every layer is
scaled until its activations lie in 0..1 (Diehl et al. 2015): with lambda_i the largest activation
of layer i on a calibration set, or a high percentile of them (Rueckauer et al. 2017, more robust),

    W_i <- W_i lambda_(i-1) / lambda_i,    b_i <- b_i / lambda_i,    threshold 1.

Starting from half the threshold rounds the rate to the nearest multiple of 1 / T instead of down.
Max-pooling passes on the largest spike of its window in each step, as in SpikingJelly's `ann2snn`.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from snnbd_core.data import IMAGES
from snnbd_core.data.batches import as_sequence
from snnbd_core.learning.ann import (
    ANN,
    QCFS,
    check_activation,
    check_reads,
    reading,
    with_neurons,
)
from snnbd_core.learning.history import History
from snnbd_core.learning.task import Task, Trained
from snnbd_core.networks import Network
from snnbd_core.networks.layers import Folded, Gain, Residual, SharedDropout
from snnbd_core.neurons import IF, LIF

NORMALISATIONS = ("max", "percentile")
_CALIBRATION = 256  # samples of the training set
_VALUES = 100_000  # at most so many activations of a layer and batch are kept for its percentile
_PASSIVE = (
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Identity,
    nn.Sequential, Residual, Gain,
)  # fmt: skip
Waiting = list[tuple[Any, float]]


class HalfStart(IF):
    """IF with soft reset that starts from half its threshold; SpikingJelly's update."""

    def __init__(self) -> None:
        super().__init__(1.0, reset="subtract", update="spikingjelly")

    def forward(self, current: Tensor, return_potential: bool = False) -> Any:
        """As `LIF.forward`; the start is an extra current in the first step, which is the same."""
        threshold = self._overrides.get("threshold", self.threshold).to(current)
        if threshold.dim() == 2 and threshold.shape[1] == 1:  # one value per sample
            threshold = threshold.reshape(-1, *[1] * (current.dim() - 2))
        first = (current[:1] + threshold / 2).to(current.dtype)
        return super().forward(torch.cat((first, current[1:])), return_potential)


@torch.no_grad()
def convert(
    ann: nn.Module,
    calibration: Any,
    *,
    normalisation: str = "percentile",
    percentile: float = 99.9,
    steps: int = 1,
) -> Network:
    """A spiking network with the ANN's weights; the ANN is not changed.

    Args:
        ann: a `Network` with ReLU activations, trained.
        calibration: samples of the training set, with the protocol of `snnbd_core.data`.
        normalisation: "max" or "percentile" of a layer's activations is its scale; that of a QCFS
            activation is its learnt limit, whatever is asked for.
        percentile: 0 < percentile <= 100.
        steps: frames that a static image is repeated for while calibrating; one is enough.

    Raises:
        ValueError: a network that spikes already or has a layer that cannot be converted (named),
            batch norm without running statistics, weights that are not finite, no calibration
            samples or ones of another shape, an argument out of range.
    """
    _check(ann, calibration, normalisation, percentile)
    net = _folded(ann)
    scales = _scales(net, calibration, normalisation, percentile, steps)
    _rescale(net.layers, iter(scales), 1.0, [])
    converted = with_neurons(net, HalfStart)
    converted._spikes = True
    return converted.eval()


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """LR_C of Jin et al. (2024): an ANN is trained on the poisoned set, then converted.

    Args:
        normalisation, percentile: as for `convert`.
        reads: what the ANN is trained on, see `ANN`; the SNN then gets the same.
        activation, levels: of the ANN, see `ANN`.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    normalisation: str = "percentile"
    percentile: float = 99.9
    reads: str = "frames"
    activation: str = "relu"
    levels: int = 8

    figures: ClassVar[tuple[str, ...]] = (
        "ann_clean_accuracy", "ann_success", "migration_per_sample", "agreement",
    )  # fmt: skip

    def __post_init__(self) -> None:
        _check_settings(self.normalisation, self.percentile)
        check_reads(self.reads)
        check_activation(self.activation, self.levels)

    def source(self, experiment: Any) -> Any:
        """The ANN; for static images at one step, so that all T share it."""
        ann = ANN(reads=self.reads, activation=self.activation, levels=self.levels)
        return source(experiment, ann)

    def fit(self, task: Task) -> Trained:
        """Converts the task's source, calibrated on the training set it was trained on."""
        return Trained(self.converted(task), History())

    def converted(self, task: Task) -> Network:
        """The task's source as a spiking network."""
        assert task.source is not None  # `source` names one
        rows = np.random.default_rng(task.seed).permutation(len(task.poisoned))[:_CALIBRATION]
        return convert(
            task.source.cpu(), task.poisoned.subset(rows),
            normalisation=self.normalisation, percentile=self.percentile,
        )  # fmt: skip

    def layout(self, net: nn.Module) -> nn.Module:
        """The modules of a converted network."""
        return layout(net, self.reads)


def source(experiment: Any, ann: ANN) -> Any:
    """The experiment of the ANN that another one's rule starts from."""
    frames = 1 if experiment.data in IMAGES else experiment.frames
    return dataclasses.replace(experiment, rule=ann, frames=frames)


def layout(net: nn.Module, reads: str) -> nn.Module:
    """A network with batch norm folded and IF neurons, as `convert` gives it."""
    return reading(with_neurons(_folded(net.eval()), HalfStart), reads)


def _folded(net: nn.Module) -> Network:
    """A copy without dropout, and with each batch norm in the convolution before it."""
    out = copy.deepcopy(net).eval()
    for parent in list(out.modules()):
        if isinstance(parent, Folded):
            _fold(parent)
        for name, child in parent.named_children():
            if isinstance(child, SharedDropout | nn.Dropout):
                setattr(parent, name, nn.Identity())
    assert isinstance(out, Network)
    return out


def _fold(block: nn.Sequential) -> None:
    for first, second in zip(range(len(block)), range(1, len(block)), strict=False):
        convolution, norm = block[first], block[second]
        if isinstance(norm, nn.BatchNorm2d):
            if not isinstance(convolution, nn.Conv2d):
                raise ValueError(
                    f"layer {norm} follows no convolution: allowed is Conv2d before it"
                )
            # a bias that batch norm brought can be trained like all weights
            block[first] = fuse_conv_bn_eval(convolution, norm).requires_grad_()
            block[second] = nn.Identity()


def _rescale(layer: nn.Module, scales: Iterator[float], before: float, waiting: Waiting) -> float:
    """Scales all weights of a layer, in the order in which they run; the scale of its output.

    Args:
        scales: of the ReLUs still to come.
        before: scale of the layer's input.
        waiting: weights whose ReLU is still to come, with the scale of their input.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear | Gain):
        waiting.append((layer, before))
    elif isinstance(layer, nn.ReLU):
        scale = next(scales)
        for weights, given in waiting:
            weights.weight.mul_(given / scale)
            if weights.bias is not None:
                weights.bias.div_(scale)
        waiting.clear()
        return scale
    elif isinstance(layer, Residual):
        _rescale(layer.body, scales, before, waiting)
        _rescale(layer.shortcut, scales, before, waiting)
        return _rescale(layer.neuron, scales, before, waiting)
    else:
        for child in layer.children():
            before = _rescale(child, scales, before, waiting)
    return before


def _scales(
    net: nn.Module, calibration: Any, normalisation: str, percentile: float, steps: int
) -> list[float]:
    """Of each ReLU, in order, the activation that becomes a rate of 1."""
    layers = [layer for layer in net.modules() if isinstance(layer, nn.ReLU)]
    kept: list[list[Tensor]] = [[] for _ in layers]
    hooks = [
        layer.register_forward_hook(_keeper(values))
        for layer, values in zip(layers, kept, strict=True)
    ]
    for start in range(0, len(calibration), 64):
        batch, _ = calibration.batch(np.arange(start, min(start + 64, len(calibration))))
        net(as_sequence(batch, steps))
    for hook in hooks:
        hook.remove()
    share = 1.0 if normalisation == "max" else percentile / 100
    scales = []
    for layer, values in zip(layers, kept, strict=True):
        if isinstance(layer, QCFS):
            scales.append(float(layer.limit))
            continue
        together = np.concatenate([one.numpy() for one in values])
        scale = float(np.quantile(together, share))
        # a layer that is silent for all samples stays silent at any scale
        scales.append(scale if scale > 0 else float(together.max()) or 1.0)
    return scales


def _keeper(values: list[Tensor]) -> Any:
    def keep(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        flat = output.flatten()
        if len(flat) > _VALUES:
            largest = flat.max().reshape(1)
            flat = torch.cat((flat[:: len(flat) // _VALUES + 1], largest))
        values.append(flat.clone())

    return keep


def _check(ann: nn.Module, calibration: Any, normalisation: str, percentile: float) -> None:
    _check_settings(normalisation, percentile)
    if not isinstance(ann, Network):
        raise ValueError(f"ann={type(ann).__name__} must be a Network of snnbd_core.networks")
    allowed = (Folded, nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.ReLU, SharedDropout, nn.Dropout)
    for name, layer in ann.layers.named_modules():
        if isinstance(layer, LIF):
            raise ValueError(f"layer {name} ({type(layer).__name__}) spikes already: the network "
                             "must be an ANN with ReLU")  # fmt: skip
        known = isinstance(layer, (*allowed, *_PASSIVE)) or type(layer).__name__ == "TimeMean"
        if name and not known:
            raise ValueError(
                f"layer {name} ({type(layer).__name__}) cannot be converted: allowed are Conv2d, "
                "Linear, BatchNorm2d, ReLU, pooling, dropout, Flatten"
            )
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is None:
            raise ValueError(f"layer {name} (BatchNorm2d) has no running statistics to fold")
    for name, weight in ann.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise ValueError(f"the weights {name} are not finite: train the ANN again")
    if not len(calibration):
        raise ValueError("calibration is empty: at least one sample is needed")
    shape = tuple(calibration.input_shape)
    if shape != tuple(ann.input_shape):
        raise ValueError(f"calibration has samples of shape {shape}: allowed is {ann.input_shape}")


def _check_settings(normalisation: str, percentile: float) -> None:
    if normalisation not in NORMALISATIONS:
        raise ValueError(
            f"normalisation={normalisation!r} is unknown; allowed: {', '.join(NORMALISATIONS)}"
        )
    if isinstance(percentile, bool) or not 0 < percentile <= 100:
        raise ValueError(f"percentile={percentile!r} must be a number in (0, 100]")
