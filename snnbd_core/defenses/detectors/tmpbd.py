"""TMPBD (RAID 2025): how far can any input push one class's potential above the others'?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.defenses.detectors import patches
from snnbd_core.defenses.detectors.features import readout
from snnbd_core.defenses.detectors.frozen import as_network, frozen
from snnbd_core.defenses.detectors.verdict import Verdict
from snnbd_core.learning import as_sequence
from snnbd_core.networks import VOTERS
from snnbd_core.neurons import spiking_layers


@dataclass(frozen=True, kw_only=True)
class PotentialMargins:
    """Data-free: for each class the largest margin of its read-out potential, by gradient ascent.

    From random inputs the margin v_t - max over j != t of v_j is raised, v being the potential of
    the last layer, averaged over time and voting neurons. The largest margins r of all classes but
    the top one give a Gamma distribution F; p = 1 - F(r_max)^classes, and p < 0.05 is a backdoor.

    Args:
        inputs: random starts for each class, at least 1.
        iterations: of the ascent, at least 1.
        learning_rate: > 0, of SGD on inputs whose gradient has length 1. The paper's 1e-2 is for
            its own scale of potentials.
        high: largest value of an input, > 0: 10 for event counts as in the paper, 1 for images.
        frames: T of the random inputs for event networks, at least 1.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    data_free: ClassVar[bool] = True

    inputs: int = 4
    iterations: int = 60
    learning_rate: float = 1.0
    high: float = 10.0
    frames: int = 8

    def __post_init__(self) -> None:
        for name in ("inputs", "iterations", "frames"):
            checks.whole(name, getattr(self, name), 1)
        checks.above("learning_rate", self.learning_rate, 0)
        checks.above("high", self.high, 0)

    def inspect(
        self,
        net: nn.Module,
        clean_samples: Any = None,
        *,
        seed: int,
        device: torch.device,
        steps: int,
    ) -> Verdict:
        """Margins of all classes, and what they say; samples are not used.

        Raises:
            ValueError: a network without spiking layers, or whose potentials are not finite.
        """
        if not spiking_layers(net):
            raise ValueError(f"net={type(net).__name__} has no spiking layer: it has no potentials")
        with frozen(net, device):
            largest = self._largest(net, seed, device)
        if not np.isfinite(largest).all():
            raise ValueError(f"net={type(net).__name__}: margins={largest} are not all finite")
        target = int(np.argmax(largest))
        p = gamma_p_value(largest)
        return Verdict(p < 0.05, target, 1 - p, 0.95, p, tuple(largest))

    def _largest(self, net: nn.Module, seed: int, device: torch.device) -> list[float]:
        """The largest margin met on the way up, of each class; many classes climb in one batch."""
        known = as_network(net)
        shape = (self.inputs, self.frames, *known.input_shape)
        draws = [torch.Generator().manual_seed(1000 * seed + t) for t in range(known.classes)]
        found: list[float] = []
        for part in patches.groups(known.classes, torch.empty(shape, device="meta"), self.frames):
            inputs = torch.cat([torch.rand(shape, generator=draw) for draw in draws[part]])
            targets = torch.arange(part.start, part.stop).repeat_interleave(self.inputs)
            best = self._climbed(net, inputs.to(device), targets.to(device))
            found += best.reshape(-1, self.inputs).amax(dim=1).tolist()
        return found

    def _climbed(self, net: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """The largest margin that each input met on its way, [B]."""
        best = torch.full((len(targets),), -torch.inf, device=inputs.device)
        for _ in range(self.iterations):
            margin, inputs = ascended(net, inputs, targets, self.learning_rate, self.high)
            best = torch.maximum(best, margin)
        return best


def ascended(
    net: nn.Module, inputs: Tensor, target: int | Tensor, learning_rate: float, high: float
) -> tuple[Tensor, Tensor]:
    """The margins of inputs, and the inputs one step further up; both without gradients.

    Args:
        net: the network.
        inputs: [B, T, C, H, W].
        target: as for `margins`.
        learning_rate: length of the step of each input.
        high: values end up in 0..high.
    """
    point = inputs.detach().requires_grad_()
    margin = margins(net, as_sequence(point, 1), target)
    (slope,) = torch.autograd.grad(margin.sum(), point)
    length = slope.flatten(1).norm(dim=1).clamp_min(1e-12)
    step = slope / length.reshape(-1, 1, 1, 1, 1)
    return margin.detach(), (point.detach() + learning_rate * step).clamp(0, high)


def margins(net: nn.Module, sequence: Tensor, target: int | Tensor) -> Tensor:
    """v_target - max of the others' v for each input, [B], with gradients.

    Args:
        net: the network.
        sequence: [T, B, C, H, W].
        target: one class for all inputs, or [B], one for each.
    """
    _, potential = readout(net, sequence)
    pooled = potential.reshape(len(potential), -1, VOTERS).mean(dim=2)
    rows = torch.arange(len(pooled), device=pooled.device)
    others = pooled.clone()
    others[rows, target] = -torch.inf
    return pooled[rows, target] - others.max(dim=1).values


def gamma_p_value(values: list[float]) -> float:
    """p = 1 - F(max)^n, F the Gamma distribution fitted to all values but the largest."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    rest, largest = ordered[:-1], ordered[-1]
    shift = min(0.0, float(rest.min())) - 1e-9  # a Gamma distribution begins at 0
    shape, _, scale = stats.gamma.fit(rest - shift, floc=0)
    below = float(stats.gamma.cdf(largest - shift, shape, scale=scale))
    return float(1 - below ** len(ordered))
