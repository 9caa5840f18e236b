"""TMPBD (RAID 2025): how far can any input push one class's potential above the others'?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from snnbd_core import checks
from snnbd_core.checks import Count, Positive
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors import patches
from snnbd_core.defenses.detectors.detector import ModelDetector
from snnbd_core.defenses.detectors.verdict import Verdict
from snnbd_core.metrics.margins import ascended

__all__ = ["PotentialMargins", "gamma_p_value"]

ALIKE = 1e-6  # smallest spread, in proportion to the largest value, of which a Gamma is fitted


@dataclass(frozen=True, kw_only=True)
class PotentialMargins(ModelDetector):
    """Data-free: for each class the largest margin of its read-out potential, by gradient ascent.

    From random inputs the margin v_t - max over j != t of v_j is raised, v being the potential of
    the last layer, averaged over time and over the neurons that vote for a class, as many as there
    are; a linear read-out's potential is its logits. The largest margins r of all classes but
    the top one give a Gamma distribution F; p = 1 - F(r_max)^classes, and p < 0.05 is a backdoor.
    F begins at 0, or at the least margin below it; the authors' fit leaves its beginning free,
    which changed 9 of 108 verdicts here.

    Args:
        inputs: random starts for each class.
        iterations: of the ascent.
        learning_rate: of SGD on inputs whose gradient has length 1. The paper's 1e-2 is for its own
            scale of potentials.
        high: largest value of an input: 10 for event counts as in the paper, 1 for images.
        frames: T of the inputs; None is that of the samples, and where these are static images, or
            there are none, one image in every step.

    Raises:
        ValueError: when inspecting, potentials that are not finite, or margins that no Gamma
            distribution fits.

    Needs potentials, which an ANN has not; three classes, as one margin has no distribution; and
    clean samples or a network that says what it reads.
    """

    data_free: ClassVar[bool] = True

    inputs: Count = 4
    iterations: Count = 60
    learning_rate: Positive = 1.0
    high: Positive = 10.0
    frames: Count | None = None

    def _verdict(self, bench: Bench) -> Verdict:
        checks.classes(bench.view.classes, 3, "TMPBD")
        largest = self._largest(bench)
        if not np.isfinite(largest).all():
            name = type(bench.net).__name__
            raise ValueError(f"net={name}: margins={largest} are not all finite")
        p = gamma_p_value(largest)
        return Verdict(p < 0.05, int(np.argmax(largest)), 1 - p, 0.95, p, tuple(largest))

    def _largest(self, bench: Bench) -> list[float]:
        """The largest margin met on the way up, of each class; many classes climb in one batch."""
        classes = bench.view.classes
        shape = bench.made_up(self.inputs, self.frames)
        draws = [torch.Generator().manual_seed(1000 * bench.seed + t) for t in range(classes)]
        found: list[float] = []
        for part in patches.groups(classes, torch.empty(shape, device="meta"), bench.steps):
            inputs = torch.cat([torch.rand(shape, generator=draw) for draw in draws[part]])
            targets = torch.arange(part.start, part.stop).repeat_interleave(self.inputs)
            best = self._climbed(bench, inputs.to(bench.device), targets.to(bench.device))
            found += best.reshape(-1, self.inputs).amax(dim=1).tolist()
        return found

    def _climbed(self, bench: Bench, inputs: Tensor, targets: Tensor) -> Tensor:
        """The largest margin that each input met on its way, [B]."""
        best = torch.full((len(targets),), -torch.inf, device=inputs.device)
        length, high = self.learning_rate, self.high
        for _ in range(self.iterations):
            margin, inputs = ascended(bench.view, inputs, targets, length, high, bench.steps)
            best = torch.maximum(best, margin)
        return best


def gamma_p_value(values: Sequence[float]) -> float:
    """p = 1 - F(max)^n, F the Gamma distribution fitted to all values but the largest.

    Where all values are alike none stands out, and p is 1.

    Raises:
        ValueError: fewer than three values, or values that are alike but for the largest.
    """
    from scipy import stats

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    rest, largest = ordered[:-1], ordered[-1]
    if len(ordered) > 2 and _alike(ordered):
        return 1.0
    if len(ordered) < 3 or _alike(rest):
        raise ValueError(
            f"margins={ordered.tolist()} allow no distribution: besides the largest, needed are at "
            "least two that differ"
        )
    shift = min(0.0, float(rest.min())) - 1e-9  # a Gamma distribution begins at 0
    shape, _, scale = stats.gamma.fit(rest - shift, floc=0)
    below = float(stats.gamma.cdf(largest - shift, shape, scale=scale))
    return float(1 - below ** len(ordered))


def _alike(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= ALIKE * np.abs(values).max())
