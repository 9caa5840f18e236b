"""NDSBM (RAID 2025): clamps on membrane currents that leave clean potentials as they were."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.defenses.channels import check_clean, hidden
from snnbd_core.defenses.detectors.features import readout
from snnbd_core.learning import as_sequence
from snnbd_core.metrics import decide
from snnbd_core.neurons import spiking_layers


class Clamp:
    """A forward hook that cuts each channel's current at an upper bound of its own, [T, C]."""

    def __init__(self, bounds: Tensor) -> None:
        self.bounds = bounds

    def __call__(self, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        current = inputs[0]
        steps, channels = self.bounds.shape
        bounds = self.bounds.reshape(steps, 1, channels, *[1] * (current.dim() - 3))
        return (torch.minimum(current, bounds.to(current)), *inputs[1:])


class Corrected(nn.Module):
    """The network, but where it answers the suspected class a clamped copy answers again."""

    def __init__(self, net: nn.Module, clamped: nn.Module, suspected: int | None) -> None:
        super().__init__()
        self.net = net
        self.clamped = clamped
        self.suspected = suspected

    def forward(self, sequence: Tensor) -> Tensor:
        logits: Tensor = self.net(sequence)
        if self.suspected is None:
            return logits
        again = (decide(logits) == self.suspected)[:, None]
        return torch.where(again, self.clamped(sequence), logits)


@dataclass(frozen=True, kw_only=True)
class PotentialClamps:
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
        ValueError: for any argument outside what is said above; a network without spiking layers.
    """

    data_free: ClassVar[bool] = False

    weight: float = 0.1
    iterations: int = 60
    learning_rate: float = 0.05
    suspected: int | None = None

    def __post_init__(self) -> None:
        checks.above("weight", self.weight, 0)
        checks.whole("iterations", self.iterations, 1)
        checks.above("learning_rate", self.learning_rate, 0)
        if self.suspected is not None:
            checks.whole("suspected", self.suspected, 0)

    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A clamped copy of the network."""
        check_clean(net, clean_samples)
        if not spiking_layers(net):
            raise ValueError(f"net={type(net).__name__} has no spiking layer: it has no potentials")
        out = copy.deepcopy(net).to(device).eval().requires_grad_(False)
        found = self.bounds(out, clean_samples, seed=seed, device=device, steps=steps)
        clamped = copy.deepcopy(out)
        for layer, bounds in zip(hidden(clamped), found, strict=True):
            layer.register_forward_pre_hook(Clamp(bounds))
        return clamped if self.suspected is None else Corrected(out, clamped, self.suspected)

    def bounds(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> list[Tensor]:
        """The learnt bounds of each hidden layer's currents, [T, C]."""
        rows = np.random.default_rng(seed).permutation(len(clean_samples))[:256]
        sequence = as_sequence(clean_samples.batch(rows)[0].to(device), steps)
        out = copy.deepcopy(net).to(device).eval().requires_grad_(False)
        return self._learnt(out, sequence)

    def _learnt(self, net: nn.Module, sequence: Tensor) -> list[Tensor]:
        start = largest_currents(net, sequence)
        with torch.no_grad():
            _, wanted = readout(net, sequence)
        shares = [torch.ones_like(one, requires_grad=True) for one in start]
        optimizer = torch.optim.Adam(shares, lr=self.learning_rate)
        for _ in range(self.iterations):
            bounds = [share * first for share, first in zip(shares, start, strict=True)]
            with _clamped(net, bounds):
                _, potential = readout(net, sequence)
            size = torch.stack([share.abs().mean() for share in shares]).mean()
            loss = (potential - wanted).square().mean() + self.weight * size
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
        return [(s.detach() * first) for s, first in zip(shares, start, strict=True)]


@torch.no_grad()
def largest_currents(net: nn.Module, sequence: Tensor) -> list[Tensor]:
    """Largest current over samples and places, at least a little above 0, of each hidden layer.

    Args:
        net: in evaluation mode.
        sequence: [T, B, C, H, W].

    Returns:
        [T, C] for each hidden layer.
    """
    with _currents(net) as seen:
        net(sequence)
    return [one.transpose(1, 2).flatten(2).amax(dim=2).clamp_min(1e-3) for one in seen]


@contextmanager
def _currents(net: nn.Module) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for layer in hidden(net)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _clamped(net: nn.Module, bounds: list[Tensor]) -> Iterator[None]:
    hooks = [
        layer.register_forward_pre_hook(Clamp(one))
        for layer, one in zip(hidden(net), bounds, strict=True)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
