"""How a network runs: its layers of neurons and its layers with weights, in the order of calls.

One small batch goes through the network. What is called in each time step is seen once; a module
that is called twice within a step is two layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from snnbd_core import guards
from snnbd_core.view.adapter import Adapter
from snnbd_core.view.blocks import hooked
from snnbd_core.view.errors import NotVisible
from snnbd_core.view.libraries import adapter_of

__all__ = ["Layer", "Trace", "Weights", "blocks", "sample", "traced"]

_WEIGHTED = (_ConvNd, nn.Linear, _BatchNorm)


@dataclass(frozen=True)
class Layer:
    """A layer of neurons as it runs.

    Attributes:
        name: of the module in the network, with "#2" and so on for later uses.
        module: the module.
        adapter: how it is read and set.
        axes: how current and spikes of one call lie, see `snnbd_core.guards.AXES`.
        use: which use of the module within a time step this is, from 0.
        uses: how often the module is used in a step.
        shape: of its neurons, (C, H, W) or (N,).
    """

    name: str
    module: nn.Module
    adapter: Adapter
    axes: str
    use: int
    uses: int
    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        """Channels of an image, or neurons of a dense layer."""
        return self.shape[0]

    @property
    def inner(self) -> tuple[nn.Module, ...]:
        """Layers with weights inside the module: those of its recurrent connections."""
        return tuple(part for part in self.module.modules() if isinstance(part, _WEIGHTED))

    def __str__(self) -> str:
        return f"{self.name} ({type(self.module).__name__})"


@dataclass(frozen=True)
class Weights:
    """A layer with weights as it runs: a convolution or a dense layer, or a batch norm.

    Attributes:
        name, module: as of `Layer`.
        norm: the batch norm that takes what this layer gives, if one does.
        feeds: number of the layer of neurons that comes next; None behind the last.
    """

    name: str
    module: nn.Module
    norm: nn.Module | None
    feeds: int | None

    @property
    def matrix(self) -> Tensor:
        """The weight [out, in, ...], with 0 between channels of two groups."""
        found = blocks(self.module).detach()
        groups, outputs, inputs, *places = found.shape
        if groups == 1:
            return found[0]
        spread = found.new_zeros(groups, outputs, groups, inputs, *places)
        spread[torch.arange(groups), :, torch.arange(groups)] = found
        return spread.flatten(2, 3).flatten(0, 1)


def blocks(layer: Any) -> Tensor:
    """The weight of a linear layer or convolution, by its groups: [groups, out, in, ...]."""
    found: Tensor = layer.weight.unflatten(0, (getattr(layer, "groups", 1), -1))
    # a transposed convolution's is [in, out of a group, ...]
    return found.transpose(1, 2) if getattr(layer, "transposed", False) else found


@dataclass(frozen=True)
class Trace:
    """What a run showed: layers in the order in which they run, and the number of logits."""

    layers: tuple[Layer, ...]
    weights: tuple[Weights, ...]
    input_shape: tuple[int, ...]
    classes: int


@dataclass
class _Call:
    """One call of a module. Its tensors are held, so that no two of them lie at one address."""

    module: nn.Module
    given: Tensor
    gave: Tensor


def traced(net: nn.Module, sequence: Tensor, run: Callable[[Tensor], Tensor]) -> Trace:
    """Runs a network in evaluation mode once, and says what ran.

    The sequence [T, B, C, H, W] has a B other than T and 1; `run` starts from a fresh state.
    """
    neurons = {m: adapter for m in net.modules() if (adapter := adapter_of(m)) is not None}
    inner = {part for neuron in neurons for part in neuron.modules() if part is not neuron}
    weighted = (m for m in net.modules() if isinstance(m, _WEIGHTED) and m not in inner)
    watched = dict.fromkeys((*neurons, *weighted))
    # samples alike and frames that differ: the order of the rows [T * B] shows
    brighter = 1 + torch.arange(len(sequence), device=sequence.device) / len(sequence)
    alike = sequence[:, :1] * brighter.reshape(-1, 1, *[1] * (sequence.dim() - 2))
    sequence = alike.expand_as(sequence).contiguous()
    steps, batch = sequence.shape[:2]
    calls, logits = _calls(watched, run, sequence)
    counted = Counter(call.module for call in calls)
    unsure = any(adapter.axes(module) is None for module, adapter in neurons.items())
    longer = _longer(watched, run, sequence) if unsure else {}
    seen: Counter[nn.Module] = Counter()
    names = {module: name for name, module in net.named_modules()}
    layers: list[Layer] = []
    weights: list[tuple[_Call, str, int]] = []
    norms: dict[int, nn.Module] = {}
    for call in calls:
        module, use = call.module, seen[call.module]
        seen[module] += 1
        again = longer.get(module, [])
        stepwise = call.given.shape[0] == batch and steps > 1 and counted[module] % steps == 0
        stepwise = stepwise and len(again) != counted[module]
        uses = counted[module] // steps if stepwise else counted[module]
        if use >= uses:
            continue  # a later time step
        name = names[module] + (f"#{use + 1}" if use else "")
        if module in neurons:
            adapter = neurons[module]
            axes = adapter.axes(module) or _axes(call.given, steps, batch, again[:1])
            shape = tuple(call.gave.shape[2 if axes in ("time", "batch") else 1 :])
            layers.append(Layer(name, module, adapter, axes, use, uses, shape))
        elif isinstance(module, _BatchNorm):
            norms[call.given.data_ptr()] = module
        else:
            weights.append((call, name, len(layers)))
    chain = tuple(
        Weights(
            name, call.module, norms.get(call.gave.data_ptr()), at if at < len(layers) else None
        )
        for call, name, at in weights
    )
    return Trace(tuple(layers), chain, tuple(sequence.shape[2:]), logits.shape[1])


def _calls(
    watched: Iterable[nn.Module], run: Callable[[Tensor], Tensor], sequence: Tensor
) -> tuple[list[_Call], Tensor]:
    """The calls of modules in one run, and its logits."""
    calls: list[_Call] = []

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls.append(_Call(module, inputs[0], output[0] if isinstance(output, tuple) else output))

    with hooked(watched, note), torch.no_grad(), torch.random.fork_rng(devices=[]):
        return calls, run(sequence)


def _longer(
    watched: Iterable[nn.Module], run: Callable[[Tensor], Tensor], sequence: Tensor
) -> dict[nn.Module, list[torch.Size]]:
    """Shapes of all currents with a step more: what grows with T is time.

    There is none for a network that is built for its number of steps.
    """
    try:
        calls, _ = _calls(watched, run, torch.cat([sequence, sequence[-1:]]))
    except (IndexError, RuntimeError, ValueError):
        return {}
    found: dict[nn.Module, list[torch.Size]] = {}
    for call in calls:
        found.setdefault(call.module, []).append(call.given.shape)
    return found


def _axes(current: Tensor, steps: int, batch: int, longer: Sequence[torch.Size]) -> str:
    shape = current.shape
    if len(shape) > 2 and shape[1] == batch and shape[0] in (steps, 1):
        return "time"
    if shape[0] == steps * batch and steps > 1:
        rows = current.unflatten(0, (batch, steps))
        alike = torch.allclose(rows, rows[:1].expand_as(rows), rtol=1e-4, atol=1e-6)
        same = torch.allclose(current, current[:1].expand_as(current), rtol=1e-4, atol=1e-6)
        return "folded-batch" if alike and not same else "folded"
    if shape[0] == batch and any(size[:2] == (batch, steps + 1) for size in longer):
        return "batch"
    if shape[0] == batch:
        return "step"
    layer = f"a layer with a current of shape {list(shape)}"
    needed = "needed is [T, B, ...], [B, T, ...], [T * B, ...] or [B, ...]"
    raise NotVisible("how its neurons lie in time", layer, f"{needed} with T={steps}, B={batch}")


def sample(net: nn.Module, like: Tensor | None) -> Tensor:
    """A sequence for one run of a network: of a few samples, as many as no other axis has.

    Its samples are those of `like`; None draws one of the network's `input_shape`.
    """
    place = next((p.device for p in net.parameters()), torch.device("cpu"))
    if like is None:
        shape = getattr(net, "input_shape", None)
        if shape is None:
            needed = "needed are samples, or adapt(input_shape=...)"
            raise NotVisible("its input shape", f"net={type(net).__name__}", needed)
        # a network with bounds, or of sinabs, may be for one number of steps
        built = max(getattr(module, "num_timesteps", 2) for module in net.modules())
        steps = guards.steps(net) or built
        like = torch.rand(steps, 1, *shape, generator=torch.Generator().manual_seed(0))
    batch = 3 if len(like) == 2 else 2
    rows = torch.arange(batch, device=like.device) % like.shape[1]
    return like[:, rows].to(place)
