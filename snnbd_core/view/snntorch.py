"""snnTorch: Leaky, Synaptic, Lapicque, Alpha and their recurrent kin; one call a step.

Hidden or explicit, the neurons store their state as buffers `mem`, `syn` and so on. `mem` is the
potential after the step: before the reset of the same step with the default reset_delay=True (a
spike resets one step later), after it with reset_delay=False.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.view.adapter import Adapter, Settings, Value, emptied, like, named

__all__ = ["SnnTorch"]

STATES = ("mem", "syn", "spk", "syn_exc", "syn_inh")


class SnnTorch(Adapter):
    """Neurons of snnTorch 0.9 and 1.0."""

    library = "snntorch"
    packages = ("snntorch._neurons",)
    kinds = frozenset({"Leaky", "Synaptic", "Lapicque", "RLeaky", "RSynaptic", "Alpha"})
    silent = frozenset({"RecurrentOneToOne"})

    def stateful(self, kind: type) -> bool:
        return hasattr(kind, "reset_mem") and named(kind, self.packages) is not None

    def axes(self, module: nn.Module) -> str:
        return "step"

    def potential(self, module: Any, output: Any) -> Tensor:
        return output[-1] if isinstance(output, tuple) else module.mem

    def settings(self, module: Any) -> Settings:
        # the value that acts: a state dict changes it, and not the name beside it
        names = {value: name for name, value in module.reset_dict.items()}
        reset = names[int(module.reset_mechanism_val)]
        return Settings(module.threshold, self._decay(module), reset)

    def scales(self, module: nn.Module) -> bool:
        return self._kind(module) not in ("RLeaky", "RSynaptic", "Alpha")

    def with_threshold(self, module: Any, threshold: Value) -> dict[str, Any]:
        return {"threshold": like(threshold, module.threshold)}

    def with_decay(self, module: Any, decay: Value) -> dict[str, Any]:
        held = self._decay(module)
        if held is None:
            raise self.blind(module, "a decay", "needed is Leaky, Synaptic or Lapicque")
        value = like(decay, held)
        if self._kind(module) == "Lapicque":  # whose circuit decays by 1 - dt / (R C)
            return {"C": module.time_step / (module.R * (1 - value))}
        return {"beta": value}

    def decays(self, module: Any) -> tuple[str, ...]:
        kind = self._kind(module)
        if kind in ("Lapicque", "Alpha"):  # the circuit decays, and no potential of its own
            return ()
        return ("beta", "alpha") if kind in ("Synaptic", "RSynaptic") else ("beta",)

    def reset(self, module: nn.Module) -> None:
        emptied(module, *STATES)

    def _decay(self, module: Any) -> Tensor | None:
        kind = self._kind(module)
        if kind == "Lapicque":
            return torch.as_tensor(1 - module.time_step / (module.R * module.C))
        return None if kind == "Alpha" else module.beta.clamp(0, 1)
