"""Neural Cleanse (Wang et al. 2019): the smallest patch that sends everything to a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core import checks
from snnbd_core.defenses.channels import check_clean
from snnbd_core.defenses.detectors import patches
from snnbd_core.defenses.detectors.frozen import frozen
from snnbd_core.defenses.detectors.verdict import Verdict
from snnbd_core.learning import as_sequence
from snnbd_core.metrics import decide
from snnbd_core.networks import seeded

CONSISTENT = 1.4826  # makes the median absolute deviation a standard deviation of normal data
SHARP = 10.0  # votes lie in 0..1; so much sharper is the softmax


@dataclass(frozen=True, kw_only=True)
class NeuralCleanse:
    """For each class a mask m in [H, W] and a pattern p in [C, H, W] are sought so that

        x' = (1 - m) x + m p

    goes to the class, with little of |m|. Event frames get the same mask and pattern in every
    frame; gradients are the surrogate's. A silent or tied answer, which spiking networks give, is
    that of no class. A class whose mask is far smaller than the others' is the target: its anomaly
    index, the distance to the median in units of 1.4826 times the median absolute deviation, is
    above 2.

    Args:
        iterations: of the search for each class, at least 1.
        samples: clean samples used, at least 1.
        weight: of |m| to begin with, > 0; it follows the success as in the paper.
        threshold: of the anomaly index, > 0.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    data_free: ClassVar[bool] = False

    iterations: int = 80
    samples: int = 64
    weight: float = 0.01
    threshold: float = 2.0

    def __post_init__(self) -> None:
        checks.whole("iterations", self.iterations, 1)
        checks.whole("samples", self.samples, 1)
        checks.above("weight", self.weight, 0)
        checks.above("threshold", self.threshold, 0)

    def inspect(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> Verdict:
        """Masks of all classes, and what they say; the network is left as it was."""
        check_clean(net, clean_samples)
        draw = np.random.default_rng(seed).permutation(len(clean_samples))[: self.samples]
        batch = clean_samples.batch(draw)[0].to(device)
        with frozen(net, device), seeded(seed):
            masks, _ = self.search(net, batch, range(clean_samples.classes), steps)
        sizes = masks.sum(dim=(1, 2)).tolist()
        index, target = anomaly(sizes)
        return Verdict(index > self.threshold, target, index, self.threshold, values=tuple(sizes))

    def search(
        self, net: nn.Module, batch: Tensor, targets: Sequence[int], steps: int
    ) -> tuple[Tensor, Tensor]:
        """Masks [K, H, W] and patterns [K, C, H, W] for K classes, each as if sought alone."""
        found = [
            self._search(net, batch, torch.tensor(targets[part], device=batch.device), steps)
            for part in patches.groups(len(targets), batch, steps)
        ]
        masks, patterns = zip(*found, strict=True)
        return torch.cat(masks), torch.cat(patterns)

    def _search(
        self, net: nn.Module, batch: Tensor, targets: Tensor, steps: int
    ) -> tuple[Tensor, Tensor]:
        free, paint = patches.start(len(targets), batch)
        optimizer = torch.optim.Adam([free, paint], lr=0.2)
        labels = targets.repeat_interleave(len(batch))
        high, weight = max(float(batch.max()), 1.0), torch.full_like(free[:, 0, 0], self.weight)
        best = torch.ones_like(free), torch.zeros_like(paint)
        for _ in range(self.iterations):
            masks, patterns = torch.sigmoid(free), high * torch.sigmoid(paint)
            logits = net(as_sequence(patches.stamped(batch, masks, patterns), steps))
            hits = (decide(logits) == labels).view(len(targets), -1).float().mean(dim=1)
            away = functional.cross_entropy(SHARP * logits, labels, reduction="none")
            sizes = masks.sum(dim=(1, 2))
            losses = away.view(len(targets), -1).mean(dim=1) + weight * sizes
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(losses.sum())
            optimizer.step()
            works = hits > 0.95
            better = works & (sizes.detach() < best[0].sum(dim=(1, 2)))
            best[0][better], best[1][better] = masks.detach()[better], patterns.detach()[better]
            weight = torch.where(works, weight * 1.1, weight / 1.1)
        return best


def anomaly(sizes: list[float]) -> tuple[float, int]:
    """(anomaly index of the smallest mask, its class); 0 where it is not below the median."""
    values = np.asarray(sizes)
    target = int(values.argmin())
    centre = np.median(values)
    spread = CONSISTENT * np.median(np.abs(values - centre))
    if spread == 0:
        return (0.0 if values[target] == centre else float("inf")), target
    return float(max(0.0, centre - values[target]) / spread), target
