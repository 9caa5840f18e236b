"""Defences in a network's settings: batch-norm statistics, thresholds, and a chip's own noise."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.defenses.channels import check_clean
from snnbd_core.learning import as_sequence
from snnbd_core.neurons import LIF, spiking_layers
from snnbd_core.view import override


@dataclass(frozen=True, kw_only=True)
class Reestimated:
    """Batch norm's running statistics, measured again on clean samples; no weight is changed.

    Args:
        threshold: of all neurons while measuring; None leaves them.

    Raises:
        ValueError: a threshold not above 0; when repairing, a network without batch norm.
    """

    data_free: ClassVar[bool] = False

    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None:
            checks.above("threshold", self.threshold, 0)

    @torch.no_grad()
    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A copy of the network with other statistics."""
        check_clean(net, clean_samples)
        out = copy.deepcopy(net).to(device).eval()
        norms = [layer for layer in out.modules() if isinstance(layer, nn.BatchNorm2d)]
        if not norms:
            raise ValueError(f"net={type(net).__name__} has no batch norm: Reestimated needs some")
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
            norm.train()
        at = nullcontext() if self.threshold is None else override(out, threshold=self.threshold)
        with at:
            for start in range(0, len(clean_samples), 128):
                rows = np.arange(start, min(start + 128, len(clean_samples)))
                out(as_sequence(clean_samples.batch(rows)[0].to(device), steps))
        return out.eval()


class _Noise:
    """A forward hook that multiplies the threshold in force by numbers of its own."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.before: dict[str, Tensor] = {}

    def start(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(layer, LIF)  # registered on such only
        self.before = layer._overrides
        threshold = self.before.get("threshold", layer.threshold)
        factor = self.draw(inputs[0])
        layer._overrides = {**self.before, "threshold": threshold.to(factor) * factor}

    def stop(self, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        assert isinstance(layer, LIF)
        layer._overrides = self.before


def _noisy(net: nn.Module, draws: list[Any]) -> nn.Module:
    out = copy.deepcopy(net).eval()
    for layer, draw in zip(spiking_layers(out), draws, strict=True):
        noise = _Noise(draw)
        layer.register_forward_pre_hook(noise.start)
        layer.register_forward_hook(noise.stop)
    return out


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """Thresholds as a chip has them: each neuron's is off by a Gaussian factor, drawn once.

    The factor multiplies whatever threshold is in force, also one that is set at inference.

    Args:
        std: of the factor around 1, >= 0; factors below 0.1 are set to it.

    Raises:
        ValueError: std below 0; a network without spiking layers, or with weights that are
            not finite.
    """

    data_free: ClassVar[bool] = True

    std: float = 0.1

    def __post_init__(self) -> None:
        checks.within("std", self.std, 0, 10)

    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A copy of the network on such a chip; samples are not used."""
        checks.finite(net, "repaired")
        layers = spiking_layers(net)
        if not layers:
            raise ValueError(f"net={type(net).__name__} has no spiking layer")

        def fixed(number: int) -> Any:
            def draw(current: Tensor) -> Tensor:
                generator = torch.Generator().manual_seed(1000 * seed + number)
                noise = torch.randn(current.shape[2:], generator=generator).to(current.device)
                return (1 + self.std * noise).clamp_min(0.1)

            return draw

        return _noisy(net.to(device), [fixed(number) for number in range(len(layers))])


@dataclass(frozen=True, kw_only=True)
class RandomThreshold:
    """Inference at a random threshold: one factor for each sample and layer, drawn anew each time.

    An attacker who counts on one threshold finds another.

    Args:
        low, high: limits of the factor, 0 < low <= high.

    Raises:
        ValueError: limits outside what is said above; a network without spiking layers, or with
            weights that are not finite.
    """

    data_free: ClassVar[bool] = True

    low: float = 0.8
    high: float = 1.0

    def __post_init__(self) -> None:
        checks.above("low", self.low, 0)
        checks.within("high", self.high, self.low, 100)

    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A copy of the network that draws its thresholds; samples are not used."""
        checks.finite(net, "repaired")
        layers = spiking_layers(net)
        if not layers:
            raise ValueError(f"net={type(net).__name__} has no spiking layer")

        def fresh(number: int) -> Any:
            generator = torch.Generator().manual_seed(1000 * seed + number)

            def draw(current: Tensor) -> Tensor:
                factor = torch.rand(current.shape[1], 1, generator=generator).to(current.device)
                return self.low + (self.high - self.low) * factor

            return draw

        return _noisy(net.to(device), [fresh(number) for number in range(len(layers))])
