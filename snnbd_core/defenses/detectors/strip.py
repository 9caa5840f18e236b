"""STRIP (Gao et al. 2019): an input that keeps its answer under whatever is laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from snnbd_core import checks
from snnbd_core.checks import Count
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors.detector import InputDetector
from snnbd_core.defenses.detectors.features import FEW, sharpness

__all__ = ["Strip", "entropy"]


@dataclass(frozen=True, kw_only=True)
class Strip(InputDetector):
    """Minus the mean entropy of the answers to an input mixed with clean ones.

    "space" adds the two, values of images at most 1, as the authors' code does, so that neither a
    trigger nor an event is halved; "time" takes every other frame from the clean one, which only
    event frames have. Votes in 0..1 are turned into probabilities by a softmax of ten times their
    value; larger logits are brought to that scale first, see `sharpness`.

    Args:
        overlays: clean samples laid over each input.
        along: "space" or "time".

    Needs two classes.
    """

    overlays: Count = 10
    along: Literal["space", "time"] = "space"

    def _scores(self, bench: Bench, data: Any) -> np.ndarray:
        checks.classes(bench.view.classes, 2, "STRIP")
        few, _ = bench.samples(np.arange(min(FEW, len(bench.data))))
        sharp = sharpness(bench.view, bench.sequence(few))
        draw, found = np.random.default_rng(bench.seed), []
        for row in range(len(data)):
            others, _ = bench.samples(draw.integers(len(bench.data), size=self.overlays))
            sample = data.batch(np.array([row]))[0].to(bench.device)
            mixed = self._mixed(sample, others)
            found.append(-float(entropy(sharp * bench(mixed)).mean()))
        return np.asarray(found)

    def _mixed(self, sample: Tensor, others: Tensor) -> Tensor:
        if self.along == "space":
            return sample + others if sample.dim() == 5 else (sample + others).clamp(max=1.0)
        if sample.dim() != 5:
            raise ValueError("along='time' mixes frames: static images have none")
        mixed = others.clone()
        mixed[:, ::2] = sample[:, ::2]
        return mixed


def entropy(scaled: Tensor) -> Tensor:
    """Shannon entropy in nats [B] of the softmax of scaled logits [B, classes]."""
    chance = torch.softmax(scaled, dim=1)
    total: Tensor = -(chance * chance.clamp_min(1e-12).log()).sum(dim=1)
    return total
