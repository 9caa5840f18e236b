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
    """LIF with a synapse, a potential to reset to, several spikes a step, or connections within.

        i[t] = alpha i[t-1] + gain (x[t] + feedback(s[t-1]))
        u[t] = beta v[t-1] + i[t],   s[t] = u[t] > threshold

    and then v[t] = after where it spiked ("zero"), u[t] - (threshold - after) s[t] ("subtract"), or
    s[t] = floor(u[t] / threshold) spikes, subtracted, and for neurons without leak no potential
    below -threshold ("multispike", as sinabs runs a NIR file).

    Args:
        beta, threshold: as of LIF.
        reset: one of `RESETS`.
        update: "nir" as above; "snntorch" subtracts in the next step; "spikingjelly" spikes at the
            threshold too.
        gain: what the current is multiplied with.
        after: potential after a spike.
        alpha: share of the synapse's current that is left after a step.
        feedback: a module over [1, B, ...]: what the spikes of the last step add to the current.
    """

    gain: Tensor
    after: Tensor
    alpha: Tensor

    def __init__(
        self,
        beta: Tensor,
        threshold: Tensor,
        *,
        reset: str,
        update: str,
        gain: Tensor,
        after: Tensor,
        alpha: Tensor,
        feedback: nn.Module | None = None,
    ) -> None:
        multiple = reset == "multispike"
        same_step = "spikingjelly" if update == "spikingjelly" else "snntorch"
        super().__init__(beta, threshold, reset="subtract" if multiple else reset, update=same_step)
        self.multiple, self.update = multiple, update
        self.register_buffer("gain", gain)
        self.register_buffer("after", after)
        self.register_buffer("alpha", alpha)
        self.feedback = feedback

    def _step(self, current: Tensor, beta: Tensor, threshold: Tensor, potential: bool) -> Any:
        """Spikes, and the potential u before the reset, of [T, B, ...] each."""
        subtracts = self.rule.reset == "subtract"
        late = subtracts and self.update == "snntorch"
        synapse = v = held = torch.zeros_like(current[0])
        spikes: list[Tensor] = []
        potentials: list[Tensor] = []
        for x in current:
            if self.feedback is not None:
                x = x + self.feedback((spikes[-1] if spikes else held).unsqueeze(0))[0]
            synapse = self.alpha * synapse + self.gain * x
            u = beta * v + synapse
            if late:
                u = u - held * threshold
            spikes.append(self._fired(u, threshold))
            potentials.append(u)
            held = spikes[-1].detach()
            if late:
                v = u
            elif subtracts:
                v = u - held * (threshold - self.after)
            else:
                v = (1 - held) * u + held * self.after
            if self.multiple:
                v = torch.where(beta == 1, torch.maximum(v, -threshold), v)
        return torch.stack(spikes), torch.stack(potentials)

    def _fired(self, u: Tensor, threshold: Tensor) -> Tensor:
        if self.multiple:
            count = (u / threshold).relu()
            return count + (count.floor() - count).detach()  # gradient of the count
        at_threshold = self.update == "spikingjelly"
        return spike(u - threshold, self.rule.surrogate, self.rule.slope, at_threshold=at_threshold)


class Integrator(nn.Module):
    """Neurons that do not spike: v[t] = beta v[t-1] + gain x[t], given out from `rest` on.

    Args:
        beta: share of the potential that is left after a step; 1 for NIR's I.
        gain: what the current is multiplied with.
        rest: potential without input.
    """

    beta: Tensor
    gain: Tensor
    rest: Tensor

    def __init__(self, beta: Tensor, gain: Tensor, rest: Tensor) -> None:
        super().__init__()
        self.register_buffer("beta", beta)
        self.register_buffer("gain", gain)
        self.register_buffer("rest", rest)

    def forward(self, sequence: Tensor) -> Tensor:
        """Potentials [T, B, ...] for a current [T, B, ...]."""
        never, rule = torch.ones(()), kernels.Rule(reset="none")
        _, potential = kernels.step(
            self.gain * sequence, self.beta, never, rule, return_potential=True
        )
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
