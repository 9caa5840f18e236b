"""The structure of a NIR graph: sub-graphs laid open, edges that meet, cycles that have a delay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from snnbd_core.exchange.errors import CorruptNetwork
from snnbd_core.exchange.stored import GRAPH, Node

__all__ = ["SPIKING", "Flat", "flattened", "loops"]

SPIKING = ("CubaLIF", "IF", "LIF")
STATEFUL = (*SPIKING, "I", "LI")
Edge = tuple[str, str]


@dataclass(frozen=True)
class Flat:
    """A graph without sub-graphs: their nodes are named "sub-graph.node".

    Attributes:
        nodes: by name.
        edges: between them.
        first, last: names of its Input and its Output.
    """

    nodes: dict[str, Node]
    edges: list[Edge]
    first: str
    last: str


def flattened(graph: Node, prefix: str = "") -> Flat:
    """A graph with its sub-graphs laid open.

    Raises:
        CorruptNetwork: an edge to a node that is missing, twice the same edge or name, or other
            than one Input and one Output in a graph.
    """
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    ends: dict[str, Edge] = {}
    for name, node in graph.nodes.items():
        inner = Flat({prefix + name: node}, [], prefix + name, prefix + name)
        if node.kind == GRAPH:
            inner = flattened(node, f"{prefix}{name}.")
        twice = nodes.keys() & inner.nodes.keys()
        if twice:
            raise CorruptNetwork(f"the name {min(twice)!r} stands for two nodes")
        nodes |= inner.nodes
        edges += inner.edges
        ends[name] = (inner.first, inner.last)
    for before, after in graph.edges:
        missing = [name for name in (before, after) if name not in ends]
        if missing:
            raise CorruptNetwork(
                f"its edge {before!r} -> {after!r} names the node {missing[0]!r}, which is missing"
            )
        edges.append((ends[before][1], ends[after][0]))
    twice_drawn = [edge for edge, times in Counter(edges).items() if times > 1]
    if twice_drawn:
        raise CorruptNetwork(f"its edge {_arrows(twice_drawn[0])} is there twice")
    first, last = (_only(graph, kind, prefix) for kind in ("Input", "Output"))
    return Flat(nodes, edges, first, last)


def loops(nodes: dict[str, Node], edges: Iterable[Edge]) -> dict[str, set[str]]:
    """Spiking neurons with recurrent connections: name -> the nodes between them and themselves.

    A cycle needs a delay, and a spike is one: what it sends back arrives in the next step.

    Raises:
        CorruptNetwork: a cycle without spiking neurons, through several layers of neurons, or with
            a way in or out beside the neurons.
    """
    found = {}
    for members in _cycles(list(nodes), list(edges)):
        told = ", ".join(f"{name} ({nodes[name].kind})" for name in sorted(members))
        neurons = [name for name in members if nodes[name].kind in STATEFUL]
        if not any(nodes[name].kind in SPIKING for name in neurons):
            raise CorruptNetwork(
                f"the cycle of {told} has no delay: needed is one of {', '.join(SPIKING)} in it, "
                "whose spikes arrive in the next step"
            )
        if len(neurons) > 1:
            raise CorruptNetwork(
                f"the cycle of {told} runs through several layers of neurons, and the file does "
                "not say which of them delays: allowed is one"
            )
        inner = members - set(neurons)
        beside = [edge for edge in edges if inner & set(edge) and not members >= set(edge)]
        if beside:
            raise CorruptNetwork(
                f"the edge {_arrows(beside[0])} enters or leaves the cycle of {told} beside its "
                f"neurons: allowed are edges of {neurons[0]}"
            )
        found[neurons[0]] = inner
    return found


def _cycles(names: list[str], edges: list[Edge]) -> list[set[str]]:
    """Sets of nodes each of which can be reached from each: strongly connected components."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not edges:
        return []
    number = {name: place for place, name in enumerate(names)}
    rows, columns = zip(*((number[a], number[b]) for a, b in edges), strict=True)
    matrix = coo_array(([1] * len(edges), (rows, columns)), shape=(len(names), len(names)))
    _, labels = connected_components(matrix, connection="strong")
    groups: dict[int, set[str]] = {}
    for name, label in zip(names, labels.tolist(), strict=True):
        groups.setdefault(label, set()).add(name)
    alone = {a for a, b in edges if a == b}
    return [group for group in groups.values() if len(group) > 1 or group & alone]


def _only(graph: Node, kind: str, prefix: str) -> str:
    """The one node of a kind in a graph."""
    found = [prefix + name for name, node in graph.nodes.items() if node.kind == kind]
    if len(found) != 1:
        raise CorruptNetwork(
            f"its {'sub-graph ' + repr(prefix[:-1]) if prefix else 'graph'} has "
            f"{len(found)} nodes of kind {kind}: allowed is one"
        )
    return found[0]


def _arrows(edge: Edge) -> str:
    return " -> ".join(map(repr, edge))
