"""The structure of a NIR graph: sub-graphs laid open, edges that meet, cycles that have a delay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from snnbd_core.exchange.errors import CorruptNetwork

__all__ = ["GRAPH", "SPIKING", "STATEFUL", "Edge", "Node", "Value", "flattened", "loops"]

GRAPH = "NIRGraph"
SPIKING = ("CubaLIF", "IF", "LIF")
STATEFUL = (*SPIKING, "I", "LI")
Edge = tuple[str, str]
Value = np.ndarray | str


@dataclass(frozen=True)
class Node:
    """A node as it is stored.

    Attributes:
        kind: NIR's name of it.
        fields: its values by name.
        nodes, edges: of a graph.
    """

    kind: str
    fields: dict[str, Value] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)


def flattened(graph: Node, prefix: str = "") -> tuple[Node, str, str]:
    """A graph with its sub-graphs laid open, and the names of its Input and its Output.

    Raises:
        CorruptNetwork: an edge to a node that is missing, twice the same edge or name, or other
            than one Input and one Output in a graph.
    """
    start, end = (_only(graph, kind, prefix) for kind in ("Input", "Output"))
    flat = Node(GRAPH)
    ends: dict[str, Edge] = {}
    for name, node in graph.nodes.items():
        inner, first, last = Node(GRAPH, nodes={prefix + name: node}), prefix + name, prefix + name
        if node.kind == GRAPH:
            inner, first, last = flattened(node, f"{prefix}{name}.")
        if flat.nodes.keys() & inner.nodes.keys():
            raise CorruptNetwork(f"the name {prefix + name!r} stands for two nodes")
        flat.nodes.update(inner.nodes)
        flat.edges.extend(inner.edges)
        ends[name] = (first, last)
    for before, after in graph.edges:
        if not {before, after} <= ends.keys():
            raise CorruptNetwork(f"the edge {before!r} -> {after!r} names a node that is missing")
        flat.edges.append((ends[before][1], ends[after][0]))
    twice = [edge for edge, times in Counter(flat.edges).items() if times > 1]
    if twice:
        raise CorruptNetwork("the edge {!r} -> {!r} is there twice".format(*twice[0]))
    return flat, start, end


def loops(nodes: Mapping[str, Node], edges: Sequence[Edge]) -> dict[str, set[str]]:
    """Spiking neurons with recurrent edges: name -> the nodes from them back to themselves.

    A cycle needs a delay, and a spike is one: what it sends back arrives in the next step.

    Raises:
        CorruptNetwork: a cycle through other than one layer of neurons, which spike, or one with a
            way in or out beside them.
    """
    found = {}
    for members in _cycles(list(nodes), edges):
        told = ", ".join(f"{name} ({nodes[name].kind})" for name in sorted(members))
        neurons = [name for name in members if nodes[name].kind in STATEFUL]
        if len(neurons) != 1 or nodes[neurons[0]].kind not in SPIKING:
            raise CorruptNetwork(
                f"the cycle of {told} has {'several delays' if neurons else 'no delay'}: needed is "
                f"exactly one layer of neurons, {', '.join(SPIKING)}, whose spikes arrive in the "
                "next step"
            )
        inner = members - set(neurons)
        if any(inner & set(edge) and not members >= set(edge) for edge in edges):
            raise CorruptNetwork(f"an edge enters or leaves the cycle of {told} beside its neurons")
        found[neurons[0]] = inner
    return found


def _cycles(names: list[str], edges: Sequence[Edge]) -> list[set[str]]:
    """Sets of nodes each of which can be reached from each: strongly connected components."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    number = {name: place for place, name in enumerate(names)}
    ends = np.array([(number[a], number[b]) for a, b in edges], dtype=int).reshape(-1, 2)
    matrix = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=[len(names)] * 2)
    _, labels = connected_components(matrix, connection="strong")
    groups = [set[str]() for _ in names]
    for name, label in zip(names, labels, strict=True):
        groups[label].add(name)
    alone = {a for a, b in edges if a == b}
    return [group for group in groups if len(group) > 1 or group & alone]


def _only(graph: Node, kind: str, prefix: str) -> str:
    """The one node of a kind in a graph."""
    found = [prefix + name for name, node in graph.nodes.items() if node.kind == kind]
    if len(found) != 1:
        raise CorruptNetwork(f"graph {prefix!r} has {len(found)} {kind} nodes: allowed is one")
    return found[0]
