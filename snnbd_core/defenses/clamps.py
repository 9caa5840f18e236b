"""NDSBM (RAID 2025): clamps on membrane currents that leave clean potentials as they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks, guards
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.repair import Repair
from snnbd_core.view import View

__all__ = ["PotentialClamps", "largest_currents"]


class Whole(nn.Module):
    """A network in a module of its own: an ``nn.Sequential`` runs whatever it is given to hold."""

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

    Args:
        weight: of the bounds' size, > 0 (the paper's c).
        iterations: at least 1.
        learning_rate: of the bounds, as a share of where they start, > 0.
        suspected: the class that is answered again by the clamped copy, all others standing (the
            paper's combined rule); None lets the clamped copy answer everything.

    Raises:
        ValueError: for any argument outside what is said above.
        NotVisible: when repairing, a network without spiking layers.
    """

    weight: float = 0.1
    iterations: int = 60
    learning_rate: float = 0.05
    suspected: int | None = None

    def __post_init__(self) -> None:
        checks.fields(self, ("weight", "learning_rate"), checks.above, 0)
        checks.settings(self, iterations=checks.whole("iterations", self.iterations, 1))
        if self.suspected is not None:
            checks.settings(self, suspected=checks.whole("suspected", self.suspected, 0))

    def _repaired(self, bench: Bench, clean: Any, seed: int) -> nn.Module:
        """Clamped for sequences of as many steps as the samples have."""
        clamped = bench.copied()
        found = _learnt(self, bench, _drawn(bench, clean, seed))
        for layer, bounds in zip(clamped.view.hidden, found, strict=True):
            clamped.view.guard(layer, "bound", bounds)
        if self.suspected is None:
            return clamped.net
        whole = Whole(bench.net).eval() if isinstance(bench.net, nn.Sequential) else bench.net
        guards.answer_again(whole, clamped.net, self.suspected)
        return whole

    def bounds(
        self,
        net: nn.Module,
        clean_samples: Any,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> list[Tensor]:
        """The learnt bounds of each hidden layer's currents, [T, C]."""
        bench, clean = self._bench(net, clean_samples, device, steps)
        return _learnt(self, bench, _drawn(bench, clean, seed))


def _drawn(bench: Bench, clean: Any, seed: int) -> Tensor:
    """At most 256 samples, as a sequence."""
    rows = np.random.default_rng(seed).permutation(len(clean))[:256]
    return bench.sequence(clean.batch(rows)[0])


def _learnt(clamps: PotentialClamps, bench: Bench, sequence: Tensor) -> list[Tensor]:
    bench = bench.copied()
    bench.net.requires_grad_(False)
    start = largest_currents(bench.net, sequence)
    with torch.no_grad():
        wanted = _mean_potential(bench, sequence)
    shares = [torch.ones_like(largest, requires_grad=True) for largest in start]
    optimizer = torch.optim.Adam(shares, lr=clamps.learning_rate)
    for _ in range(clamps.iterations):
        bounds = [share * first for share, first in zip(shares, start, strict=True)]
        with bench.view.bounded(bounds):
            potential = _mean_potential(bench, sequence)
        size = torch.stack([share.abs().mean() for share in shares]).mean()
        loss = (potential - wanted).square().mean() + clamps.weight * size
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
    return [share.detach() * first for share, first in zip(shares, start, strict=True)]


def _mean_potential(bench: Bench, sequence: Tensor) -> Tensor:
    return bench.view.potentials(sequence)[1].mean(dim=0)


@torch.no_grad()
def largest_currents(net: nn.Module, sequence: Tensor) -> list[Tensor]:
    """Largest current over samples and places, at least a little above 0, of each hidden layer.

    Args:
        net: in evaluation mode.
        sequence: [T, B, C, H, W].

    Returns:
        [T, C] for each hidden layer.
    """
    view = View(net, sequence)
    with view.read(view.hidden, "current") as seen:
        view(sequence)
    return [current.transpose(1, 2).flatten(2).amax(dim=2).clamp_min(1e-3) for current in seen]
