"""sinabs: LIF and IAF over [B, T, ...], their Squeeze variants over [B * T, ...].

Neurons may spike several times in a step. The potential is that after the reset. State and
settings are buffers `v_mem`, `i_syn` and parameters `spike_threshold`, `tau_mem`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.view.adapter import Adapter, Settings, Value, emptied, like

__all__ = ["Sinabs"]

STATES = ("v_mem", "i_syn", "b")


class Sinabs(Adapter):
    """Neurons of sinabs 2 and 3."""

    library = "sinabs"
    packages = tuple(f"sinabs.layers.{name}" for name in ("lif", "iaf", "alif", "exp_leak"))
    kinds = frozenset({"LIF", "LIFSqueeze", "LIFRecurrent", "IAF", "IAFSqueeze", "IAFRecurrent"})
    silent = frozenset({"ExpLeak", "ExpLeakSqueeze"})

    def claims(self, module: Any) -> bool:
        return super().claims(module) and module.spike_fn is not None

    def stateful(self, kind: type) -> bool:
        return any(base.__name__ == "StatefulLayer" for base in kind.__mro__)

    def axes(self, module: Any) -> str:
        if not str(self._kind(module)).endswith("Squeeze"):
            return "batch"
        if module.batch_size != -1 or module.num_timesteps == -1:
            rows = "which rows are steps of one sample in a batch of any size"
            needed = f"needed is num_timesteps=T alone, not batch_size={module.batch_size}"
            raise self.blind(module, rows, needed)
        return "folded-batch"

    def recording(self, module: Any) -> dict[str, Any]:
        return {"record_states": True}

    def potential(self, module: Any, output: Any) -> Tensor:
        potential = module.recordings["v_mem"]
        return potential if self.axes(module) == "batch" else potential.flatten(0, 1)

    def settings(self, module: Any) -> Settings:
        reset = "zero" if hasattr(module.reset_fn, "reset_value") else "subtract"
        return Settings(module.spike_threshold, module.alpha_mem_calculated, reset)

    def scales(self, module: Any) -> bool:
        rest = (getattr(module.reset_fn, name, None) for name in ("reset_value", "subtract_value"))
        return not any(rest) and module.min_v_mem is None and not hasattr(module, "rec_connect")

    def with_threshold(self, module: Any, threshold: Value) -> dict[str, Any]:
        return {"spike_threshold": like(threshold, module.spike_threshold)}

    def with_decay(self, module: Any, decay: Value) -> dict[str, Any]:
        if "IAF" in str(self._kind(module)):
            raise self.blind(module, "a decay", "needed is LIF")
        share = like(decay, module.alpha_mem_calculated)
        return {"alpha_mem": share} if module.train_alphas else {"tau_mem": -1 / torch.log(share)}

    def reset(self, module: nn.Module) -> None:
        emptied(module, *STATES)
