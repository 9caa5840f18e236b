"""Reads a network from a NIR file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
from torch import nn

from snnbd_core import checks
from snnbd_core.exchange import stored
from snnbd_core.exchange.errors import CorruptNetwork
from snnbd_core.exchange.graph import SOURCE, Graph
from snnbd_core.exchange.membranes import RESETS, UPDATES
from snnbd_core.exchange.modules import Rule, modules, sizes
from snnbd_core.exchange.stored import Node
from snnbd_core.exchange.structure import Edge, flattened, loops
from snnbd_core.networks.layers import Folded
from snnbd_core.view import Adapted, adapt

__all__ = ["read_nir"]


def read_nir(
    path: str | Path,
    *,
    dt: float | None = None,
    reset: str | None = None,
    update: str = "nir",
    classes: int | None = None,
    limit: int = 2**30,
) -> Adapted:
    """The network in a NIR file, as `sb.view` and everything on it takes it.

    NIR describes neurons in continuous time and knows no reset but to `v_reset`, so `dt` and
    `reset` have no default: other values make another network. A step is one of the forward Euler
    method, dv = dt / tau (v_leak - v + r x), from the resting potential. Whatever the step gives
    is averaged over time for the logits. Spikes that recurrent edges send back arrive in the next
    step; a cycle must run through exactly one layer of spiking neurons.

    Args:
        path: of the file. Nothing in it is executed.
        dt: length of a step in the file's unit of time. NIR says seconds: snnTorch and
            SpikingJelly write with 1e-4, norse 1e-3; sinabs counts steps, dt=1.
        reset: "zero", to the file's `v_reset`; "subtract", by the threshold; "multispike", as
            sinabs: floor(v / threshold) spikes in a step, subtracted, and for IF no potential
            below -threshold.
        update: "nir", spikes above the threshold, reset in the same step; "snntorch", subtraction
            in the next step; "spikingjelly", spikes at the threshold too.
        classes: number of logits, where a class has several outputs; see `sb.adapt`.
        limit: bytes that the file's values, and the values of one step, may take.

    Raises:
        FileNotFoundError: no such file.
        CorruptNetwork: a damaged file, or one with a network that cannot be run.
        ValueError: an argument outside what is allowed, or a `dt` above a time constant.
    """
    rule = Rule(
        checks.number("dt", dt, lambda step: step > 0, "> 0, a step in the file's unit of time"),
        checks.choice("reset", reset, RESETS),
        checks.choice("update", update, UPDATES),
    )
    if rule.reset == "multispike" and rule.update != "nir":
        raise ValueError(f"update={update!r} must be 'nir' with reset='multispike'")
    limit = checks.whole("limit", limit, 1)
    try:
        graph = _graph(stored.read(Path(path), limit), rule, limit)
    except CorruptNetwork as error:
        raise CorruptNetwork(f"path={str(path)!r} holds no sound network: {error}") from error
    shape = graph.shapes[SOURCE]
    frame = (*shape, *[1] * (3 - len(shape)))
    return adapt(graph, input_shape=frame, classes=classes)  # type: ignore[arg-type]


def _graph(root: Node, rule: Rule, limit: int) -> Graph:
    flat = flattened(root)
    _check_step(flat.nodes, rule.dt)
    start = flat.nodes[flat.first]
    with _named(flat.first, start.kind):
        graph = Graph(sizes(start.fields["shape"]), limit)
    keys = {flat.first: SOURCE}
    _lay(graph, flat.nodes, flat.edges, keys, rule)
    graph.output = keys[flat.last]
    if len(graph.shapes[graph.output]) > 1:
        graph.add("flat", Folded(nn.Flatten()), [graph.output])
    return graph


def _lay(
    graph: Graph, nodes: Mapping[str, Node], edges: list[Edge], keys: dict[str, str], rule: Rule
) -> None:
    """Adds nodes to a graph in the order in which they run.

    Args:
        graph: where.
        nodes: which, and those that are there already.
        edges: that lead to the nodes.
        keys: names in the graph of nodes that are there; gets the others'.
        rule: how neurons are stepped.
    """
    inner = loops(nodes, edges)
    within = set().union(*inner.values())
    sources: dict[str, list[str]] = {name: [] for name in nodes if name not in within}
    for before, after in edges:
        if before != after and not {before, after} & within:
            sources[after].append(before)
    for name in TopologicalSorter(sources).static_order():
        with _named(name, nodes[name].kind):
            if name in keys:
                if sources[name]:
                    raise CorruptNetwork("an edge leads to it")
                continue
            given = [keys[source] for source in sources[name]]
            shape = graph.met(given)
            feedback = None
            if name in inner:
                members = {key: nodes[key] for key in (name, *inner[name])}
                feedback = _feedback(members, edges, name, shape, rule)
            *scales, last = modules(nodes[name], shape, rule, feedback)
            for scale in scales:
                given = [graph.add(f"{name}_scale", scale, given)]
            keys[name] = graph.add(name, last, given)


def _feedback(
    nodes: dict[str, Node], edges: list[Edge], neurons: str, shape: tuple[int, ...], rule: Rule
) -> Graph:
    """What leads from neurons back to themselves."""
    graph, keys = Graph(shape), {neurons: SOURCE}
    own = [(a, b) for a, b in edges if a in nodes and b in nodes]
    _lay(graph, nodes, [(a, b) for a, b in own if b != neurons], keys, rule)
    graph.add("back", nn.Identity(), [keys[a] for a, b in own if b == neurons])
    if graph.shapes[graph.output] != shape:
        raise CorruptNetwork(
            f"its recurrent edges bring the shape {list(graph.shapes[graph.output])}, others "
            f"{list(shape)}"
        )
    return graph


def _check_step(nodes: Mapping[str, Node], dt: float) -> None:
    """Raises ValueError where a step is longer than a time constant: Euler's method would swing."""
    for name, node in nodes.items():
        for key in ("tau", "tau_mem", "tau_syn"):
            tau = node.fields.get(key)
            if isinstance(tau, np.ndarray) and tau.size and 0 < tau.min() < dt * (1 - 1e-6):
                raise ValueError(
                    f"dt={dt!r} must be at most {key}={tau.min():.6g} of node {name} "
                    f"({node.kind}), and in the same unit of time"
                )


@contextmanager
def _named(name: str, kind: str) -> Iterator[None]:
    """Names the node in the message of an error inside the block."""
    try:
        yield
    except CorruptNetwork as error:
        raise CorruptNetwork(f"node {name} ({kind}): {error}") from error
    except (OverflowError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise CorruptNetwork(f"node {name} ({kind}) cannot be built: {error}") from error
