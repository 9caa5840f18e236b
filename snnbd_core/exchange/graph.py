"""A network as nodes that feed each other, over sequences [T, B, ...]."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from itertools import chain

import torch
from torch import Tensor, nn

from snnbd_core.exchange.errors import CorruptNetwork
from snnbd_core.networks.layers import Folded

__all__ = ["SOURCE", "Graph", "Shape"]

SOURCE = "input"
Shape = tuple[int, ...]


class Graph(nn.Module):
    """Nodes in the order in which they run; what leads to a node is added up.

    Args:
        shape: of one frame, usually (C, H, W).
        limit: bytes that the values of one frame may take in all nodes together.

    Attributes:
        nodes: modules [T, B, ...] to [T, B, ...], by name.
        sources: which nodes lead to each; `SOURCE` is the input.
        shapes: of what each gives in a step.
        output: the node whose values the network gives.
    """

    def __init__(self, shape: Shape, limit: int = 2**40) -> None:
        super().__init__()
        self.nodes = nn.ModuleDict()
        self.sources: dict[str, tuple[str, ...]] = {}
        self.shapes: dict[str, Shape] = {}
        self.output = SOURCE
        self.limit, self.left = limit, limit
        self._take(SOURCE, shape)

    def add(self, name: str, module: nn.Module, sources: Sequence[str]) -> str:
        """Puts a node behind others, takes it for the output, and gives the name it now has.

        Raises:
            CorruptNetwork: as `met`, or values that pass the limit.
            RuntimeError: a module that does not take the shape.
        """
        key = name.replace(".", "_")
        while key == SOURCE or key in self.nodes or hasattr(self.nodes, key):
            key += "_"
        self._take(key, _given(module, self.met(sources)))
        self.nodes[key] = module
        self.sources[key] = tuple(sources)
        self.output = key
        return key

    def met(self, sources: Sequence[str]) -> Shape:
        """The shape that nodes have in common; CorruptNetwork where they have none."""
        shapes = [self.shapes[source] for source in sources]
        if not shapes:
            raise CorruptNetwork("no edge from the input leads to it: needed is one")
        if len(set(shapes)) != 1:
            raise CorruptNetwork(f"edges lead to it with the shapes {shapes}: allowed is one shape")
        return shapes[0]

    def forward(self, sequence: Tensor) -> Tensor:
        """What the output gives, [T, B, ...]; ValueError for frames of another size."""
        values = {SOURCE: self._fitted(sequence)}
        waiting = Counter(chain.from_iterable(self.sources.values()))
        waiting[self.output] += 1
        for name, module in self.nodes.items():
            sources = self.sources[name]
            values[name] = module(reduce(torch.add, [values[source] for source in sources]))
            waiting.subtract(sources)
            values = {key: value for key, value in values.items() if waiting[key]}
        return values[self.output]

    def _fitted(self, sequence: Tensor) -> Tensor:
        """The sequence in frames of the input's shape; axes of 1 may differ, or be flattened."""
        own, given = self.shapes[SOURCE], sequence.shape[2:]
        axes = [size for size in own if size > 1]
        alike = len(axes) < 2 or axes == [size for size in given if size > 1]
        if not alike or math.prod(given) != math.prod(own):
            wanted = ", ".join(map(str, own))
            raise ValueError(f"sequence of shape {list(sequence.shape)} must be [T, B, {wanted}]")
        return sequence.reshape(*sequence.shape[:2], *own)

    def _take(self, name: str, shape: Shape) -> None:
        size = 4 * math.prod(shape)
        self.left -= size
        if self.left < 0 or min(shape, default=1) < 1:
            raise CorruptNetwork(
                f"its values of shape {list(shape)} take {size:,} bytes in a step: allowed is "
                f"limit={self.limit:,} for all nodes, and no empty shape"
            )
        self.shapes[name] = shape


def _given(module: nn.Module, shape: Shape) -> Shape:
    """The shape of what a module gives for a frame, found without taking memory for values."""
    if not isinstance(module, Folded):
        return shape
    held = chain(module.named_parameters(), module.named_buffers())
    state = {name: value.to("meta") for name, value in held}
    frame = torch.empty(1, 1, *shape, device="meta")
    return tuple(torch.func.functional_call(module, state, (frame,)).shape[2:])
