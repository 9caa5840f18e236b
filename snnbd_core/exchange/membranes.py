"""Neurons that a NIR file can hold beyond `snnbd_core.neurons`; all run over [T, B, ...]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core import kernels
from snnbd_core.kernels.surrogates import spike
from snnbd_core.neurons import LIF

__all__ = ["RESETS", "UPDATES", "Integrator", "Step", "SynapticLIF"]

RESETS = ("zero", "subtract", "multispike")
UPDATES = ("nir", "snntorch", "spikingjelly")


class SynapticLIF(LIF):
    """LIF with a synapse, another potential after a spike, several spikes, or recurrent edges.

        i[t] = alpha i[t-1] + gain (x[t] + feedback(s[t-1]))
        u[t] = beta v[t-1] + i[t],   s[t] = u[t] > threshold

    and then v[t] = after where it spiked ("zero"), u[t] - (threshold - after) s[t] ("subtract"), or
    s[t] = floor(u[t] / threshold) spikes, subtracted, and without a leak no potential below
    -threshold ("multispike", as sinabs runs a NIR file). The potential shown is u.

    Args:
        beta, threshold: as of LIF.
        gain, after, alpha: as above, one for all neurons or one for each.
        reset: one of `RESETS`.
        update: "nir" as above; "snntorch" subtracts in the next step; "spikingjelly" spikes at the
            threshold too.
        feedback: a module over [1, B, ...].
    """

    gain: Tensor
    after: Tensor
    alpha: Tensor

    def __init__(
        self,
        beta: Tensor,
        threshold: Tensor,
        gain: Tensor,
        after: Tensor,
        alpha: Tensor,
        *,
        reset: str,
        update: str,
        feedback: nn.Module | None = None,
    ) -> None:
        super().__init__(beta, threshold, reset="zero" if reset == "zero" else "subtract")
        self.multiple, self.update, self.feedback = reset == "multispike", update, feedback
        for name, values in (("gain", gain), ("after", after), ("alpha", alpha)):
            self.register_buffer(name, values)

    def _step(self, current: Tensor, beta: Tensor, threshold: Tensor, potential: bool) -> Any:
        subtracts = self.rule.reset == "subtract"
        late = subtracts and self.update == "snntorch"
        if self.multiple and not late and self.feedback is None and not bool(self.alpha.any()):
            from snnbd_core.exchange import several  # brings numba

            settings = beta, threshold, self.gain, self.after
            if several.fits(current, *settings):
                return several.step(current, *settings)
        synapse = v = fired = held = torch.zeros_like(current[0])
        seen: list[tuple[Tensor, Tensor]] = []
        for x in current:
            if self.feedback is not None:
                x = x + self.feedback(fired.unsqueeze(0))[0]
            synapse = self.alpha * synapse + self.gain * x
            u = beta * v + synapse - held * threshold if late else beta * v + synapse
            fired = self._fired(u, threshold)
            held = fired.detach()
            after = u - held * (threshold - self.after) if subtracts else held * self.after
            v = u if late else after if subtracts else (1 - held) * u + after
            if self.multiple:
                v = torch.where(beta < 1, v, torch.maximum(v, -threshold))
            seen.append((fired, u))
        return tuple(map(torch.stack, zip(*seen, strict=True)))

    def _fired(self, u: Tensor, threshold: Tensor) -> Tensor:
        if self.multiple:
            count = (u / threshold).relu()
            return count + (count.floor() - count).detach()  # with the gradient of the ratio
        at_threshold = self.update == "spikingjelly"
        return spike(u - threshold, self.rule.surrogate, self.rule.slope, at_threshold=at_threshold)


class Integrator(nn.Module):
    """Neurons that do not spike: v[t] = beta v[t-1] + gain x[t]; they give v[t] + rest."""

    beta: Tensor
    gain: Tensor
    rest: Tensor

    def __init__(self, beta: Tensor, gain: Tensor, rest: Tensor) -> None:
        super().__init__()
        for name, values in (("beta", beta), ("gain", gain), ("rest", rest)):
            self.register_buffer(name, values)

    def forward(self, sequence: Tensor) -> Tensor:
        """Potentials [T, B, ...] for a current [T, B, ...]."""
        never, rule = torch.ones(()), kernels.Rule(reset="none")
        _, potential = kernels.step(self.gain * sequence, self.beta, never, rule)
        assert potential is not None
        return potential + self.rest


class Step(nn.Module):
    """1 where a value is above its threshold, 0 elsewhere; no neuron, as it keeps nothing."""

    threshold: Tensor

    def __init__(self, threshold: Tensor) -> None:
        super().__init__()
        self.register_buffer("threshold", threshold)

    def forward(self, sequence: Tensor) -> Tensor:
        return spike(sequence - self.threshold, "atan", 2.0)
