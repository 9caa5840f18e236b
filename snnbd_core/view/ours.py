"""The neurons of this library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.neurons import LIF
from snnbd_core.view.adapter import Adapter, Settings, Value

__all__ = ["Ours", "Rectified"]


class Ours(Adapter):
    """`LIF`, `IF` and `ParametricLIF`: all steps at once, no state between calls."""

    library = "snnbd_core"

    def claims(self, module: nn.Module) -> bool:
        return isinstance(module, LIF)

    def axes(self, module: nn.Module) -> str:
        return "time"

    def decays(self, module: nn.Module) -> tuple[str, ...]:
        return ("beta", "alpha") if hasattr(module, "alpha") else ("beta",)

    def recording(self, module: Any) -> dict[str, Any]:
        forward = module.forward

        def recording(current: Tensor, return_potential: bool = False) -> Any:
            spikes, module.__dict__["_potential"] = forward(current, return_potential=True)
            if torch.is_grad_enabled() and not return_potential:
                return forward(current)  # spikes and potential get their gradients apart
            return (spikes, module._potential) if return_potential else spikes

        return {"forward": recording, "_potential": None}

    def potential(self, module: Any, output: Any) -> Tensor:
        """Before the reset, with the rule "snntorch" as the neurons have it. Has a gradient."""
        return module._potential

    def settings(self, module: Any) -> Settings:
        threshold, decay = module.in_force()
        return Settings(threshold, decay, module.rule.reset)

    @contextmanager
    def overridden(
        self, module: Any, threshold: Value | None, decay: Value | None
    ) -> Iterator[None]:
        values = {"threshold": threshold, "beta": decay}
        given = {name: torch.as_tensor(v) for name, v in values.items() if v is not None}
        with module.overridden(given):
            yield


class Rectified(Adapter):
    """ReLU of an ANN, and what is derived from it: activations stand for rates."""

    library = "torch"
    spikes = False

    def claims(self, module: nn.Module) -> bool:
        return isinstance(module, nn.ReLU | nn.ReLU6)
