"""A network as a device with few bits holds it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor, nn

from snnbd_core.defenses.bench import Bench
from snnbd_core.deployment.change import Change, held
from snnbd_core.learning.rounding import Bits, check_bits, in_bits

__all__ = ["LowBits", "fixed_point"]


@dataclass(frozen=True, kw_only=True)
class LowBits(Change):
    """Weights, thresholds and decays rounded after training; the arithmetic stays float32.

    Args:
        weights: bits of each weight, see `snnbd_core.learning.rounded`.
        settings: bits of thresholds and decays, of synapses too, see `fixed_point`; None leaves
            them, and so do neurons that get others at inference.

    Raises:
        NotVisible: when applied with `settings`, neurons that hold no tensor of one, as snnTorch's
            Lapicque of its decay.
    """

    again: ClassVar[bool] = True

    weights: Bits = 8
    settings: Bits | None = 8

    @torch.no_grad()
    def _repaired(self, bench: Bench) -> nn.Module:
        with in_bits(bench.net, self.weights):
            pass
        for what in ("threshold", "decay") if self.settings is not None else ():
            for values in chain.from_iterable(held(bench, what)):
                code, step = fixed_point(values, self.settings or 1)
                values.copy_(code * step)
        return bench.net


def fixed_point(values: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Numbers from 0 on as whole codes of so many bits, and the step they count.

    The step is a power of two, the least that lets the largest value in: 1.0 in 8 bits is the code
    128 of the step 1/128. No number above 0 becomes 0.

    Args:
        values: of any shape, 0 or above.
        bits: 1 to 16.

    Returns:
        codes, int32 of the same shape, and the step, a number in a tensor.

    Raises:
        ValueError: another number of bits.
    """
    bits = check_bits("bits", bits)
    _, exponent = torch.frexp(values.max())
    step = torch.ldexp(torch.ones_like(values.max()), exponent - bits)
    codes = (values / step).round().clamp(max=2**bits - 1)
    return torch.maximum(codes, values > 0).int(), step
