"""Layers without neurons, over sequences [T, B, ...]."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Folded", "Gain", "PoissonCode", "Residual", "Scaled", "SharedDropout"]


class Folded(nn.Sequential):
    """Stateless layers over a sequence [T, B, ...]: time is folded into the batch.

    If all time steps are one tensor (a static image repeated by ``expand``) the layers run once
    and the result is repeated in the same way, without a copy.
    """

    def forward(self, sequence: Tensor) -> Tensor:
        steps, batch = sequence.shape[:2]
        if steps > 1 and sequence.stride(0) == 0:
            once = self._run(sequence[0])
            return once.expand(steps, *once.shape)
        out = self._run(sequence.flatten(0, 1))
        return out.reshape(steps, batch, *out.shape[1:])

    def _run(self, frames: Tensor) -> Tensor:
        for layer in self:
            frames = layer(frames)
        return frames


class SharedDropout(nn.Module):
    """Dropout over [T, B, ...] that drops the same units in all time steps of a sample."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, sequence: Tensor) -> Tensor:
        if not self.training:
            return sequence
        return sequence * functional.dropout(torch.ones_like(sequence[0]), self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class PoissonCode(nn.Module):
    """Rate coding of images: in each step a pixel of value p spikes with probability p.

    While training, spikes are drawn from torch's global generator. In evaluation mode those of a
    sample are drawn from a seed that its values give, so that a network answers a sample alike
    each time, whatever else is in the batch. The gradient is that of the expected spike, 1, for an
    input that asks for one.
    """

    def forward(self, sequence: Tensor) -> Tensor:
        """Spikes 0 or 1 for values [T, B, C, H, W].

        Raises:
            ValueError: values outside 0..1.
        """
        low, high = (float(value) for value in sequence.detach().aminmax())
        if not (low >= 0 and high <= 1):
            raise ValueError(f"values in {low:.4g}..{high:.4g} are no rates: allowed is 0..1")
        if self.training:
            draw = torch.rand(sequence.shape, device=sequence.device)
        else:
            draw = _drawn(sequence.detach())
        spikes = (draw < sequence).to(sequence.dtype)
        return spikes + (sequence - sequence.detach()) if sequence.requires_grad else spikes


def _drawn(sequence: Tensor) -> Tensor:
    """Uniform numbers [T, B, ...], each sample's from a seed that its values give."""
    draws = []
    for sample in sequence.float().cpu().unbind(dim=1):
        seed = zlib.crc32(sample.contiguous().numpy().tobytes())
        generator = torch.Generator().manual_seed(seed)
        draws.append(torch.rand(sample.shape, generator=generator))
    return torch.stack(draws, dim=1).to(sequence.device)


class Scaled(nn.Module):
    """Event counts [T, B, C, H, W] over the greatest count of their sample, in 0..1."""

    def forward(self, sequence: Tensor) -> Tensor:
        most = sequence.amax(dim=(0, 2, 3, 4), keepdim=True)
        return sequence / torch.where(most > 0, most, 1)  # an empty sample stays empty


class Gain(nn.Module):
    """Its input times one number, 1 unless a conversion scales it: a shortcut without weights."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(()))
        self.bias = None

    def forward(self, sequence: Tensor) -> Tensor:
        return self.weight * sequence


class Residual(nn.Module):
    """neuron(body(x) + shortcut(x)), as in spiking ResNets with the neuron after the sum."""

    def __init__(self, body: nn.Sequential, shortcut: nn.Module, neuron: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.neuron = neuron

    def forward(self, sequence: Tensor) -> Tensor:
        out: Tensor = self.neuron(self.body(sequence) + self.shortcut(sequence))
        return out
