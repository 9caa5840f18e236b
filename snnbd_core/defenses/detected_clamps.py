"""TMPBD + NDSBM (RAID 2025): clamps for a network that its potential margins accuse, else none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from snnbd_core import checks
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.clamps import PotentialClamps
from snnbd_core.defenses.detectors.tmpbd import PotentialMargins
from snnbd_core.defenses.repair import Repair

__all__ = ["DetectedClamps"]


@dataclass(frozen=True, kw_only=True)
class DetectedClamps(Repair):
    """`PotentialMargins` asks first; only a network that it accuses gets `PotentialClamps`.

    As in the paper (arXiv 2510.06629), inputs [T, B, C, H, W] that the network sends to the class
    the detector suspects are answered again by the clamped copy, and all other answers stand. That
    nothing at all is done to a network that is not accused is our reading of it. A detector that
    is wrong about a clean network costs accuracy, one that misses a backdoor leaves it whole.

    Args:
        weight: of the clamps' size, > 0, see `PotentialClamps`.
        high: largest value of the detector's inputs, > 0: 10 for event counts, 1 for images.
        frames: T of the detector's inputs for event networks, at least 1.

    Raises:
        ValueError: for any argument outside what is said above.
        NotVisible: when repairing, a network without spiking layers.
    """

    weight: float = PotentialClamps.weight
    high: float = PotentialMargins.high
    frames: int = PotentialMargins.frames

    def __post_init__(self) -> None:
        checks.fields(self, ("weight", "high"), checks.above, 0)
        checks.settings(self, frames=checks.whole("frames", self.frames, 1))

    @property
    def rounds(self) -> str:
        """What it repeats, for a table of costs."""
        clamps = PotentialClamps(weight=self.weight)
        return f"{self.detector.iterations} iterations, {clamps.iterations} more if accused"

    @property
    def detector(self) -> PotentialMargins:
        """What accuses a network, or does not."""
        return PotentialMargins(high=self.high, frames=self.frames)

    def _repaired(self, bench: Bench, clean: Any, seed: int) -> nn.Module:
        verdict = self.detector.inspect(
            bench.net, clean, seed=seed, device=bench.device, steps=bench.steps
        )
        if not verdict.backdoored:
            return bench.net
        clamps = PotentialClamps(weight=self.weight, suspected=verdict.target)
        return clamps._repaired(bench, clean, seed)
