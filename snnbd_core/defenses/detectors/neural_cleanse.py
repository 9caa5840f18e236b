"""Neural Cleanse (Wang et al. 2019): the smallest patch that sends everything to a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.checks import Count, Flag, Positive
from snnbd_core.data.batches import as_sequence
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors import patches
from snnbd_core.defenses.detectors.detector import ModelDetector
from snnbd_core.defenses.detectors.features import sharpness
from snnbd_core.defenses.detectors.verdict import Verdict
from snnbd_core.metrics import decide
from snnbd_core.networks import seeded
from snnbd_core.view import View

__all__ = ["NeuralCleanse", "anomaly"]

LARGEST = float(np.finfo(np.float64).max)  # a verdict's figures are finite
CONSISTENT = 1.4826  # makes the median absolute deviation a standard deviation of normal data


@dataclass(frozen=True, kw_only=True)
class NeuralCleanse(ModelDetector):
    """For each class a mask m in [H, W] and a pattern p in [C, H, W] are sought so that

        x' = (1 - m) x + m p

    goes to the class, with little of |m|. Event frames get the same mask and pattern in every
    frame; gradients are the surrogate's. A silent or tied answer is that of no class. A class whose
    mask is far smaller than the others' is the target: its anomaly index, the distance to the
    median in units of 1.4826 times the median absolute deviation, is above 2. The index is 0 unless
    more than half of the searches find something: a failed one leaves a mask that covers all. The
    authors' index has no such rule: it is infinite where at least half of the masks are of one
    size, such as that of failures (`published`). Of an even number of classes its median is the
    mean of the two in the middle, as here; copies of it in PyTorch take the lower of them.

    Args:
        iterations: of the search for each class.
        samples: clean ones used.
        weight: of |m| to begin with; it follows the success as in the paper.
        threshold: of the anomaly index.
        published: whether the index is the authors', see above.

    Needs three classes: of fewer the index is always 0.67.
    """

    iterations: Count = 80
    samples: Count = 64
    weight: Positive = 0.01
    threshold: Positive = 2.0
    published: Flag = False

    def _verdict(self, bench: Bench) -> Verdict:
        rows = np.random.default_rng(bench.seed).permutation(len(bench.data))[: self.samples]
        classes = bench.view.classes
        checks.classes(classes, 3, "Neural Cleanse")
        with seeded(bench.seed):
            masks, _ = self.search(bench.net, bench.samples(rows)[0], range(classes), bench.steps)
        sizes = masks.sum(dim=(1, 2)).tolist()
        index, target = anomaly(sizes, masks[0].numel(), self.published)
        index = min(index, LARGEST)
        return Verdict(index > self.threshold, target, index, self.threshold, values=tuple(sizes))

    def search(
        self, net: nn.Module, batch: Tensor, targets: Sequence[int], steps: int
    ) -> tuple[Tensor, Tensor]:
        """Masks [K, H, W] and patterns [K, C, H, W] for K classes, each as if sought alone.

        The network is evaluating, best `frozen`; clean samples [B, T, C, H, W] or [B, C, H, W] are
        where it is; `steps` is T for static images.
        """
        view = View(net, as_sequence(batch[:1], max(2, steps)))
        patches.check_gradient(view, as_sequence(batch[:1], steps))
        sharp = sharpness(view, as_sequence(batch, steps))
        labels = torch.tensor(list(targets), device=batch.device)
        found = [
            self._search(view, batch, labels[part], steps, sharp)
            for part in patches.groups(len(targets), batch, steps)
        ]
        masks, patterns = zip(*found, strict=True)
        return torch.cat(masks), torch.cat(patterns)

    def _search(
        self, view: View, batch: Tensor, targets: Tensor, steps: int, sharp: float
    ) -> tuple[Tensor, Tensor]:
        """The smallest masks with which the search worked, and their patterns."""
        labels, shape = targets.repeat_interleave(len(batch)), batch.shape[-3:]
        best_masks = torch.ones(len(targets), *shape[1:], device=batch.device)
        best_patterns = torch.zeros(len(targets), *shape, device=batch.device)
        weight = torch.full((len(targets),), float(self.weight), device=batch.device)

        def aim(masks: Tensor, patterns: Tensor, logits: Tensor, away: Tensor) -> Tensor:
            """Cross-entropy + weight |m|, where the weight follows the success."""
            nonlocal weight
            sizes = masks.sum(dim=(1, 2))
            losses = away.mean(dim=1) + weight * sizes
            works = (decide(logits) == labels).view(away.shape).float().mean(dim=1) > 0.95
            better = works & (sizes.detach() < best_masks.sum(dim=(1, 2)))
            best_masks[better] = masks.detach()[better]
            best_patterns[better] = patterns.detach()[better]
            weight = torch.where(works, weight * 1.1, weight / 1.1)
            return losses.sum()

        def answers(samples: Tensor) -> Tensor:
            return view(as_sequence(samples, steps))

        patches.sought(answers, batch, targets, aim, iterations=self.iterations, sharp=sharp)
        return best_masks, best_patterns


def anomaly(
    sizes: Sequence[float], full: float = np.inf, published: bool = False
) -> tuple[float, int]:
    """(anomaly index of the smallest mask, its class); 0 where it is not below the median.

    It is 0 too where at least half of the masks are of one size, or have the size `full` of those
    that cover all; `published`: only where all are of one size.
    """
    values = np.asarray(sizes)
    target = int(values.argmin())
    centre = np.median(values)
    spread = CONSISTENT * np.median(np.abs(values - centre))
    below = max(0.0, float(centre - values[target]))
    if published:
        return (below / float(spread) if spread else np.inf if below else 0.0), target
    if spread == 0 or 2 * (values >= full).sum() >= len(values):
        return 0.0, target
    return float(below / spread), target
