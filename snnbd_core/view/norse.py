"""norse: LIFCell, LIFBoxCell, IAFCell, one call a step, and LIF, IAF over all steps.

A call gives (spikes, state), and settings are a named tuple `p`. The potential is that after the
reset. Nothing is stored in the module: a network that gives no state to the first step starts anew.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.view.adapter import Adapter, Settings, Value, like

__all__ = ["Norse"]

_MODULES = "norse.torch.module."


class Norse(Adapter):
    """Neurons of norse 1.0 and 1.1."""

    library = "norse"
    packages = tuple(_MODULES + name for name in ("lif", "iaf", "lsnn", "izhikevich", "coba"))
    kinds = frozenset({"LIFCell", "LIFBoxCell", "IAFCell", "LIF", "IAF"})
    silent = frozenset({"Lift"})

    def axes(self, module: nn.Module) -> str:
        return "step" if str(self._kind(module)).endswith("Cell") else "time"

    def recording(self, module: Any) -> dict[str, Any]:
        forward, activation = module.forward, module.activation

        def stepping(*inputs: Any) -> Any:
            spikes, state = activation(*inputs)
            module._potentials.append(state.v)
            return spikes, state

        def recording(*inputs: Any) -> Any:
            module._potentials.clear()
            return forward(*inputs)

        return {"forward": recording, "activation": stepping, "_potentials": []}

    def potential(self, module: Any, output: Any) -> Tensor:
        found = module._potentials
        return found[0] if self.axes(module) == "step" else torch.stack(found)

    def settings(self, module: Any) -> Settings:
        return Settings(torch.as_tensor(module.p.v_th), self._decay(module), "zero")

    def scales(self, module: Any) -> bool:
        rest = (module.p.v_reset, getattr(module.p, "v_leak", 0.0))
        return not any(bool(torch.as_tensor(value).any()) for value in rest)

    def with_threshold(self, module: Any, threshold: Value) -> dict[str, Any]:
        return {"p": module.p._replace(v_th=like(threshold, torch.as_tensor(module.p.v_th)))}

    def with_decay(self, module: Any, decay: Value) -> dict[str, Any]:
        if not hasattr(module.p, "tau_mem_inv"):
            raise self.blind(module, "a decay", "needed is LIF, LIFCell or LIFBoxCell")
        speed = (1 - like(decay, self._decay(module))) / module.dt
        return {"p": module.p._replace(tau_mem_inv=speed)}

    def _decay(self, module: Any) -> Tensor:
        """The potential moves by dt / tau of the way to its rest."""
        speed = getattr(module.p, "tau_mem_inv", 0.0)
        return torch.as_tensor(1 - module.dt * speed)
