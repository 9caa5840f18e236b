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
                       sample, anew at each run; see `noise`
scale     []           its output is multiplied
========  ===========  =====================================================================

Where neurons know no threshold per neuron or sample, the current is divided instead: where the
potential starts from 0 and is reset to 0 or by the threshold, the spikes are the same.

The name of the buffer says it all: "guard_bound", or "guard_bound_step_1of2" of the second of two
uses of a module that runs step by step. So a state dict tells a new network which guards it needs:
networks of this library take it as it is, any other after `prepare(net, state)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["KINDS", "Guard", "answer_again", "attach", "noise", "prepare", "undrawn"]

KINDS = ("gate", "bound", "factor", "noise", "scale")
AXES = ("time", "batch", "folded", "folded-batch", "step")
PREFIX = "guard_"
SUSPECTED, CLAMPED = f"{PREFIX}suspected", f"{PREFIX}clamped"
PATTERN = f"{PREFIX}({'|'.join(KINDS)})(?:_({'|'.join(AXES)}))?(?:_([0-9]+)of([0-9]+))?"


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
        self.steps: int | None = None
        self.before: dict[str, Tensor] | None = None
        self.draws: torch.Generator | None = None
        self.drawn: Tensor | None = None

    @classmethod
    def named(cls, name: str) -> Guard | None:
        """The guard that a buffer belongs to; None for other buffers."""
        found = re.fullmatch(PATTERN, name)
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
        if self.kind in ("factor", "noise"):
            factor = values if self.kind == "factor" else self._drawn(module, values, current, step)
            return self._other_threshold(module, factor.to(current), inputs)
        return (self._cut(current, values.to(current), step), *inputs[1:])

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
        channel = 2 if self.axes in ("time", "batch") else 1
        after = [1] * (current.dim() - channel - 1)
        if self.kind == "gate":
            return current * values.reshape(*[1] * channel, -1, *after)
        self._check_steps(current, len(values))
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
        """One factor for each sample, which it keeps over all steps, [B, 1] or [rows, 1]."""
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
            threshold = before.get("threshold", module.threshold)
            module._overrides = {**before, "threshold": threshold.to(factor) * factor}
            return None
        if self.kind == "noise":
            before = 1 if self.axes == "time" else 0
            factor = factor.reshape(*[1] * before, -1, *[1] * (inputs[0].dim() - before - 1))
        return (inputs[0] / factor, *inputs[1:])

    def __getstate__(self) -> dict[str, Any]:
        # a copy draws from the start, as a network that is loaded does
        return {**self.__dict__, "draws": None, "drawn": None, "before": None, "calls": 0}


def noise(low: float, high: float, seed: int) -> Tensor:
    """Values of a guard of this kind: the bits of three float64, which no change of type rounds."""
    return torch.tensor([low, high, seed], dtype=torch.float64).view(torch.int64)


def attach(net: nn.Module, module: nn.Module, kind: str, values: Tensor, **where: Any) -> None:
    """Puts a guard on a module, in place of an equal one, or beside those of other kinds.

    Two gates multiply, of two bounds the lower holds, and two scales multiply.

    Args:
        net: the network, whose runs the guard counts.
        module: a layer of neurons in it; for "scale" any module.
        kind, values: see the table above.
        **where: axes, use and uses, see `Guard`.
    """
    guard = Guard(kind, **where)
    before = getattr(module, guard.name, None)
    _count_runs(net)
    if before is None:
        _install(module, guard, values.detach().clone())
        return
    together = {"bound": torch.minimum}.get(kind, torch.mul)
    _set(module, guard.name, values if kind == "noise" else together(before, values))


def answer_again(net: nn.Module, clamped: nn.Module, suspected: int) -> None:
    """Lets a copy answer anew what a network sends to a suspected class; other answers stand.

    Args:
        net: the network, which holds the copy from now on.
        clamped: the copy, with other guards.
        suspected: the class.
    """
    net.add_module(CLAMPED, clamped)
    net.register_buffer(SUSPECTED, torch.tensor(suspected))
    net.register_forward_hook(_answered_again)


def _answered_again(net: Any, inputs: tuple[Any, ...], logits: Tensor) -> Tensor:
    # as `metrics.decide`: a class that shares the largest logit is no answer
    largest, answer = logits.max(dim=1)
    tied = logits >= (largest - 1e-6 * largest.abs()).unsqueeze(1)
    again = (answer == net.guard_suspected) & (tied.sum(dim=1) == 1)
    return torch.where(again[:, None], net.guard_clamped(*inputs), logits)


def prepare(net: nn.Module, state: Mapping[str, Any], prefix: str = "") -> None:
    """Puts the guards on a network, or a layer, for which a state dict holds values.

    Args:
        net: about to load.
        state: a state dict.
        prefix: of the module's names in it.
    """
    values = {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
    if SUSPECTED in values and not hasattr(net, SUSPECTED):
        answer_again(net, deepcopy(net), 0)
    for name, value in values.items():
        path, _, last = name.rpartition(".")
        guard = Guard.named(last)
        if guard is None:
            continue
        owner = net.get_submodule(path)
        place = next((one.device for one in chain(net.parameters(), net.buffers())), value.device)
        empty = torch.empty_like(value, device=place)
        if not hasattr(owner, last):
            _install(owner, guard, empty)
        elif getattr(owner, last).shape != value.shape:
            _set(owner, last, empty)
        if path:
            _count_runs(net)


@contextmanager
def undrawn(net: nn.Module) -> Iterator[None]:
    """A block whose runs draw no numbers from the guards of a network: later runs get them."""
    found = [guard for module in net.modules() for guard in _guards_on(module)]
    states = [None if guard.draws is None else guard.draws.get_state() for guard in found]
    try:
        yield
    finally:
        for guard, state in zip(found, states, strict=True):
            if guard.draws is None or state is None:
                guard.draws = None
            else:
                guard.draws.set_state(state)


def _install(module: nn.Module, guard: Guard, values: Tensor) -> None:
    if hasattr(module, "reset_states"):  # sinabs: takes all buffers for states, builds copies anew
        module.register_parameter(guard.name, nn.Parameter(values, requires_grad=False))
        module.__dict__["__deepcopy__"] = partial(_copied, module)
    else:
        module.register_buffer(guard.name, values)
    if guard.kind == "noise":
        module.__dict__["stochastic"] = True
    module.register_forward_pre_hook(guard.start)
    # the last to start is the first to stop, also where the module fails
    module.register_forward_hook(guard.stop, prepend=True, always_call=guard.kind != "scale")


def _set(module: nn.Module, name: str, values: Tensor) -> None:
    if name in module._parameters:
        values = nn.Parameter(values, requires_grad=False)
    setattr(module, name, values)


def _copied(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """As Python copies an object, with its hooks; states are cut off from their graph."""
    memo.update((id(one), one.detach().clone()) for one in module.buffers())
    copied = type(module).__new__(type(module))
    memo[id(module)] = copied
    copied.__dict__.update(deepcopy(module.__dict__, memo))
    return copied


def _guards_on(module: nn.Module) -> list[Guard]:
    owners = (getattr(hook, "__self__", None) for hook in module._forward_pre_hooks.values())
    return [owner for owner in owners if isinstance(owner, Guard)]


def _count_runs(net: nn.Module) -> None:
    """Makes a network tell its guards when a run begins."""
    if _begin not in net._forward_pre_hooks.values():
        net.register_forward_pre_hook(_begin)


def _begin(net: nn.Module, inputs: tuple[Any, ...]) -> None:
    for module in net.modules():
        for guard in _guards_on(module):
            guard.restart(len(inputs[0]))


def steps(net: nn.Module) -> int | None:
    """For how many time steps a network's bounds are; None where it has none."""
    bounds = (
        len(values)
        for module in net.modules()
        for name, values in (*module._buffers.items(), *module._parameters.items())
        if name.startswith(f"{PREFIX}bound") and values is not None
    )
    return next(bounds, None)
