"""Layers without neurons, over sequences [T, B, ...]."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


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

    While training, spikes are drawn from torch's global generator; in evaluation mode from a seed
    of their own, so that a network gives the same answer twice. The gradient is that of the
    expected spike, 1, for an input that asks for one.
    """

    def forward(self, sequence: Tensor) -> Tensor:
        """Spikes 0 or 1 for values [T, B, C, H, W].

        Raises:
            ValueError: values outside 0..1.
        """
        low, high = (float(one) for one in sequence.detach().aminmax())
        if not (low >= 0 and high <= 1):
            raise ValueError(f"values in {low:.4g}..{high:.4g} are no rates: allowed is 0..1")
        generator = None
        if not self.training:
            generator = torch.Generator(sequence.device).manual_seed(0)
        draw = torch.rand(sequence.shape, generator=generator, device=sequence.device)
        spikes = (draw < sequence).to(sequence.dtype)
        return spikes + (sequence - sequence.detach()) if sequence.requires_grad else spikes


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
