"""STRIP (Gao et al. 2019): an input that keeps its answer under whatever is laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.defenses.bench import check_clean, frozen, taken
from snnbd_core.defenses.detectors.features import FEW, sharpness

__all__ = ["WAYS", "Strip", "entropy"]

WAYS = ("space", "time")


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Minus the mean entropy of the answers to an input mixed with clean ones.

    "space" adds the two, values of images at most 1, as the authors' code does, so that neither a
    trigger nor an event is halved; "time" takes every other frame from the clean one, which only
    event frames have. Votes in 0..1 are turned into probabilities by a softmax of ten times their
    value; larger logits are brought to that scale first, see `sharpness`.

    Args:
        overlays: clean samples laid over each input, at least 1.
        along: "space" or "time".

    Raises:
        ValueError: for any argument outside what is said above; "time" for static images;
            samples of another shape than the clean ones; a network with a single class.
    """

    data_free: ClassVar[bool] = False

    overlays: int = 10
    along: str = "space"

    def __post_init__(self) -> None:
        checks.settings(
            self,
            overlays=checks.whole("overlays", self.overlays, 1),
            along=checks.choice("along", self.along, WAYS),
        )

    def score(
        self,
        net: nn.Module,
        data: Any,
        clean_samples: Any,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> np.ndarray:
        """One number for each sample of `data`, larger is more suspicious, float64 [N]."""
        data, clean = taken(data), check_clean(net, clean_samples)
        if tuple(data.input_shape) != tuple(clean.input_shape):
            raise ValueError(
                f"data has shape {tuple(data.input_shape)}, clean_samples have "
                f"{tuple(clean.input_shape)}: they are laid over each other"
            )
        draw = np.random.default_rng(seed)
        found = []
        with frozen(net, clean, device=device, steps=steps) as bench, torch.no_grad():
            checks.classes(bench.view.classes, 2, "STRIP")
            few, _ = bench.samples(clean, np.arange(min(FEW, len(clean))))
            sharp = sharpness(bench.view, bench.sequence(few))
            for row in range(len(data)):
                sample, _ = bench.samples(data, np.array([row]))
                rows = draw.integers(len(clean), size=self.overlays)
                mixed = self._mixed(sample, bench.samples(clean, rows)[0])
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
