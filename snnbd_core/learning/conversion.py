"""From an ANN to an SNN: fold batch norm, scale the weights, replace ReLU by IF neurons.

An IF neuron with soft reset that is fed a constant current x per step fires at a rate of
clip(x / threshold, 0, 1) up to 1 / T, which is a ReLU up to where it saturates. So every layer is
scaled until its activations lie in 0..1 (Diehl et al. 2015): with lambda_i the largest activation
of layer i on a calibration set, or a high percentile of them (Rueckauer et al. 2017, more robust),

    W_i <- W_i lambda_(i-1) / lambda_i,    b_i <- b_i / lambda_i,    threshold 1.

Weights after the last ReLU, a linear read-out, take rates in and give the ANN's logits. Starting
from half the threshold rounds the rate to the nearest multiple of 1 / T instead of down.
Max-pooling passes on the largest spike of its window in each step, as in SpikingJelly's `ann2snn`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.checks import Checked, Count, Positive
from snnbd_core.data import IMAGES, as_set
from snnbd_core.learning import surrogate_gradient
from snnbd_core.learning.ann import ANN, Activation, ReadOut, Reads, ending, reading, with_neurons
from snnbd_core.learning.convertible import check_answers, check_layers, check_same
from snnbd_core.learning.history import History
from snnbd_core.learning.scaling import activations, folded, network_of, rescale
from snnbd_core.learning.task import Rule, Task, Trained
from snnbd_core.metrics.migration_rates import compare
from snnbd_core.networks import Network
from snnbd_core.neurons import IF

__all__ = ["Conversion", "HalfStart", "Hybrid", "Migrating", "convert", "converted", "hybrid"]

NORMALISATIONS = ("max", "percentile")
_percentile = checks.fitting(lambda x: 0 < x <= 100, "in (0, 100]")


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
        ann: a trained `Network`, or an `nn.Sequential` over images [B, C, H, W], with ReLU
            activations; what it ends with, ReLU or weights, is the read-out.
        calibration: samples of the training set; any set that `snnbd_core.data.as_set` takes.
        normalisation: "max" or "percentile" of a layer's activations is its scale; that of a QCFS
            activation is its learnt limit, whatever is asked for.
        percentile: 0 < percentile <= 100.
        steps: frames that a static image is repeated for while calibrating; 1 is enough.

    Raises:
        ValueError: a network that spikes already or has a layer that cannot be converted (named),
            batch norm without running statistics or weights before it, a forward of its own,
            weights that are not finite, no calibration samples or ones of another shape, an
            argument out of range.
    """
    normalisation = checks.choice("normalisation", normalisation, NORMALISATIONS)
    percentile = _percentile("percentile", percentile)
    steps = checks.whole("steps", steps, 1)
    calibration = as_set(calibration)
    check_layers(ann, calibration)
    net = folded(network_of(ann, tuple(calibration.input_shape)))
    check_same(ann, net, calibration, steps)
    share = 1.0 if normalisation == "max" else percentile / 100
    rescale(net, activations(net, calibration, share, steps))
    out = with_neurons(net, HalfStart)
    out._spikes = True
    return out.eval()


def converted(ann: nn.Module, data: Any, seed: int, **settings: Any) -> Network:
    """An ANN converted with 256 samples of its training set, which the seed draws."""
    data = as_set(data)
    rows = np.random.default_rng(seed).permutation(len(data))[:256]
    return convert(ann, data.subset(rows), **settings)


def hybrid(
    ann: nn.Module,
    train: Any,
    *,
    epochs: int = 5,
    seed: int = 0,
    learning_rate: float = 5e-4,
    normalisation: str = "percentile",
    percentile: float = 99.9,
    **settings: Any,
) -> Network:
    """A spiking network from an ANN, fine-tuned (Rathi et al. 2020); the ANN is not changed.

    Args:
        ann, normalisation, percentile: as for `convert`.
        train: the training set; the seed draws 256 of its samples for calibration.
        epochs, seed, learning_rate: of the fine-tuning, as for `snnbd_core.learning.train`.
        settings: others of `snnbd_core.learning.train`.

    Raises:
        ValueError: as `convert` and `snnbd_core.learning.train`.
    """
    net = converted(ann, train, seed, normalisation=normalisation, percentile=percentile)
    settings |= {"epochs": epochs, "seed": seed, "learning_rate": learning_rate}
    surrogate_gradient.train(net, train, **settings)
    return net


