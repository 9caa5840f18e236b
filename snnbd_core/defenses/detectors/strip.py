"""STRIP (Gao et al. 2019): an input that keeps its answer under whatever is laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.defenses.channels import check_clean
from snnbd_core.defenses.detectors.frozen import frozen
from snnbd_core.defenses.detectors.neural_cleanse import SHARP
from snnbd_core.learning import as_sequence

WAYS = ("space", "time")


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Minus the mean entropy of the answers to an input mixed with clean ones.

    "space" adds the two, values of images at most 1, as the authors' code does, so that neither a
    trigger nor an event is halved; "time" takes every other frame from the clean one, which only
    event frames have. Votes are turned into probabilities by a softmax of ten times their value.

    Args:
        overlays: clean samples laid over each input, at least 1.
        along: "space" or "time".

    Raises:
        ValueError: for any argument outside what is said above; "time" for static images;
            samples of another shape than the clean ones.
    """

    data_free: ClassVar[bool] = False

    overlays: int = 10
    along: str = "space"

    def __post_init__(self) -> None:
        checks.whole("overlays", self.overlays, 1)
        if self.along not in WAYS:
            raise ValueError(f"along={self.along!r} is unknown; allowed: {', '.join(WAYS)}")

    def score(
        self,
        net: nn.Module,
        data: Any,
        clean_samples: Any,
        *,
        seed: int,
        device: torch.device,
        steps: int,
    ) -> np.ndarray:
        """One number for each sample of `data`, larger is more suspicious, float64 [N]."""
        check_clean(net, clean_samples)
        if tuple(data.input_shape) != tuple(clean_samples.input_shape):
            raise ValueError(
                f"data has shape {tuple(data.input_shape)}, clean_samples have "
                f"{tuple(clean_samples.input_shape)}: they are laid over each other"
            )
        draw = np.random.default_rng(seed)
        found = []
        with frozen(net, device), torch.no_grad():
            for row in range(len(data)):
                one = data.batch(np.array([row]))[0].to(device)
                rows = draw.integers(len(clean_samples), size=self.overlays)
                mixed = self._mixed(one, clean_samples.batch(rows)[0].to(device))
                found.append(-float(entropy(net(as_sequence(mixed, steps))).mean()))
        return np.asarray(found)

    def _mixed(self, one: Tensor, others: Tensor) -> Tensor:
        if self.along == "space":
            return one + others if one.dim() == 5 else (one + others).clamp(max=1.0)
        if one.dim() != 5:
            raise ValueError("along='time' mixes frames: static images have none")
        mixed = others.clone()
        mixed[:, ::2] = one[:, ::2]
        return mixed


def entropy(logits: Tensor) -> Tensor:
    """Shannon entropy in nats of the answers, [B]."""
    chance = torch.softmax(SHARP * logits, dim=1)
    total: Tensor = -(chance * chance.clamp_min(1e-12).log()).sum(dim=1)
    return total
