"""Bits of neuron settings that are flipped in a device's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from snnbd_core.checks import Count, Natural
from snnbd_core.defenses.bench import Bench
from snnbd_core.deployment.change import Change, held
from snnbd_core.deployment.low_bits import fixed_point

__all__ = ["BitFlips", "flipped"]

_LENGTHS = {"float32": 32, "fixed8": 8}


@dataclass(frozen=True, kw_only=True)
class BitFlips(Change):
    """One bit of the threshold, or decay, of each of some spiking layers is flipped.

    A threshold may become 0, negative or infinite, as it would in a device.

    Args:
        what: "threshold" or "decay", which is the potential's.
        bit: which one, 0 being the lowest.
        number: "float32", or "fixed8" as `fixed_point` writes it in 8 bits.
        layers: so many spiking layers, from the network's first on; None is all.

    Raises:
        ValueError: a bit that the number does not have; when applied, more layers than there are.
        NotVisible: when applied, neurons that hold no tensor of it, as snnTorch's Lapicque of its
            decay.
    """

    what: Literal["threshold", "decay"] = "threshold"
    bit: Natural = 21
    number: Literal["float32", "fixed8"] = "float32"
    layers: Count | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bit >= _LENGTHS[self.number]:
            allowed = f"0..{_LENGTHS[self.number] - 1}"
            raise ValueError(f"bit={self.bit} is none of {self.number}: allowed is {allowed}")

    def _repaired(self, bench: Bench) -> nn.Module:
        found = list(held(bench, self.what))
        if self.layers is not None and self.layers > len(found):
            raise ValueError(f"layers={self.layers}: the network has {len(found)} spiking layers")
        for values, *_ in found[: self.layers]:
            values.copy_(flipped(values.float(), self.bit, self.number))
        return bench.net


def flipped(values: Tensor, bit: int, number: str = "float32") -> Tensor:
    """Values with one bit flipped in each, see `BitFlips`; float32, all above 0."""
    if number == "float32":
        bits = torch.tensor(1 << bit if bit < 31 else -(2**31), dtype=torch.int32)
        return (values.view(torch.int32) ^ bits.to(values.device)).view(torch.float32)
    code, step = fixed_point(values, _LENGTHS[number])
    return (code ^ (1 << bit)) * step
