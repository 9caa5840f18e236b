"""How guards are put on networks, and how a network comes back with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.guards.guard import PREFIX, Guard

__all__ = ["answer_again", "answers_once", "attach", "prepare", "steps", "undrawn"]

SUSPECTED, CLAMPED = f"{PREFIX}suspected", f"{PREFIX}clamped"


def attach(net: nn.Module, module: nn.Module, kind: str, values: Tensor, **where: Any) -> None:
    """Puts a guard on a layer of a network, or on any module for "scale"; see `snnbd_core.guards`.

    It stands beside those of other kinds. Of two bounds the lower holds, of two floors the
    higher, other kinds multiply.
    """
    guard = Guard(kind, **where)
    before = getattr(module, guard.name, None)
    _count_runs(net)
    if before is None:
        _install(module, guard, values.detach().clone())
        return
    together = {"bound": torch.minimum, "floor": torch.maximum}.get(kind, torch.mul)
    _set(module, guard.name, values if kind == "noise" else together(before, values))


def answer_again(net: nn.Module, clamped: nn.Module, suspected: int) -> None:
    """Lets a copy answer anew what a network sends to a suspected class; other answers stand.

    The network holds the copy, which has other guards, from now on. ValueError as `answers_once`.
    """
    answers_once(net)
    net.add_module(CLAMPED, clamped)
    net.register_buffer(SUSPECTED, torch.tensor(suspected))
    net.register_forward_hook(_answered_again)


def answers_once(net: nn.Module) -> None:
    """Raises ValueError where a network answers a class again already."""
    if (before := getattr(net, SUSPECTED, None)) is not None:
        raise ValueError(
            f"net={type(net).__name__} answers class {int(before)} again already: repair the "
            "network as it was before, or with suspected=None"
        )


def _answered_again(net: Any, inputs: tuple[Any, ...], logits: Tensor) -> Tensor:
    # as `metrics.decide`: a class that shares the largest logit is no answer
    largest, answer = logits.max(dim=1)
    tied = logits >= (largest - 1e-6 * largest.abs()).unsqueeze(1)
    again = (answer == net.guard_suspected) & (tied.sum(dim=1) == 1)
    return torch.where(again[:, None], net.guard_clamped(*inputs), logits)


def prepare(net: nn.Module, state: Mapping[str, Any], prefix: str = "") -> None:
    """Puts the guards on a network, or a layer, for which a state dict holds values.

    Its names in the state dict begin with the prefix.
    """
    values = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
    if SUSPECTED in values and not hasattr(net, SUSPECTED):
        answer_again(net, deepcopy(net), 0)
    for name, value in values.items():
        path, _, last = name.rpartition(".")
        guard = Guard.named(last)
        if guard is None:
            continue
        owner = net.get_submodule(path)
        held = next(chain(net.parameters(), net.buffers()), value)
        empty = torch.empty_like(value, device=held.device)
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
    draws = [guard.draws for guard in found]
    try:
        for guard in found:
            guard.draws = None if guard.draws is None else guard.draws.clone_state()
        yield
    finally:
        for guard, draw in zip(found, draws, strict=True):
            guard.draws = draw


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
    memo.update((id(state), state.detach().clone()) for state in module.buffers())
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
        if name.startswith((f"{PREFIX}bound", f"{PREFIX}floor")) and values is not None
    )
    return next(bounds, None)
