"""The discrete choices of a neuron, as one record that every kernel understands."""

from __future__ import annotations

import math
from dataclasses import dataclass

RESETS = ("subtract", "zero", "none")
UPDATES = ("snntorch", "spikingjelly")
SURROGATES = ("atan", "fast_sigmoid", "triangle")


@dataclass(frozen=True)
class Rule:
    """How a neuron is charged, fires and resets, and what its gradient is.

    Attributes:
        reset: what a spike does to the potential. ``"subtract"`` takes the threshold off (soft
            reset), ``"zero"`` sets it to 0 (hard reset), ``"none"`` leaves it.
        update: ``"snntorch"`` resets one step after the spike and fires for ``v > threshold``;
            ``"spikingjelly"`` charges, fires for ``v >= threshold`` and resets in the same step.
        surrogate: derivative that replaces that of the step function, see ``surrogates``.
        slope: steepness of the surrogate, per unit of potential.
        detach: True stops the gradient at the reset, as both papers' code does.
        decay_input: True scales the current by ``1 - beta`` (SpikingJelly's ``decay_input``).

    Raises:
        ValueError: an unknown name, or a slope that is not a positive number.
    """

    reset: str = "subtract"
    update: str = "snntorch"
    surrogate: str = "atan"
    slope: float = 2.0
    detach: bool = True
    decay_input: bool = False

    def __post_init__(self) -> None:
        for name, allowed in (("reset", RESETS), ("update", UPDATES), ("surrogate", SURROGATES)):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name}={value!r} is unknown; allowed: {', '.join(allowed)}")
        if not (self.slope > 0 and math.isfinite(self.slope)):
            raise ValueError(f"slope={self.slope!r} must be a finite number > 0")
