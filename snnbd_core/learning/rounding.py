"""Weights in few bits: how they are rounded, and training with the rounding in mind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from snnbd_core import checks
from snnbd_core.checks import Checked
from snnbd_core.guards import Guard
from snnbd_core.learning.task import Rule, Task, Trained

__all__ = ["Bits", "RoundingAware", "check_bits", "in_bits", "parametrized", "rounded"]


def check_bits(name: str, given: Any) -> int:
    """The value as an int; ValueError unless it is a whole number from 1 to 16."""
    return int(
        checks.number(name, checks.whole(name, given, 1), lambda x: x <= 16, "of bits, 1..16")
    )


Bits = Annotated[int, check_bits]
"""How many bits a number has, 1 to 16."""


def rounded(weight: Tensor, bits: int) -> Tensor:
    """A weight as so many bits hold it, symmetric in each output channel, the first axis.

    With n = 2^(bits - 1) - 1 a channel has the values -n..n times its step, the largest |w| over n.
    One bit is the sign times the mean of |w|. A batch norm that is folded into the weights scales
    whole channels, so it changes nothing. Gradients pass straight through.

    Args:
        weight: [out, ...], float32.
        bits: 1 to 16.

    Raises:
        ValueError: another number of bits.
    """
    bits = check_bits("bits", bits)
    sizes = weight.detach().flatten(1).abs()
    if bits == 1:
        mean = sizes.mean(dim=1).reshape(-1, *[1] * (weight.dim() - 1))
        return weight + (torch.where(weight < 0, -mean, mean) - weight).detach()
    top = 2 ** (bits - 1) - 1
    step = sizes.amax(dim=1).clamp_min(torch.finfo(weight.dtype).tiny * top) / top
    zero = torch.zeros_like(step, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, step, zero, 0, -top, top)


class Rounding(nn.Module):
    """`rounded` as a parametrization."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, weight: Tensor) -> Tensor:
        return rounded(weight, self.bits)

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


@contextmanager
def parametrized(net: nn.Module, kind: Callable[[Tensor], nn.Module]) -> Iterator[None]:
    """A block in which a network runs on what `kind(weight)` makes of each weight.

    Afterwards that is its own weight. Weights are those with at least two axes, guards are none.
    """
    found = [
        (module, name)
        for module in net.modules()
        for name, weight in module.named_parameters(recurse=False)
        if weight.dim() > 1 and Guard.named(name) is None
    ]
    with ExitStack() as after:
        for module, name in found:
            part = kind(getattr(module, name).detach())
            parametrize.register_parametrization(module, name, part)
            after.callback(parametrize.remove_parametrizations, module, name)
        yield


def in_bits(net: nn.Module, bits: int) -> AbstractContextManager[None]:
    """A block in which a network runs on rounded weights and trains what they are rounded from."""
    return parametrized(net, lambda weight: Rounding(bits))


@dataclass(frozen=True, kw_only=True)
class RoundingAware(Checked, Rule):
    """Surrogate gradients with the rounding in mind: weights are rounded in each forward pass.

    The straight-through estimator passes gradients on to weights in full precision; the network
    that comes out has the rounded ones.

    Args:
        bits: of all weights, see `rounded`.
    """

    bits: Bits = 4

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set."""
        net = task.build()
        with in_bits(net, self.bits):
            done = task.fitted(net)
        return done
