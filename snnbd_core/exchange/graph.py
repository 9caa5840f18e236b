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

__all__ = ["SOURCE", "Graph"]

SOURCE = "input"
Shape = tuple[int, ...]


class Graph(nn.Module):
    """Nodes in the order in which they run; what leads to one node is added up.

    Args:
        shape: of one frame, usually (C, H, W).
        limit: bytes that the values of one frame may take in all nodes together.

    Attributes:
        nodes: modules [T, B, ...] to [T, B, ...], by name.
        sources: which nodes lead to each; `SOURCE` is the input.
        shapes: of what each gives in a step.
        output: the node whose values the network gives.
    """

    def __init__(self, shape: Sequence[int], limit: int = 2**40) -> None:
        super().__init__()
        self.nodes = nn.ModuleDict()
        self.sources: dict[str, tuple[str, ...]] = {}
        self.shapes: dict[str, Shape] = {}
        self.output = SOURCE
        self.limit, self.left = limit, limit
        self._take(SOURCE, tuple(shape))

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
        """The shape that nodes have in common.

        Raises:
            CorruptNetwork: different shapes, or no node.
        """
        shapes = [self.shapes[source] for source in sources]
        if not shapes:
            raise CorruptNetwork("no edge leads to it")
        if len(set(shapes)) > 1:
            raise CorruptNetwork(f"it gets values of different shapes: {shapes}")
        return shapes[0]

    def forward(self, sequence: Tensor) -> Tensor:
        """What the output gives, [T, B, ...].

        Raises:
            ValueError: a sequence of other frames than the network is for.
        """
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
        """The sequence with its frames in the shape of the input, where only axes differ."""
        own, given = self.shapes[SOURCE], tuple(sequence.shape[2:])
        axes = [size for size in own if size > 1]
        if given == own:
            return sequence
        if math.prod(given) == math.prod(own) and (
            len(axes) < 2 or axes == [size for size in given if size > 1]
        ):
            return sequence.reshape(*sequence.shape[:2], *own)
        raise ValueError(
            f"sequence of shape {list(sequence.shape)} must be [T, B, {', '.join(map(str, own))}]"
        )

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
    state = {
        name: value.to("meta")
        for name, value in chain(module.named_parameters(), module.named_buffers())
    }
    frame = torch.empty(1, 1, *shape, device="meta")
    given: Tensor = torch.func.functional_call(module, state, (frame,))
    return tuple(given.shape[2:])
