"""norse: LIFCell, LIFBoxCell, IAFCell, one call a step, and LIF, IAF over all steps.

A call gives (spikes, state), and settings are a named tuple `p`. The potential is that after the
reset. Nothing is kept in the module: a network that gives no state to the first step starts anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.view.adapter import Adapter, Settings, Value, like, shadowed

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

    @contextmanager
    def potentials(self, module: Any) -> Iterator[None]:
        forward, activation = module.forward, module.activation

        def stepping(*inputs: Any) -> Any:
            spikes, state = activation(*inputs)
            module._potentials.append(state.v)
            return spikes, state

        def recording(*inputs: Any) -> Any:
            module._potentials.clear()
            return forward(*inputs)

        with shadowed(module, forward=recording, activation=stepping, _potentials=[]):
            yield

    def potential(self, module: Any, current: Tensor, output: Any) -> Tensor:
        if self.axes(module) == "step":
            potential: Tensor = module._potentials[0]
            return potential
        return torch.stack(module._potentials)

    def settings(self, module: Any) -> Settings:
        return Settings(torch.as_tensor(module.p.v_th), self._decay(module), "zero")

    def scales(self, module: Any) -> bool:
        rest = (module.p.v_reset, getattr(module.p, "v_leak", 0.0))
        return not any(bool(torch.as_tensor(value).any()) for value in rest)

    @contextmanager
    def overridden(
        self, module: Any, threshold: Value | None, decay: Value | None
    ) -> Iterator[None]:
        values = {}
        if threshold is not None:
            values["v_th"] = like(threshold, torch.as_tensor(module.p.v_th))
        if decay is not None:
            if not hasattr(module.p, "tau_mem_inv"):
                raise self.blind(module, "a decay", "needed is LIF, LIFCell or LIFBoxCell")
            values["tau_mem_inv"] = (1 - like(decay, self._decay(module))) / module.dt
        with shadowed(module, p=module.p._replace(**values)):
            yield

    def _decay(self, module: Any) -> Tensor:
        """The potential moves by dt / tau of the way to its rest."""
        speed = getattr(module.p, "tau_mem_inv", 0.0)
        return torch.as_tensor(1 - module.dt * speed)
