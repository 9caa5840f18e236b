"""What a repair puts on a layer for good: masks, bounds, factors, held with the network.

A guard is a buffer of the module that it changes, so that state_dict, deepcopy, torch.save and
safetensors carry it, and a hook that reads the buffer whenever the module runs.

========  ===========  =====================================================================
kind      values       what becomes of the module
========  ===========  =====================================================================
gate      [C]          its current is multiplied channel by channel; 0 silences
bound     [T, C]       its current is cut at an upper bound of each step and channel
factor    [...]        its thresholds are multiplied neuron by neuron
noise     [3]          its thresholds are multiplied by a number drawn in low..high for each
                       sample, anew at each run: (low, high, seed)
scale     []           its output is multiplied
========  ===========  =====================================================================

Where neurons know no threshold per neuron or sample, the current is divided instead: as the
potential starts from 0 and is reset to 0 or by the threshold, the spikes are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

KINDS = ("gate", "bound", "factor", "noise", "scale")
PREFIX = "guard_"


class Guard:
    """The hooks of one guard. It can be pickled and copied: what it knows is in the buffer.

    Args:
        kind: one of `KINDS`.
        axes: how the module's current lies, see `snnbd_core.view.Adapter.axes`.
        use: which use of the module within a step is meant, from 0.
        uses: how often it is used in a step.
    """

    def __init__(self, kind: str, axes: str = "time", use: int = 0, uses: int = 1) -> None:
        self.kind, self.axes, self.use, self.uses = kind, axes, use, uses
        self.calls = 0
        self.before: dict[str, Tensor] = {}
        self.draws: torch.Generator | None = None

    @property
    def name(self) -> str:
        """Of the buffer."""
        return f"{PREFIX}{self.kind}" + (f"_{self.use}" if self.uses > 1 else "")

    def start(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Before a run: other currents, or other thresholds."""
        step, use = divmod(self.calls, self.uses)
        self.calls += 1
        if use != self.use or self.kind == "scale":
            return None
        current, values = inputs[0], getattr(module, self.name)
        if self.kind in ("factor", "noise"):
            factor = values if self.kind == "factor" else self._drawn(values, current)
            return self._other_threshold(module, factor.to(current), inputs)
        return (self._cut(current, values.to(current), step), *inputs[1:])

    def stop(self, module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """After a run."""
        if self.kind == "scale":
            return output * getattr(module, self.name)
        if self.kind in ("factor", "noise") and hasattr(module, "_overrides"):
            module._overrides = self.before
        return None

    def _cut(self, current: Tensor, values: Tensor, step: int) -> Tensor:
        channel = 2 if self.axes in ("time", "batch") else 1
        after = [1] * (current.dim() - channel - 1)
        if self.kind == "gate":
            return current * values.reshape(*[1] * channel, -1, *after)
        if self.axes == "time":
            return torch.minimum(current, values.reshape(len(values), 1, -1, *after))
        if self.axes == "batch":
            return torch.minimum(current, values.reshape(1, len(values), -1, *after))
        if self.axes == "step":
            return torch.minimum(current, values[step % len(values)].reshape(1, -1, *after))
        folded = (-1, len(values)) if self.axes == "folded-batch" else (len(values), -1)
        bounds = values.unsqueeze(0 if self.axes == "folded-batch" else 1)
        unfolded = current.unflatten(0, folded)
        return torch.minimum(unfolded, bounds.reshape(*bounds.shape, *after)).flatten(0, 1)

    def _drawn(self, values: Tensor, current: Tensor) -> Tensor:
        """One factor for each sample, [B, 1]."""
        if self.draws is None:
            self.draws = torch.Generator().manual_seed(int(values[2]))
        low, high = float(values[0]), float(values[1])
        samples = current.shape[1] if self.axes == "time" else current.shape[0]
        return low + (high - low) * torch.rand(samples, 1, generator=self.draws)

    def _other_threshold(
        self, module: Any, factor: Tensor, inputs: tuple[Any, ...]
    ) -> tuple[Any, ...] | None:
        if hasattr(module, "_overrides"):
            self.before = before = module._overrides
            threshold = before.get("threshold", module.threshold)
            module._overrides = {**before, "threshold": threshold.to(factor) * factor}
            return None
        if self.kind == "noise":
            factor = factor.reshape(-1, *[1] * (inputs[0].dim() - 1))
        return (inputs[0] / factor, *inputs[1:])

    def __getstate__(self) -> dict[str, Any]:
        # a copy draws from the start, as a network that is loaded does
        return {**self.__dict__, "draws": None, "before": {}, "calls": 0}


def attach(module: nn.Module, kind: str, values: Tensor, **where: Any) -> None:
    """Puts a guard on a module, in place of an equal one, or beside those of other kinds.

    Two gates multiply, of two bounds the lower holds, and two scales multiply.

    Args:
        module: a layer of neurons; for "scale" any module.
        kind, values: see the table above.
        **where: axes, use and uses, see `Guard`.
    """
    guard = Guard(kind, **where)
    before = getattr(module, guard.name, None)
    if before is None:
        module.register_buffer(guard.name, values.detach().clone())
        module.register_forward_pre_hook(guard.start)
        module.register_forward_hook(guard.stop)
        return
    together = {"bound": torch.minimum}.get(kind, torch.mul)
    setattr(module, guard.name, values if kind == "noise" else together(before, values))


def prepare(module: nn.Module, state: Mapping[str, Any], prefix: str = "") -> None:
    """Puts guards on a module and all below it for which a state dict holds values.

    Args:
        module: about to load.
        state: a state dict.
        prefix: of the module's names in it.
    """
    for name, value in state.items():
        path, _, last = name.removeprefix(prefix).rpartition(".")
        kind = last.removeprefix(PREFIX)
        if name.startswith(prefix) and last.startswith(PREFIX) and kind in KINDS:
            owner = module.get_submodule(path)
            if not hasattr(owner, last) or getattr(owner, last).shape != value.shape:
                _replace(owner, kind, torch.empty_like(value))


def _replace(owner: nn.Module, kind: str, values: Tensor) -> None:
    if hasattr(owner, PREFIX + kind):
        setattr(owner, PREFIX + kind, values)
    else:
        attach(owner, kind, values)


def restart(module: nn.Module) -> None:
    """Tells the guards of a module that a new run begins."""
    for hook in module._forward_pre_hooks.values():
        guard = getattr(hook, "__self__", None)
        if isinstance(guard, Guard):
            guard.calls = 0
