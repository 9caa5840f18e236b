"""Reads a network from a NIR file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
from torch import nn

from snnbd_core import checks
from snnbd_core.exchange.errors import CorruptNetwork, named
from snnbd_core.exchange.graph import SOURCE, Graph
from snnbd_core.exchange.membranes import RESETS, UPDATES
from snnbd_core.exchange.modules import KINDS, Rule, modules, sizes
from snnbd_core.exchange.structure import Edge, Node, flattened, loops
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
    """The network in a NIR file, as `sb.view` and all that uses it take it.

    NIR describes neurons in continuous time and knows no reset but to `v_reset`: `dt` and `reset`
    decide which network it is, and have no default. A step is one of the forward Euler method,
    dv = dt / tau (v_leak - v + r x), from the resting potential. Logits are the mean over time of
    what the output gives. A cycle must run through one layer of spiking neurons, whose spikes
    arrive in the next step.

    Args:
        path: of the file. Nothing in it is executed.
        dt: length of a step in the file's unit of time. NIR says seconds, and snnTorch and
            SpikingJelly write for 1e-4; sinabs counts steps, dt=1.
        reset: "zero", to the file's `v_reset`; "subtract", by the threshold; "multispike", as
            sinabs does: floor(v / threshold) spikes in a step, subtracted, and of IF no potential
            below -threshold.
        update: "nir", spikes above the threshold and a reset in the same step; "snntorch",
            subtraction in the next step; "spikingjelly", spikes at the threshold too.
        classes: number of logits, where a class has several outputs, see `sb.adapt`.
        limit: bytes that the file's values, and the values of one step, may take.

    Raises:
        FileNotFoundError: no such file.
        CorruptNetwork: a damaged file, or one with a network that cannot be run.
        ValueError: an argument outside what is allowed, or a `dt` above a time constant.
    """
    rule = Rule(
        checks.number("dt", dt, lambda step: step > 0, "> 0, a step in the file's unit of time"),
        checks.choice("reset", reset, RESETS),
        checks.choice("update", update, UPDATES if reset != "multispike" else UPDATES[:1]),
    )
    path, limit = Path(path), checks.whole("limit", limit, 1)
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r} is no file")
    with named(f"path={str(path)!r}"):
        from snnbd_core.exchange import stored  # brings h5py

        flat, first, last = flattened(stored.read(path, KINDS, limit))
    _check_step(flat.nodes, rule.dt)
    with named(f"path={str(path)!r}"):
        graph = Graph(sizes(flat.nodes[first].fields["shape"]), limit)
        keys = _lay(graph, flat.nodes, flat.edges, first, rule)
        graph.output = keys[last]
        if len(graph.shapes[graph.output]) > 1:
            graph.add("flat", Folded(nn.Flatten()), [graph.output])
    frame = graph.shapes[SOURCE] + (1,) * (3 - len(graph.shapes[SOURCE]))
    return adapt(graph, input_shape=frame, classes=classes)  # type: ignore[arg-type]  # three long


def _lay(
    graph: Graph, nodes: Mapping[str, Node], edges: Sequence[Edge], first: str, rule: Rule
) -> dict[str, str]:
    """Adds nodes to a graph in the order in which they run; gives their names in it.

    Args:
        graph: with its input only, for which `first` stands.
        nodes, edges: which, and what leads to them.
        rule: how neurons are stepped.
    """
    keys, inner = {first: SOURCE}, loops(nodes, edges)
    within = set[str]().union(*inner.values())
    sources: dict[str, list[str]] = {name: [] for name in nodes if name not in within}
    for before, after in edges:
        if before != after and not {before, after} & within:
            sources[after].append(before)
    if sources[first]:
        raise CorruptNetwork(f"an edge leads to node {first} ({nodes[first].kind})")
    for name in TopologicalSorter(sources).static_order():
        if name == first:
            continue
        with named(f"node {name} ({nodes[name].kind})"):
            given = [keys[source] for source in sources[name]]
            shape, feedback = graph.met(given), None
            if name in inner:
                members = {key: nodes[key] for key in (name, *inner[name])}
                feedback = Graph(shape, graph.left)
                _close(feedback, members, edges, name, rule)
            *scales, last = modules(nodes[name], shape, rule, feedback)
            for scale in scales:
                given = [graph.add(f"{name}_scale", scale, given)]
            keys[name] = graph.add(name, last, given)
    return keys


def _close(
    graph: Graph, nodes: Mapping[str, Node], edges: Sequence[Edge], neurons: str, rule: Rule
) -> None:
    """Adds to a graph what leads from neurons, its input, back to them."""
    own = [(a, b) for a, b in edges if a in nodes and b in nodes]
    keys = _lay(graph, nodes, [(a, b) for a, b in own if b != neurons], neurons, rule)
    graph.add("back", nn.Identity(), [keys[a] for a, b in own if b == neurons])
    given, wanted = graph.shapes[graph.output], graph.shapes[SOURCE]
    if given != wanted:
        raise CorruptNetwork(f"recurrent edges lead to it with the shape {given}, not {wanted}")


def _check_step(nodes: Mapping[str, Node], dt: float) -> None:
    """Raises ValueError for a step longer than a time constant: Euler's method would swing."""
    for name, node in nodes.items():
        for key in ("tau", "tau_mem", "tau_syn"):
            tau = node.fields.get(key)
            if isinstance(tau, np.ndarray) and tau.size and 0 < tau.min() < dt * (1 - 1e-6):
                raise ValueError(
                    f"dt={dt!r} must be at most {key}={tau.min():.6g} of node {name} "
                    f"({node.kind}), and in the same unit of time"
                )
