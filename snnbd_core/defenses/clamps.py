"""NDSBM (RAID 2025): clamps on membrane currents that leave clean potentials as they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import guards
from snnbd_core.checks import Count, Natural, Positive
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors.tmpbd import PotentialMargins
from snnbd_core.defenses.repair import Repair
from snnbd_core.view import View

__all__ = ["DetectedClamps", "PotentialClamps", "largest_currents"]


class Whole(nn.Module):
    """Wraps a network: an ``nn.Sequential`` would also run the modules that are attached to it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, sequence: Tensor) -> Tensor:
        logits: Tensor = self.net(sequence)
        return logits


@dataclass(frozen=True, kw_only=True)
class PotentialClamps(Repair):
    """Upper bounds on the currents of hidden layers, per channel and time step.

    Weights are frozen. Bounds u start at the largest clean current and minimise

        MSE(last layer's mean potential, clamped, to unclamped)  +  weight * mean |u| / u_start

    on clean samples: they come down until clean samples feel them. What a trigger drives beyond
    that is cut.

    The authors' NDSBM also cuts from below; this is their weaker variant "max", which cuts from
    above only. Their clamps are on convolutions, here every hidden layer has some. Theirs start at
    one large number, and c weighs Euclidean norms. Meanwhile their batch norm and dropout train,
    and the clamped run goes on from the state of the unclamped one.

    Args:
        weight: of the bounds' size (the paper's c, of other sizes).
        iterations: of Adam.
        learning_rate: of the bounds, as a share of where they start.
        suspected: the class that is answered again by the clamped copy, all others standing (the
            paper's combined rule); None lets the clamped copy answer everything. A tie is no
            answer; in the authors' code it is the first class.

    Needs spiking layers.
    """

    weight: Positive = 0.1
    iterations: Count = 60
    learning_rate: Positive = 0.05
    suspected: Natural | None = None

    def _repaired(self, bench: Bench) -> nn.Module:
        """Clamped for sequences of as many steps as the samples have."""
        if self.suspected is not None:
            guards.answers_once(bench.net)
        clamped = bench.copied()
        for layer, bounds in zip(clamped.view.hidden, self._learnt(bench.copied()), strict=True):
            clamped.view.guard(layer, "bound", bounds)
        if self.suspected is None:
            return clamped.net
        whole = Whole(bench.net).eval() if isinstance(bench.net, nn.Sequential) else bench.net
        guards.answer_again(whole, clamped.net, self.suspected)
        return whole

    def bounds(self, net: nn.Module, clean_samples: Any, **settings: Any) -> list[Tensor]:
        """The learnt bounds of each hidden layer's currents, [T, C]; arguments as `repair`'s."""
        return self._learnt(self._bench(net, clean_samples, **settings))

    def _learnt(self, bench: Bench) -> list[Tensor]:
        """The bounds, learnt on at most 256 samples."""
        bench.net.requires_grad_(False)
        rows = np.random.default_rng(bench.seed).permutation(len(bench.data))[:256]
        sequence = bench.sequence(bench.samples(rows)[0])
        start = largest_currents(bench.net, sequence)
        with torch.no_grad():
            wanted = _mean_potential(bench, sequence)
        shares = [torch.ones_like(largest, requires_grad=True) for largest in start]
        optimizer = torch.optim.Adam(shares, lr=self.learning_rate)
        for _ in range(self.iterations):
            bounds = [share * first for share, first in zip(shares, start, strict=True)]
            with bench.view.bounded(bounds):
                potential = _mean_potential(bench, sequence)
            size = torch.stack([share.abs().mean() for share in shares]).mean()
            loss = (potential - wanted).square().mean() + self.weight * size
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
        return [share.detach() * first for share, first in zip(shares, start, strict=True)]


def _mean_potential(bench: Bench, sequence: Tensor) -> Tensor:
    return bench.view.potentials(sequence)[1].mean(dim=0)


@torch.no_grad()
def largest_currents(net: nn.Module, sequence: Tensor) -> list[Tensor]:
    """Largest current over samples and places, 1e-3 at least, [T, C] for each hidden layer.

    The network is in evaluation mode, the sequence [T, B, C, H, W].
    """
    view = View(net, sequence)
    with view.read(view.hidden, "current") as seen:
        view(sequence)
    return [current.transpose(1, 2).flatten(2).amax(dim=2).clamp_min(1e-3) for current in seen]


@dataclass(frozen=True, kw_only=True)
class DetectedClamps(Repair):
    """TMPBD + NDSBM: only a network that `PotentialMargins` accuses gets `PotentialClamps`.

    As in the paper (arXiv 2510.06629), inputs that the network sends to the class the detector
    suspects are answered again by the clamped copy, and all other answers stand. Nothing at all is
    done to a network that is not accused, as in the authors' code. A detector that is wrong about
    a clean network costs accuracy; one that misses a backdoor leaves it whole.

    Args:
        weight: of the clamps' size, see `PotentialClamps`.
        high, frames: of the detector's inputs, see `PotentialMargins`.

    Needs spiking layers.
    """

    rounds: ClassVar[str] = (
        f"{PotentialMargins.iterations} iterations, {PotentialClamps.iterations} more if accused"
    )

    weight: Positive = PotentialClamps.weight
    high: Positive = PotentialMargins.high
    frames: Count | None = None

    @property
    def detector(self) -> PotentialMargins:
        """What accuses a network, or does not."""
        return PotentialMargins(high=self.high, frames=self.frames)

    def _repaired(self, bench: Bench) -> nn.Module:
        verdict = self.detector.inspect(
            bench.net, bench.data, seed=bench.seed, device=bench.device, steps=bench.steps
        )
        if not verdict.backdoored:
            return bench.net
        return PotentialClamps(weight=self.weight, suspected=verdict.target)._repaired(bench)
