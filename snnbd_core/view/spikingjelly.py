"""SpikingJelly: IFNode, LIFNode and ParametricLIFNode, in single-step or multi-step mode.

The potential is that after the reset: `v_seq` in multi-step mode, `v` in single-step mode.
Settings are one number for a layer; tau = 1 / (1 - decay).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.view.adapter import Adapter, Settings, Value, like

__all__ = ["SpikingJelly"]


class SpikingJelly(Adapter):
    """Neurons of SpikingJelly 0.0.0.14 to 2.0."""

    library = "spikingjelly"
    packages = ("spikingjelly.activation_based.neuron",)
    kinds = frozenset({"IFNode", "LIFNode", "ParametricLIFNode"})
    silent = frozenset(
        noise + kind
        for noise in ("", "Noisy")
        for kind in ("NonSpikingBaseNode", "NonSpikingIFNode", "NonSpikingLIFNode")
    )

    def stateful(self, kind: type) -> bool:
        """Also dropout, which stores its mask."""
        return any(base.__name__ == "MemoryModule" for base in kind.__mro__)

    def axes(self, module: Any) -> str:
        return "time" if module.step_mode == "m" else "step"

    @contextmanager
    def potentials(self, module: Any) -> Iterator[None]:
        before = module.store_v_seq
        module.store_v_seq = module.step_mode == "m"
        try:
            yield
        finally:
            module.store_v_seq = before

    def potential(self, module: Any, output: Any) -> Tensor:
        return module.v_seq if module.step_mode == "m" else module.v

    def settings(self, module: Any) -> Settings:
        reset = "subtract" if module.v_reset is None else "zero"
        return Settings(torch.as_tensor(module.v_threshold), self._decay(module), reset)

    def scales(self, module: Any) -> bool:
        return not module.v_reset

    def with_threshold(self, module: Any, threshold: Value) -> dict[str, Any]:
        return {"v_threshold": self._number(module, "threshold", threshold)}

    def with_decay(self, module: Any, decay: Value) -> dict[str, Any]:
        share = self._number(module, "decay", decay)
        if hasattr(module, "w"):  # sigmoid(w) = 1 - decay
            return {"w": torch.logit(like(1 - share, module.w))}
        if hasattr(module, "tau"):
            return {"tau": 1 / (1 - share) if share < 1 else float("inf")}
        raise self.blind(module, "a decay", "needed is LIFNode or ParametricLIFNode")

    def reset(self, module: Any) -> None:
        module.reset()

    def _decay(self, module: Any) -> Tensor:
        if hasattr(module, "w"):
            return torch.sigmoid(-module.w)
        return torch.tensor(1 - 1 / module.tau if hasattr(module, "tau") else 1.0)

    def _number(self, module: nn.Module, name: str, value: Value) -> float:
        if torch.as_tensor(value).numel() != 1:
            asked = f"a {name} of its own for each neuron or sample"
            raise self.blind(module, asked, "its settings are one number for a layer")
        return float(value)
