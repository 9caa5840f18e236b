"""Reads and changes what passes through layers of neurons while a network runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core.guards import folded, unfolded
from snnbd_core.view.blocks import hooked
from snnbd_core.view.trace import Layer

__all__ = ["Edit", "Edits", "watch"]

Edit = Callable[[Tensor, slice], Tensor]
"""edit(current [t, B, C, ...], which steps) -> the current that the neurons get."""

Edits = Mapping[Layer, Edit]


@contextmanager
def watch(
    net: nn.Module, layers: Sequence[Layer], reading: str | None, edits: Edits
) -> Iterator[list[Tensor]]:
    """A block in which layers are read or changed at every run of the network.

    Args:
        net: the network.
        layers: those that are read.
        reading: "current", "spikes" (of ReLU its activation) or "potential"; None reads nothing.
        edits: what changes the current of a layer, by layer.

    Yields:
        what holds after each run one [T, B, C, ...] for each layer that is read.
    """
    watching = _Watching(layers, reading, edits)
    with ExitStack() as stack:
        if reading == "potential":
            for layer in layers:
                stack.enter_context(layer.adapter.potentials(layer.module))
        modules = dict.fromkeys(layer.module for layer in (*layers, *edits))
        stack.enter_context(hooked([net], watching.end, watching.begin))
        stack.enter_context(hooked(modules, watching.after, watching.before))
        yield watching.seen


class _Watching:
    """The hooks of a watch, and what they have seen."""

    def __init__(self, layers: Sequence[Layer], reading: str | None, edits: Edits) -> None:
        self.layers, self.reading, self.edits = layers, reading, edits
        self.seen: list[Tensor] = []
        self.parts: dict[Layer, list[Tensor]] = {}
        self.uses = {(layer.module, layer.use): layer for layer in (*layers, *edits)}
        self.each = {layer.module: layer.uses for layer in (*layers, *edits)}
        self.calls: Counter[nn.Module] = Counter()
        self.steps = 0

    def begin(self, net: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.calls.clear()
        self.parts = {layer: [] for layer in self.layers}
        self.steps = len(inputs[0])

    def end(self, net: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        found = (self.parts[layer] for layer in self.layers)
        self.seen[:] = [parts[0] if len(parts) == 1 else torch.cat(parts) for parts in found]

    def before(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        step, use = divmod(self.calls[module], self.each[module])
        layer = self.uses.get((module, use))
        if layer is None or layer not in self.edits:
            return None
        current = unfolded(inputs[0], layer.axes, self.steps)
        now = slice(step, step + 1) if layer.axes == "step" else slice(0, len(current))
        return (folded(self.edits[layer](current, now), layer.axes), *inputs[1:])

    def after(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        layer = self.uses.get((module, self.calls[module] % self.each[module]))
        self.calls[module] += 1
        if layer is None or self.reading is None or layer not in self.parts:
            return
        values = inputs[0]
        if self.reading == "spikes":
            values = layer.adapter.output(output)
        elif self.reading == "potential":
            values = layer.adapter.potential(module, output)
        self.parts[layer].append(unfolded(values, layer.axes, self.steps))
