"""Writes a network to a NIR file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.exchange.graph import SOURCE, Graph, Shape
from snnbd_core.exchange.membranes import UPDATES, Step, SynapticLIF
from snnbd_core.files import write_atomically
from snnbd_core.learning.scaling import folded
from snnbd_core.networks import Network
from snnbd_core.networks.layers import Folded, Gain, Residual
from snnbd_core.neurons import LIF
from snnbd_core.view import Adapted

__all__ = ["write_nir"]

Edge = tuple[str, str]


def write_nir(
    net: nn.Module, path: str | Path, input_shape: Shape | None = None, *, dt: float = 1e-3
) -> dict[str, Any]:
    """Writes a network to a NIR file and gives the arguments with which `read_nir` restores it.

    Batch norm goes into the weights before it, max pooling of spikes becomes a sum above 1/2, and
    dropout is left out; the spikes stay the same.

    Args:
        net: a network of `sb.networks`, one that `read_nir` gave, or an `nn.Sequential` over
            [T, B, ...] of layers as those of the former.
        path: of the file; one that is there is replaced.
        input_shape: (C, H, W), which only an `nn.Sequential` needs.
        dt: length of a step in seconds, by which decays become time constants.

    Raises:
        ValueError: what NIR has no node for, as encoders, guards, hooks, and modules on neurons; or
            neurons that reset in different ways or never.
    """
    import nir

    dt = checks.above("dt", dt, 0)
    graph = _graph(net, input_shape)
    reset, update = _rule(graph)
    nodes: dict[str, Any] = {SOURCE: nir.Input(np.array(graph.shapes[SOURCE]))}
    edges: list[Edge] = []
    ends = _lay(graph, nodes, edges, dt, SOURCE)
    nodes["output"] = nir.Output(np.array(graph.shapes[graph.output]))
    edges += [(end, "output") for end in ends]
    file = io.BytesIO()
    nir.write(file, nir.NIRGraph(nodes, edges, type_check=False))
    write_atomically(Path(path), lambda out: out.write(file.getvalue()))
    return {"dt": dt, "reset": reset, "update": update, "classes": getattr(net, "classes", None)}


def _graph(net: nn.Module, input_shape: Shape | None) -> Graph:
    guards = [name for name in net.state_dict() if "guard_" in name]
    if guards:
        raise ValueError(f"net holds {guards[0]}: NIR has no node for what repairs put on layers")
    for name, part in net.named_modules():
        _check_bare(name, part)
    if isinstance(net, Adapted) and isinstance(net.net, Graph):
        return net.net
    if isinstance(net, nn.Sequential) and input_shape is not None:
        net = Network(list(net), tuple(input_shape), 1, voters=1)  # type: ignore[arg-type]  # length unknown
    if not isinstance(net, Network) or net.encoder is not None:
        raise ValueError(
            f"net={type(net).__name__} cannot be written: allowed is a network of sb.networks "
            "without an encoder, one of read_nir, or an nn.Sequential with input_shape=(C, H, W)"
        )
    graph, end = Graph(net.input_shape), SOURCE
    for layer in folded(net).layers:
        end = _append(graph, layer, end)
    return graph


def _check_bare(name: str, part: nn.Module) -> None:
    """ValueError for hooks on a module, or modules on neurons: they might change what it gives."""
    own = ["feedback"] if isinstance(part, SynapticLIF) else []
    children = [child for child, _ in part.named_children() if child not in own]
    put = children if isinstance(part, LIF) else []
    hooks = [*part._forward_pre_hooks.values(), *part._forward_hooks.values()]
    put += [getattr(hook, "__qualname__", type(hook).__qualname__) for hook in hooks]
    if put:
        raise ValueError(
            f"{name or 'the network'!r} ({type(part).__name__}) holds {put[0]}: NIR has no node "
            "for what is put on layers; write the network without it (pruning and norms of torch "
            "have a remove function)"
        )


def _append(graph: Graph, layer: nn.Module, source: str) -> str:
    """Puts a layer behind a node and gives the name of its last node."""
    name = f"{len(graph.nodes)}_{type(layer).__name__}".lower()
    if isinstance(layer, nn.Identity):
        return source
    if isinstance(layer, Residual):
        ends = [_append(graph, part, source) for part in (layer.body, layer.shortcut)]
        return graph.add(f"{len(graph.nodes)}_lif", layer.neuron, ends)
    if isinstance(layer, nn.Sequential):
        for part in layer:
            source = _append(graph, part, source)
        return source
    if isinstance(layer, LIF | Gain):
        return graph.add(name, layer, [source])
    if isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size == 1:
        layer = nn.AvgPool2d(graph.shapes[source][1:])  # type: ignore[arg-type]  # two are left
    if not isinstance(layer, nn.MaxPool2d):
        return graph.add(name, Folded(layer), [source])
    spikes = source != SOURCE and isinstance(graph.nodes[source], LIF)
    if not spikes or layer.ceil_mode or layer.dilation != 1:
        raise ValueError(f"{layer} cannot be written: allowed is plain max pooling of spikes")
    summed = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, divisor_override=1)
    source = graph.add(f"{name}_sum", Folded(summed), [source])
    return graph.add(f"{name}_any", Step(torch.tensor(0.5)), [source])


def _lay(
    graph: Graph, nodes: dict[str, Any], edges: list[Edge], dt: float, source: str, prefix: str = ""
) -> list[str]:
    """Adds NIR's nodes and edges of a graph and gives the nodes that lead to its output."""
    from snnbd_core.exchange.nodes import nir_node  # brings nir

    ends = {SOURCE: [source]}
    for name, module in graph.nodes.items():
        before = [end for key in graph.sources[name] for end in ends[key]]
        if isinstance(module, nn.Identity):
            ends[name] = before
            continue
        own = prefix + name
        nodes[own] = nir_node(module, graph.met(graph.sources[name]), dt)
        if isinstance(module, SynapticLIF) and isinstance(module.feedback, Graph):
            before += _lay(module.feedback, nodes, edges, dt, own, f"{own}_")
        edges += [(end, own) for end in before]
        ends[name] = [own]
    return ends[graph.output]


def _rule(graph: Graph) -> tuple[str, str]:
    """The reset and the update with which all neurons would step as they do."""
    rules = [_rules(part) for part in graph.modules() if isinstance(part, LIF)]
    common = set.intersection(*rules) if rules else {("zero", "nir")}
    if not common or any(reset == "none" for reset, _ in common):
        raise ValueError(
            f"net holds neurons that reset as {sorted(set.union(*rules))}: NIR says nothing of "
            "resets, so that all must be alike, to zero or by subtraction"
        )
    return min(common, key=lambda rule: UPDATES.index(rule[1]))


def _rules(neurons: LIF) -> set[tuple[str, str]]:
    reset, update = neurons.rule.reset, neurons.rule.update
    if isinstance(neurons, SynapticLIF):
        reset, update = "multispike" if neurons.multiple else reset, neurons.update
    same_step = reset == "zero" or bool((neurons.in_force()[1] == 1).all())
    alike = ("nir", "snntorch")
    updates = alike if same_step and update in alike and reset != "multispike" else (update,)
    return {(reset, name) for name in updates}
