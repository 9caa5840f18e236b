"""What one guard does to the module that it is put on."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "AXES",
    "KINDS",
    "PREFIX",
    "Guard",
    "bounded",
    "folded",
    "gated",
    "noise",
    "raised",
    "unfolded",
]

# How values of one call of a layer lie in time: [T, B, C, ...], [B, T, C, ...], [T * B, C, ...],
# [B * T, C, ...], and [B, C, ...] in each of T calls.
AXES = ("time", "batch", "folded", "folded-batch", "step")
KINDS = ("gate", "bound", "floor", "factor", "noise", "scale")
PREFIX = "guard_"
PATTERN = f"{PREFIX}({'|'.join(KINDS)})(?:_({'|'.join(AXES)}))?(?:_([0-9]+)of([0-9]+))?"


class Guard:
    """The hooks of one guard. It can be pickled and copied: what it knows is in the buffer.

    Args:
        kind: one of `KINDS`.
        axes: how the module's current lies, see `snnbd_core.guards.AXES`.
        use: which use of the module within a step is meant, from 0.
        uses: how often it is used in a step.
    """

    def __init__(self, kind: str, axes: str = "time", use: int = 0, uses: int = 1) -> None:
        self.kind, self.axes, self.use, self.uses = kind, axes, use, uses
        self.calls = 0
        self.steps: int | None = None
        self.before: dict[str, Tensor] | None = None
        self.draws: torch.Generator | None = None
        self.drawn: Tensor | None = None

    @classmethod
    def named(cls, name: str) -> Guard | None:
        """The guard that a buffer, or a parameter, of this path belongs to; None for others."""
        found = re.fullmatch(PATTERN, name.rpartition(".")[2])
        if found is None:
            return None
        kind, axes, use, uses = found.groups()
        return cls(kind, axes or "time", int(use or 0), int(uses or 1))

    @property
    def name(self) -> str:
        """Of the buffer."""
        axes = "" if self.axes == "time" else f"_{self.axes}"
        return f"{PREFIX}{self.kind}{axes}" + (f"_{self.use}of{self.uses}" if self.uses > 1 else "")

    def restart(self, steps: int) -> None:
        """Tells that a run of so many steps begins."""
        self.calls, self.steps, self.drawn = 0, steps, None

    def start(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Before a run: other currents, or other thresholds."""
        step, use = divmod(self.calls, self.uses)
        self.calls += 1
        if use != self.use or self.kind == "scale":
            return None
        current, values = inputs[0], getattr(module, self.name)
        if self.kind == "floor":  # the upper bound holds where the two cross, in whatever order
            above = getattr(module, self.name.replace("floor", "bound", 1), values)
            values = torch.minimum(values, above)
        if self.kind in ("factor", "noise"):
            factor = values if self.kind == "factor" else self._drawn(module, values, current, step)
            return self._other_threshold(module, factor.to(current), inputs)
        return (self._cut(current, values, step), *inputs[1:])

    def stop(self, module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """After a run."""
        if self.kind == "scale":
            values = getattr(module, self.name)
            if isinstance(output, tuple):  # spikes and states
                return (output[0] * values, *output[1:])
            return output * values
        if self.before is not None:
            module._overrides, self.before = self.before, None
        return None

    def _cut(self, current: Tensor, values: Tensor, step: int) -> Tensor:
        if self.kind == "gate":
            return folded(gated(unfolded(current, self.axes, 1), values), self.axes)
        self._check_steps(current, len(values))
        bounds = values[step % len(values), None] if self.axes == "step" else values
        cut = bounded if self.kind == "bound" else raised
        return folded(cut(unfolded(current, self.axes, len(values)), bounds), self.axes)

    def _check_steps(self, current: Tensor, bounds: int) -> None:
        """Raises ValueError for a run of other steps than there are bounds."""
        own = {"time": len(current), "batch": current.shape[1]}
        steps = own.get(self.axes, self.steps)
        if steps not in (None, bounds):
            raise ValueError(
                f"the network runs T={steps} steps: allowed is T={bounds}, since its currents are "
                "bounded step by step"
            )

    def _drawn(self, module: Any, values: Tensor, current: Tensor, step: int) -> Tensor:
        """One factor for each sample, the same over all steps, [B, 1] or [rows, 1]."""
        if self.axes == "step" and step and self.drawn is not None:
            return self.drawn
        low, high, seed = values.cpu().view(torch.float64).tolist()
        if self.draws is None:
            self.draws = torch.Generator().manual_seed(int(seed))
        steps = module.num_timesteps if self.axes == "folded-batch" else 1
        samples = current.shape[1 if self.axes == "time" else 0] // steps
        drawn = low + (high - low) * torch.rand(samples, 1, generator=self.draws)
        self.drawn = drawn.repeat_interleave(steps, 0)
        return self.drawn

    def _other_threshold(
        self, module: Any, factor: Tensor, inputs: tuple[Any, ...]
    ) -> tuple[Any, ...] | None:
        if hasattr(module, "_overrides"):
            self.before = before = module._overrides
            threshold = before.get("threshold", module.threshold).to(factor)
            if threshold.numel() > 1 and factor.numel() > 1:
                neurons = inputs[0].dim() - 2
                threshold, factor = _spread(threshold, neurons), _spread(factor, neurons)
            module._overrides = {**before, "threshold": threshold * factor}
            return None
        if self.kind == "noise":
            before = 1 if self.axes == "time" else 0
            factor = factor.reshape(*[1] * before, -1, *[1] * (inputs[0].dim() - before - 1))
        return (inputs[0] / factor, *inputs[1:])

    def __getstate__(self) -> dict[str, Any]:
        # a copy draws from the start, as a network that is loaded does
        return {**self.__dict__, "draws": None, "drawn": None, "before": None, "calls": 0}


def _spread(values: Tensor, neurons: int) -> Tensor:
    """Values per sample [B, 1] as [B, 1, ...], to meet values per neuron; those as they are."""
    per_sample = values.dim() == 2 and values.shape[1] == 1
    return values.reshape(-1, *[1] * neurons) if per_sample else values


def noise(low: float, high: float, seed: int) -> Tensor:
    """Values of a guard of this kind: the bits of three float64, which no change of type rounds."""
    return torch.tensor([low, high, seed], dtype=torch.float64).view(torch.int64)


def unfolded(values: Tensor, axes: str, steps: int) -> Tensor:
    """Values of one call as [T, B, ...]; [1, B, ...] of a call of one step."""
    if axes == "batch":
        return values.transpose(0, 1)
    if axes == "folded":
        return values.unflatten(0, (steps, -1))
    if axes == "folded-batch":
        return values.unflatten(0, (-1, steps)).transpose(0, 1)
    return values.unsqueeze(0) if axes == "step" else values


def folded(values: Tensor, axes: str) -> Tensor:
    """The inverse of `unfolded`."""
    if axes == "batch":
        return values.transpose(0, 1)
    if axes == "folded":
        return values.flatten(0, 1)
    if axes == "folded-batch":
        return values.transpose(0, 1).flatten(0, 1)
    return values.squeeze(0) if axes == "step" else values


def gated(current: Tensor, values: Tensor, offset: Tensor | None = None) -> Tensor:
    """A current [T, B, C, ...] with its channels multiplied by values [C], plus offsets [C]."""
    shape = (1, 1, -1, *[1] * (current.dim() - 3))
    current = current * values.to(current).reshape(shape)
    return current if offset is None else current + offset.to(current).reshape(shape)


def bounded(current: Tensor, bounds: Tensor) -> Tensor:
    """A current [T, B, C, ...] with its channels cut at upper bounds [T, C]."""
    shape = (len(bounds), 1, -1, *[1] * (current.dim() - 3))
    return torch.minimum(current, bounds.to(current).reshape(shape))


def raised(current: Tensor, bounds: Tensor) -> Tensor:
    """A current [T, B, C, ...] with its channels cut at lower bounds [T, C]."""
    shape = (len(bounds), 1, -1, *[1] * (current.dim() - 3))
    return torch.maximum(current, bounds.to(current).reshape(shape))
