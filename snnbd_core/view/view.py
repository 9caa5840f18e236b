"""The one way to look into a network: what evaluation, attacks and defences know of it.

seen = View(net)
logits = seen(sequence)                       # from a fresh state, [B, classes]
with seen.read(seen.hidden, "spikes") as spikes:
    seen(sequence)                            # spikes[i] is [T, B, C, ...]
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from snnbd_core import guards
from snnbd_core.view import behind, lasting, libraries
from snnbd_core.view.adapter import Adapter, Settings
from snnbd_core.view.blocks import evaluating
from snnbd_core.view.errors import NotVisible
from snnbd_core.view.logits import as_read, brief, checked_logits, finite
from snnbd_core.view.trace import Layer, Trace, Weights, sample, traced
from snnbd_core.view.watch import Edits, watch

__all__ = ["View"]

Reading = AbstractContextManager[list[Tensor]]


class View:
    """A network and what it shows.

    Args:
        net: takes [T, B, C, H, W], gives logits [B, classes]; of any library in `ADAPTERS`, or
            wrapped by `adapt`.
        like: a sequence as the network reads it, of any T and B; None draws one of the
            network's `input_shape`.

    Layers are those that ran, in the order in which they ran; the network is run for that when
    they are asked for first.
    """

    def __init__(self, net: nn.Module, like: Tensor | None = None) -> None:
        self.net: nn.Module = getattr(net, "_orig_mod", net)  # what torch.compile wraps
        self.like = like

    def __call__(self, sequence: Tensor) -> Tensor:
        """Logits [B, classes] of a sequence [T, B, C, H, W], from a fresh state.

        Raises:
            ValueError: an output that is no [B, classes], or not of finite numbers.
            RuntimeError: the network's own, with the shape that it was given.
        """
        self.reset()
        try:
            logits = self.net(as_read(self.net, sequence))
            return finite(checked_logits(logits, sequence.shape[1]))
        except RuntimeError as error:
            error.add_note(f"the network was given a sequence [T, B, ...] of {[*sequence.shape]}")
            raise
        finally:
            self.reset()  # states that hang on a graph can be neither copied nor saved

    def reset(self) -> None:
        """Forgets the state that a run has left in the neurons."""
        libraries.reset(self.net)

    def check_steady(self, sequence: Tensor) -> None:
        """Raises ValueError where the network answers one batch in two ways.

        A network that does so on purpose says it by an attribute ``stochastic = True``.
        """
        if any(getattr(module, "stochastic", False) for module in self.net.modules()):
            return
        with torch.no_grad():
            first, second = self(sequence), self(sequence)
        if not torch.allclose(first, second, rtol=1e-4, atol=1e-5, equal_nan=True):
            row = int((first - second).abs().amax(dim=1).argmax())
            raise ValueError(
                f"net={type(self.net).__name__} answers the same batch differently the second "
                f"time: sample {row} gets {brief(first[row])}, then {brief(second[row])}; reset "
                "its state at the start of forward, or declare it by net.stochastic = True"
            )

    # ---- what there is

    @cached_property
    def trace(self) -> Trace:
        """What ran, see `Trace`."""
        with evaluating(self.net), guards.undrawn(self.net):
            return traced(self.net, sample(self.net, self.like), self)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers of neurons."""
        return self.trace.layers

    @property
    def weights(self) -> tuple[Weights, ...]:
        """Convolutions and dense layers."""
        return self.trace.weights

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return self.trace.input_shape

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.trace.classes

    @cached_property
    def neurons(self) -> list[tuple[nn.Module, Adapter]]:
        """The modules of spiking neurons, whether they run or not, and their adapters."""
        return libraries.spiking(self.net)

    @property
    def spiking(self) -> bool:
        """Whether any layer of neurons spikes."""
        return bool(self.neurons)

    @property
    def spiking_layers(self) -> tuple[Layer, ...]:
        """The layers of neurons that spike."""
        return tuple(layer for layer in self.layers if layer.adapter.spikes)

    @cached_property
    def readout(self) -> Layer | None:
        """The layer whose neurons are the classes; None where weights mix what the last give."""
        if not self.layers or any(last.feeds is None for last in self.weights[-1:]):
            return None
        last = self.layers[-1]
        return None if behind.mixes(self, last) else last

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The layers of neurons before the read-out.

        Raises:
            NotVisible: there is none.
        """
        found = self.layers if self.readout is None else self.layers[:-1]
        if not found:
            known = ", ".join(adapter.library for adapter in libraries.ADAPTERS)
            needed = f"needed is LIF, ReLU or a module of {known}"
            raise self.blind("a hidden layer of neurons", needed)
        return found

    def potentials(self, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, classes] and the read-out's potential at each step [T, B, neurons].

        A linear read-out of a spiking network has no threshold: it sums up, so that its mean
        potential is its logits, and [1, B, classes] is given. Gradients reach the sequence.

        Raises:
            NotVisible: a network that does not spike.
        """
        if not self.spiking:
            raise self.blind("a membrane potential", "needed are spiking neurons")
        if self.readout is None:
            logits = self(sequence)
            return logits, logits.unsqueeze(0)
        with self.read([self.readout], "potential") as seen:
            logits = self(sequence)
        return logits, seen[0].flatten(2)

    def biases(self) -> list[Tensor]:
        """What each hidden layer's channels get whatever the input is: their bias, [C] or [1].

        It is that of the last layer with weights before the neurons (of batch norm, where there is
        one), 0 where that has none.
        """
        found = []
        for number in range(len(self.hidden)):
            before = [weights for weights in self.weights if weights.feeds == number]
            if not before:
                raise self.blind("a bias", "needed is a layer with weights before each layer")
            last = before[-1].norm or before[-1].module
            weight = next(before[-1].module.parameters())
            bias = getattr(last, "bias", None)
            found.append(torch.zeros(1, device=weight.device) if bias is None else bias.detach())
        return found

    def connections(self) -> list[Tensor]:
        """How strongly channels feed those of the next layer, [out, in] for each layer.

        An entry is the norm of the weights between two channels. The first has the input's
        channels as `in`, the last the read-out's neurons as `out`.

        Raises:
            NotVisible: a network that is not one chain of layers, such as one with shortcuts, or
                one with a layer that takes other channels than the layer before gives.
        """
        recurrent = next((layer for layer in self.layers if layer.inner), None)
        if recurrent is not None:
            within = "it has connections within the layer"
            raise NotVisible("one chain of layers", str(recurrent), within)
        if len(self.weights) != len(self.hidden) + 1:
            counts = f"{len(self.weights)} layers with weights and {len(self.hidden)} hidden layers"
            raise self.blind("one chain of layers", f"it has {counts} of neurons")
        found, channels = [], None
        for layer in self.weights:
            weight = layer.matrix
            inputs, image = weight.shape[1], weight.dim() > 2
            channels = inputs if channels is None else channels
            if inputs % channels or (image and inputs != channels):
                counts = f"it takes {inputs} channels and is given {channels} by the layer before"
                raise NotVisible("one chain of layers", layer.name, counts)
            found.append(weight.reshape(len(weight), channels, -1).norm(dim=2))
            channels = len(weight)
        return found

    def blind(self, asked: str, needed: str) -> NotVisible:
        """The error that says what the network as a whole does not show."""
        return NotVisible(asked, f"net={type(self.net).__name__}", needed)

    # ---- reading and changing

    def read(self, layers: Sequence[Layer], what: str) -> Reading:
        """A block in which layers are read; see `watch`.

        Args:
            layers: of this view.
            what: "current", "spikes" or "potential".

        Raises:
            NotVisible: potentials of layers that do not spike.
        """
        silent = [layer for layer in layers if what == "potential" and not layer.adapter.spikes]
        if silent:
            raise NotVisible("a membrane potential", str(silent[0]), "needed are spiking neurons")
        return watch(self.net, layers, what, {})

    def edited(self, edits: Edits) -> Reading:
        """A block that changes the currents of layers as it is told, see `watch.Edit`."""
        return watch(self.net, (), None, edits)

    def gated(
        self, values: Sequence[Tensor | None], offsets: Sequence[Tensor] | None = None
    ) -> Reading:
        """A block that multiplies the currents of all hidden channels, and adds offsets to them.

        Gradients reach both.

        Args:
            values, offsets: [C] for each hidden layer; None leaves a layer as it is.
        """

        def gate(current: Tensor, now: slice, *, value: Tensor, offset: Tensor | None) -> Tensor:
            return guards.gated(current, value, offset)

        added = [None] * len(values) if offsets is None else offsets
        rows = zip(self.hidden, values, added, strict=True)
        gates = {layer: partial(gate, value=v, offset=o) for layer, v, o in rows if v is not None}
        return self.edited(gates)

    def bounded(self, bounds: Sequence[Tensor], lower: Sequence[Tensor] = ()) -> Reading:
        """A block that cuts the currents of hidden layers at upper, and lower, bounds [T, C]."""

        def cut(current: Tensor, now: slice, *, high: Tensor, low: Tensor | None) -> Tensor:
            current = current if low is None else guards.raised(current, low[now])
            return guards.bounded(current, high[now])

        lows: Sequence[Tensor | None] = lower or [None] * len(bounds)
        rows = zip(self.hidden, bounds, lows, strict=True)
        return self.edited({layer: partial(cut, high=high, low=low) for layer, high, low in rows})

    def settings(self) -> dict[str, Settings]:
        """What the neurons of each spiking module are set to now, by its name; needs no run."""
        names = {module: name for name, module in self.net.named_modules()}
        return {names[module]: adapter.settings(module) for module, adapter in self.neurons}

    # ---- for good

    def prune(self, keep: Sequence[Tensor]) -> None:
        """Silences channels for good, see `snnbd_core.view.lasting.prune`."""
        lasting.prune(self, keep)

    def guard(self, layer: Layer, kind: str, values: Tensor) -> None:
        """Holds values with a layer for good, see `snnbd_core.guards`.

        Raises:
            NotVisible: neurons that cannot be guarded so from outside.
        """
        if kind == "gate" and layer.inner:
            raise NotVisible("all its currents", str(layer), "it has connections within the layer")
        if kind in ("factor", "noise") and not layer.adapter.scales(layer.module):
            needed = (
                "needed are neurons that start from 0, are reset to 0 or by the threshold, and "
                "have no connections within the layer"
            )
            raise NotVisible("a threshold of its own for each neuron", str(layer), needed)
        if kind == "noise" and layer.axes == "folded":
            raise NotVisible("which rows are one sample", str(layer), "needed is [T, B, ...]")
        where = {"axes": layer.axes, "use": layer.use, "uses": layer.uses}
        guards.attach(self.net, layer.module, kind, values, **where)
