"""sinabs: LIF and IAF over [B, T, ...], their Squeeze variants over [B * T, ...].

Neurons may spike several times in a step. The potential is that after the reset. State and
settings are buffers `v_mem`, `i_syn` and parameters `spike_threshold`, `tau_mem`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.view.adapter import Adapter, Settings, Value, emptied, like, shadowed

__all__ = ["Sinabs"]

STATES = ("v_mem", "i_syn", "b")


class Sinabs(Adapter):
    """Neurons of sinabs 2 and 3."""

    library = "sinabs"
    packages = (
        "sinabs.layers.lif",
        "sinabs.layers.iaf",
        "sinabs.layers.alif",
        "sinabs.layers.exp_leak",
    )
    kinds = frozenset({"LIF", "LIFSqueeze", "LIFRecurrent", "IAF", "IAFSqueeze", "IAFRecurrent"})
    silent = frozenset({"ExpLeak", "ExpLeakSqueeze"})

    def claims(self, module: Any) -> bool:
        return super().claims(module) and module.spike_fn is not None

    def stateful(self, module: nn.Module) -> bool:
        return any(base.__name__ == "StatefulLayer" for base in type(module).__mro__)

    def axes(self, module: Any) -> str:
        if not str(self._kind(module)).endswith("Squeeze"):
            return "batch"
        if module.batch_size != -1 or module.num_timesteps == -1:
            raise self.blind(
                module,
                "which rows are steps of one sample in a batch of any size",
                f"needed is num_timesteps=T alone, not batch_size={module.batch_size}",
            )
        return "folded-batch"

    @contextmanager
    def potentials(self, module: Any) -> Iterator[None]:
        with shadowed(module, record_states=True):
            yield

    def potential(self, module: Any, current: Tensor, output: Any) -> Tensor:
        potential: Tensor = module.recordings["v_mem"]
        return potential if self.axes(module) == "batch" else potential.flatten(0, 1)

    def settings(self, module: Any) -> Settings:
        reset = "zero" if hasattr(module.reset_fn, "reset_value") else "subtract"
        return Settings(module.spike_threshold, module.alpha_mem_calculated, reset)

    def scales(self, module: Any) -> bool:
        rest = (getattr(module.reset_fn, name, None) for name in ("reset_value", "subtract_value"))
        return not any(rest) and module.min_v_mem is None and not hasattr(module, "rec_connect")

    @contextmanager
    def overridden(
        self, module: Any, threshold: Value | None, decay: Value | None
    ) -> Iterator[None]:
        values: dict[str, Any] = {}
        if threshold is not None:
            values["spike_threshold"] = like(threshold, module.spike_threshold)
        if decay is not None:
            share = like(decay, module.alpha_mem_calculated)
            if "IAF" in str(self._kind(module)):
                raise self.blind(module, "a decay", "needed is LIF")
            name = "alpha_mem" if module.train_alphas else "tau_mem"
            values[name] = share if module.train_alphas else -1 / torch.log(share)
        with shadowed(module, **values):
            yield

    def reset(self, module: nn.Module) -> None:
        emptied(module, *STATES)
