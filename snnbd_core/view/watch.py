"""Reads and changes what passes through layers of neurons while a network runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.guards import bounded, folded, gated, unfolded
from snnbd_core.view.errors import NotVisible
from snnbd_core.view.trace import Layer

__all__ = ["Edit", "Watch", "bound_by", "gate"]

Edit = Callable[[Tensor, slice], Tensor]
"""edit(current [t, B, C, ...], which steps) -> the current that the neurons get."""


class Watch:
    """A block in which layers are read or changed at every run of the network.

    Args:
        net: the network.
        layers: those that are read.
        reading: "current", "spikes" (of ReLU its activation) or "potential"; None reads nothing.
        edits: what changes the current of a layer, by layer.

    Inside the block, `seen` holds after each run one [T, B, C, ...] for each layer that is read.
    """

    def __init__(
        self,
        net: nn.Module,
        layers: Sequence[Layer],
        reading: str | None = None,
        edits: Mapping[Layer, Edit] | None = None,
    ) -> None:
        if reading == "potential":
            for layer in layers:
                if not layer.adapter.spikes:
                    raise NotVisible(
                        "a membrane potential", str(layer), "needed are spiking neurons"
                    )
        self.net, self.layers, self.reading = net, tuple(layers), reading
        self.edits = dict(edits or {})
        self.seen: list[Tensor] = []
        self._uses = {(layer.module, layer.use): layer for layer in (*self.layers, *self.edits)}
        self._calls: Counter[nn.Module] = Counter()
        self._parts: dict[Layer, list[Tensor]] = {}
        self._steps = 0

    def __enter__(self) -> list[Tensor]:
        modules = dict.fromkeys(module for module, _ in self._uses)
        with ExitStack() as stack:
            hooks: list[Any] = [
                self.net.register_forward_pre_hook(self._begin),
                self.net.register_forward_hook(self._end),
            ]
            for module in modules:
                hooks.append(module.register_forward_pre_hook(self._before))
                hooks.append(module.register_forward_hook(self._after))
            for hook in hooks:
                stack.callback(hook.remove)
            if self.reading == "potential":
                for layer in self.layers:
                    stack.enter_context(layer.adapter.potentials(layer.module))
            self._left = stack.pop_all()
        return self.seen

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.close()

    def _begin(self, net: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._calls.clear()
        self._parts = {layer: [] for layer in self.layers}
        self._steps = len(inputs[0])

    def _end(self, net: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self.seen[:] = [
            parts[0] if len(parts := self._parts[layer]) == 1 else torch.cat(parts)
            for layer in self.layers
        ]

    def _used(self, module: nn.Module) -> tuple[Layer | None, int]:
        """The layer that runs now, and its time step."""
        uses = next(layer.uses for layer in self._uses.values() if layer.module is module)
        step, use = divmod(self._calls[module], uses)
        return self._uses.get((module, use)), step

    def _before(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        layer, step = self._used(module)
        if layer is None or layer not in self.edits:
            return None
        current = unfolded(inputs[0], layer.axes, self._steps)
        now = slice(step, step + 1) if layer.axes == "step" else slice(0, len(current))
        return (folded(self.edits[layer](current, now), layer.axes), *inputs[1:])

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        layer, _ = self._used(module)
        self._calls[module] += 1
        if layer is None or self.reading is None or layer not in self._parts:
            return
        values = self._read(layer, inputs, output)
        self._parts[layer].append(unfolded(values, layer.axes, self._steps))

    def _read(self, layer: Layer, inputs: tuple[Any, ...], output: Any) -> Tensor:
        if self.reading == "current":
            current: Tensor = inputs[0]
            return current
        if self.reading == "spikes":
            return layer.adapter.output(output)
        potential = layer.adapter.potential(layer.module, inputs[0], output)
        if potential is None:
            raise NotVisible("a membrane potential", str(layer), "its library does not give it out")
        return potential


def gate(values: Tensor, offset: Tensor | None) -> Edit:
    """Multiplies channels by values [C], and adds offsets [C]."""
    return lambda current, now: gated(current, values, offset)


def bound_by(bounds: Tensor) -> Edit:
    """Cuts channels at upper bounds [T, C]."""
    return lambda current, now: bounded(current, bounds[now])
