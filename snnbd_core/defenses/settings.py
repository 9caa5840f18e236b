"""Defences in a network's settings: batch-norm statistics, thresholds, and a chip's own noise."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from snnbd_core import checks, guards
from snnbd_core.checks import Positive
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.repair import Repair

__all__ = ["Mismatch", "RandomThreshold", "Reestimated"]

_BATCH = 128  # most samples that are measured at once


@dataclass(frozen=True, kw_only=True)
class Reestimated(Repair):
    """Batch norm's running statistics, measured again on clean samples; no weight is changed.

    Samples beyond 128 are measured in parts of about one size; each value counts alike.

    Args:
        threshold: of all neurons while measuring; None leaves them.

    Needs batch norm with running statistics and, for a threshold, spiking layers.
    """

    threshold: Positive | None = None

    @torch.no_grad()
    def _repaired(self, bench: Bench) -> nn.Module:
        norms = [
            module
            for module in bench.net.modules()
            if isinstance(module, _BatchNorm) and module.running_mean is not None
        ]
        if not norms:
            raise bench.view.blind(
                "running statistics", "it has no batch norm with track_running_stats=True"
            )
        before = [(copy.deepcopy(norm.state_dict()), norm.momentum) for norm in norms]
        seen = dict.fromkeys(norms, 0)

        def weigh(norm: Any, inputs: Any, named: Any) -> None:
            """Gives a run its share of all values so far, so that each counts alike."""
            values = (inputs[0] if inputs else named["input"]).numel()
            seen[norm] += values
            norm.momentum = values / seen[norm]

        hooks = [norm.register_forward_pre_hook(weigh, with_kwargs=True) for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
        count = len(bench.data)
        with bench.at(self.threshold):
            for rows in np.array_split(np.arange(count), -(-count // _BATCH)):
                bench(bench.data.batch(rows)[0])
        for norm, hook, (state, momentum) in zip(norms, hooks, before, strict=True):
            hook.remove()
            norm.momentum = momentum
            if not norm.num_batches_tracked:  # it did not run
                norm.load_state_dict(state)
        return bench.net.eval()


@dataclass(frozen=True, kw_only=True)
class Mismatch(Repair):
    """Thresholds as a chip has them: each neuron's is off by a Gaussian factor, drawn once.

    The factor multiplies whatever threshold is in force, also one that is set at inference.

    Args:
        std: of the factor around 1, up to 10; factors below 0.1 are set to it.

    Needs spiking layers.
    """

    data_free: ClassVar[bool] = True

    std: Annotated[float, checks.fitting(lambda x: 0 <= x <= 10, "in 0..10")] = 0.1

    def _repaired(self, bench: Bench) -> nn.Module:
        for number, layer in enumerate(bench.spiking_layers):
            generator = torch.Generator().manual_seed(1000 * bench.seed + number)
            draws = torch.randn(layer.shape, generator=generator).to(bench.device)
            bench.view.guard(layer, "factor", (1 + self.std * draws).clamp_min(0.1))
        return bench.net


@dataclass(frozen=True, kw_only=True)
class RandomThreshold(Repair):
    """Inference at a random threshold: one factor for each sample and layer, drawn anew each time.

    An attacker who counts on one threshold finds another.

    Args:
        low, high: limits of the factor, low <= high <= 100.

    Needs spiking layers.
    """

    data_free: ClassVar[bool] = True

    low: Positive = 0.8
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.settings(self, high=checks.within("high", self.high, self.low, 100))

    def _repaired(self, bench: Bench) -> nn.Module:
        for number, layer in enumerate(bench.spiking_layers):
            limits = guards.noise(self.low, self.high, 1000 * bench.seed + number)
            bench.view.guard(layer, "noise", limits.to(bench.device))
        return bench.net