class Migrating(Checked, Rule):
    """A rule whose network comes from an ANN: the report says how much of a backdoor came along."""

    figures: ClassVar[tuple[str, ...]] = (
        "ann_clean_accuracy",
        "ann_success",
        "migration_per_sample",
        "agreement",
    )
    measure = staticmethod(compare)

    reads: Any
    read_out: Any
    ann_learning_rate: Any

    def ann(self) -> ANN:
        """The rule that trains the ANN."""
        rate = self.ann_learning_rate
        return ANN(reads=self.reads, read_out=self.read_out, learning_rate=rate)

    def source(self, experiment: Any) -> Any:
        """The ANN's experiment; for static images at one step, so that all T share it."""
        frames = 1 if experiment.data in IMAGES else experiment.frames
        return replace(experiment, rule=self.ann(), frames=frames)

    def layout(self, net: nn.Module) -> nn.Module:
        """A network with batch norm folded and IF neurons, as `convert` gives it."""
        assert isinstance(net, Network)
        ended = ending(folded(net.eval()), self.read_out)
        return reading(with_neurons(ended, HalfStart), self.reads)


@dataclass(frozen=True, kw_only=True)
class Conversion(Migrating):
    """LR_C of Jin et al. (2024): an ANN is trained on the poisoned set, then converted.

    Args:
        normalisation, percentile: as for `convert`.
        reads: what the ANN is trained on, see `ANN`; the SNN then gets the same.
        activation, levels, read_out: of the ANN, see `ANN`.
        ann_learning_rate: of the ANN's training; None is the task's.
    """

    normalisation: Literal["max", "percentile"] = "percentile"
    percentile: Annotated[float, _percentile] = 99.9
    reads: Reads = "frames"
    activation: Activation = "relu"
    levels: Count = 8
    read_out: ReadOut = "relu"
    ann_learning_rate: Positive | None = None

    def ann(self) -> ANN:
        """The rule that trains the ANN."""
        return replace(super().ann(), activation=self.activation, levels=self.levels)

    def fit(self, task: Task) -> Trained:
        """Converts the task's source, calibrated on the training set it was trained on.

        Raises:
            ValueError: as `converted`.
        """
        return Trained(self.converted(task), History())

    def converted(self, task: Task) -> Network:
        """The task's source as a spiking network.

        Raises:
            ValueError: a source that answers none of its training samples with one of their
                classes; as `convert`.
        """
        assert task.source is not None  # `source` names one
        check_answers(task.source, task, self.ann_learning_rate or task.learning_rate)
        settings = {"normalisation": self.normalisation, "percentile": self.percentile}
        return converted(task.source.cpu(), task.poisoned, task.seed, **settings)


@dataclass(frozen=True, kw_only=True)
class Hybrid(Migrating):
    """LR_H of Jin et al. (2024); conversion first (Rathi et al. 2020), see `Conversion`.

    Args:
        epochs, learning_rate: of the fine-tuning.
        data: "poisoned" fine-tunes on the set that the ANN was trained on, "clean" on the one
            before it was poisoned.
        reads, read_out, ann_learning_rate: as for `Conversion`.
    """

    epochs: Count = 5
    learning_rate: Positive = 5e-4
    data: Literal["poisoned", "clean"] = "poisoned"
    reads: Reads = "frames"
    read_out: ReadOut = "relu"
    ann_learning_rate: Positive | None = None

    def fit(self, task: Task) -> Trained:
        """Converts and fine-tunes.

        Raises:
            ValueError: as `Conversion.converted`.
        """
        rule = Conversion(reads=self.reads, ann_learning_rate=self.ann_learning_rate)
        net = rule.converted(task)
        data = task.poisoned if self.data == "poisoned" else task.clean
        history = task.train(net, data, epochs=self.epochs, learning_rate=self.learning_rate)
        return Trained(net, history)
