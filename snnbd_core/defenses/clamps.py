"""NDSBM (RAID 2025): clamps on membrane currents that leave clean potentials as they were."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import guards
from snnbd_core.checks import Count, Natural, Positive
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors.tmpbd import PotentialMargins
from snnbd_core.defenses.repair import Repair
from snnbd_core.view import View

__all__ = ["DetectedClamps", "PotentialClamps", "largest_currents", "smallest_currents"]

Sides = Literal["above", "both"]


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
    """Bounds on the currents of hidden layers, per channel and time step.

    Weights are frozen. Bounds u start at the largest clean current and minimise

        MSE(last layer's mean potential, clamped, to unclamped)  +  weight * mean |u| / |u_start|

    on clean samples: they come down until clean samples feel them. What a trigger drives beyond
    that is cut. With sides="both" there are lower bounds, too, which start at the smallest clean
    current and come up; a second mean of the same form is theirs. Where two bounds cross, the upper
    one holds. A start is 1e-3 away from 0 at least, so that a lower bound of a channel without
    negative currents stays next to 0.

    The authors' NDSBM cuts from below and above, as sides="both" does; sides="above" is their
    weaker variant "max". Either way, their clamps are on convolutions, here every hidden layer has
    some. Theirs start at one large number each, and c weighs Euclidean norms. Meanwhile their batch
    norm and dropout train, and the clamped run goes on from the state of the unclamped one.

    Args:
        sides: from which currents are cut, "above" or "both".
        weight: of the bounds' size (the paper's c, of other sizes).
        iterations: of Adam.
        learning_rate: of the bounds, as a share of where they start.
        suspected: the class that is answered again by the clamped copy, all others standing (the
            paper's combined rule); None lets the clamped copy answer everything. A tie is no
            answer; in the authors' code it is the first class.

    Needs spiking layers.
    """

    sides: Sides = "above"
    weight: Positive = 0.1
    iterations: Count = 60
    learning_rate: Positive = 0.05
    suspected: Natural | None = None

    def _repaired(self, bench: Bench) -> nn.Module:
        """Clamped for sequences of as many steps as the samples have."""
        if self.suspected is not None:
            guards.answers_once(bench.net)
        clamped = bench.copied()
        places = product(("bound", "floor")[: self._sides], clamped.view.hidden)
        for (kind, layer), bounds in zip(places, self._learnt(bench.copied()), strict=True):
            clamped.view.guard(layer, kind, bounds)
        if self.suspected is None:
            return clamped.net
        whole = Whole(bench.net).eval() if isinstance(bench.net, nn.Sequential) else bench.net
        guards.answer_again(whole, clamped.net, self.suspected)
        return whole

    def bounds(self, net: nn.Module, clean_samples: Any, **settings: Any) -> list[Tensor]:
        """The learnt bounds of each hidden layer's currents, [T, C]; arguments as `repair`'s.

        With sides="both" the lower ones of all layers follow the upper ones.
        """
        return self._learnt(self._bench(net, clean_samples, **settings))

    @property
    def _sides(self) -> int:
        return 2 if self.sides == "both" else 1

    def _learnt(self, bench: Bench) -> list[Tensor]:
        """The bounds, learnt on at most 256 samples."""
        bench.net.requires_grad_(False)
        rows = np.random.default_rng(bench.seed).permutation(len(bench.data))[:256]
        sequence = bench.sequence(bench.samples(rows)[0])
        start = largest_currents(bench.net, sequence)
        layers = len(start)
        if self.sides == "both":
            start = start + smallest_currents(bench.net, sequence)
        with torch.no_grad():
            wanted = _mean_potential(bench, sequence)
        shares = [torch.ones_like(largest, requires_grad=True) for largest in start]
        optimizer = torch.optim.Adam(shares, lr=self.learning_rate)
        for _ in range(self.iterations):
            bounds = [share * first for share, first in zip(shares, start, strict=True)]
            with bench.view.bounded(bounds[:layers], bounds[layers:]):
                potential = _mean_potential(bench, sequence)
            size = torch.stack([share.abs().mean() for share in shares]).mean()
            loss = (potential - wanted).square().mean() + self.weight * self._sides * size
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
    return [current.amax(dim=2).clamp_min(1e-3) for current in _currents(net, sequence)]


@torch.no_grad()
def smallest_currents(net: nn.Module, sequence: Tensor) -> list[Tensor]:
    """Smallest current over samples and places, -1e-3 at most; else as `largest_currents`."""
    return [current.amin(dim=2).clamp_max(-1e-3) for current in _currents(net, sequence)]


def _currents(net: nn.Module, sequence: Tensor) -> list[Tensor]:
    """Currents of samples and places, [T, C, B * H * W] for each hidden layer."""
    view = View(net, sequence)
    with view.read(view.hidden, "current") as seen:
        view(sequence)
    return [current.transpose(1, 2).flatten(2) for current in seen]


@dataclass(frozen=True, kw_only=True)
class DetectedClamps(Repair):
    """TMPBD + NDSBM: only a network that `PotentialMargins` accuses gets `PotentialClamps`.

    As in the paper (arXiv 2510.06629), inputs that the network sends to the class the detector
    suspects are answered again by the clamped copy, and all other answers stand. Nothing at all is
    done to a network that is not accused, as in the authors' code. A detector that is wrong about
    a clean network costs accuracy; one that misses a backdoor leaves it whole.

    Args:
        weight, sides: of the clamps, see `PotentialClamps`.
        high, frames: of the detector's inputs, see `PotentialMargins`.

    Needs spiking layers.
    """

    rounds: ClassVar[str] = (
        f"{PotentialMargins.iterations} iterations, {PotentialClamps.iterations} more if accused"
    )

    weight: Positive = PotentialClamps.weight
    high: Positive = PotentialMargins.high
    frames: Count | None = None
    sides: Sides = PotentialClamps.sides

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
        clamps = PotentialClamps(sides=self.sides, weight=self.weight, suspected=verdict.target)
        return clamps._repaired(bench)
