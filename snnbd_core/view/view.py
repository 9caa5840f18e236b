"""The one way to look into a network: what evaluation, attacks and defences know of it.

seen = View(net)
logits = seen(sequence)                       # from a fresh state, [B, classes]
with seen.read(seen.hidden, "spikes") as spikes:
    seen(sequence)                            # spikes[i] is [T, B, C, ...]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from snnbd_core import guards
from snnbd_core.view import lasting
from snnbd_core.view.adapter import Adapter, Settings, Value
from snnbd_core.view.errors import NotVisible
from snnbd_core.view.evaluating import evaluating
from snnbd_core.view.libraries import ADAPTERS, stateful
from snnbd_core.view.logits import as_read, brief, checked_logits, finite
from snnbd_core.view.trace import Layer, Trace, Weights, adapter_of, sample, traced
from snnbd_core.view.watch import Edit, Watch, bound_by, gate

__all__ = ["View"]


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
        self._trace: Trace | None = None
        self._neurons = [
            (module, adapter)
            for module in self.net.modules()
            if (adapter := adapter_of(module, ADAPTERS)) is not None
        ]
        self._stateful = stateful(self.net)

    def __call__(self, sequence: Tensor) -> Tensor:
        """Logits [B, classes] of a sequence [T, B, C, H, W], from a fresh state.

        Raises:
            ValueError: an output that is no [B, classes], or not of finite numbers.
        """
        self.reset()
        try:
            logits = self.net(as_read(self.net, sequence))
            return finite(checked_logits(logits, sequence.shape[1]))
        finally:
            self.reset()  # states that hang on a graph can be neither copied nor saved

    def reset(self) -> None:
        """Forgets the state that a run has left in the neurons."""
        for module, adapter in self._stateful:
            adapter.reset(module)

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

    @property
    def trace(self) -> Trace:
        """What ran, see `Trace`."""
        if self._trace is None:
            with evaluating(self.net), guards.undrawn(self.net):
                self._trace = traced(self.net, self.sample(), self, ADAPTERS)
        return self._trace

    @property
    def spiking(self) -> bool:
        """Whether any layer of neurons spikes."""
        return bool(self.neurons)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers of neurons."""
        return self.trace.layers

    @property
    def spiking_layers(self) -> tuple[Layer, ...]:
        """The layers of neurons that spike."""
        return tuple(layer for layer in self.layers if layer.adapter.spikes)

    @property
    def readout(self) -> Layer | None:
        """The layer whose neurons are the classes; None where the last layer is linear."""
        last = self.trace.weights[-1] if self.trace.weights else None
        if not self.layers or (last is not None and last.feeds is None):
            return None
        return self.layers[-1]

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The layers of neurons before the read-out.

        Raises:
            NotVisible: there is none.
        """
        found = self.layers if self.readout is None else self.layers[:-1]
        if not found:
            raise self.blind(
                "a hidden layer of neurons",
                "needed is LIF, ReLU or a module of "
                + ", ".join(adapter.library for adapter in ADAPTERS),
            )
        return found

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
            NotVisible: a network that is not one chain of layers, such as one with shortcuts.
        """
        recurrent = next((layer for layer in self.layers if layer.inner), None)
        if recurrent is not None:
            raise NotVisible(
                "one chain of layers", str(recurrent), "it has connections within the layer"
            )
        if len(self.weights) != len(self.hidden) + 1:
            raise self.blind(
                "one chain of layers",
                f"it has {len(self.weights)} layers with weights and {len(self.hidden)} hidden "
                "layers of neurons",
            )
        found, channels = [], None
        for layer in self.weights:
            weight: Tensor = layer.module.weight.detach()  # type: ignore[operator]
            channels = weight.shape[1] if channels is None else channels
            found.append(weight.reshape(len(weight), channels, -1).norm(dim=2))
            channels = len(weight)
        return found

    def blind(self, asked: str, needed: str) -> NotVisible:
        """The error that says what the network as a whole does not show."""
        return NotVisible(asked, f"net={type(self.net).__name__}", needed)

    # ---- reading and changing

    def read(self, layers: Sequence[Layer], what: str) -> Watch:
        """A block in which layers are read; see `Watch`.

        Args:
            layers: of this view.
            what: "current", "spikes" or "potential".

        Raises:
            NotVisible: potentials of layers that do not spike.
        """
        return Watch(self.net, layers, what)

    def gated(
        self, values: Sequence[Tensor | None], offsets: Sequence[Tensor] | None = None
    ) -> Watch:
        """A block that multiplies the currents of all hidden channels, and adds offsets to them.

        Gradients reach both.

        Args:
            values, offsets: [C] for each hidden layer; None leaves a layer as it is.
        """
        added = [None] * len(values) if offsets is None else offsets
        edits = {
            layer: gate(value, offset)
            for layer, value, offset in zip(self.hidden, values, added, strict=True)
            if value is not None
        }
        return Watch(self.net, (), None, edits)

    def bounded(self, bounds: Sequence[Tensor]) -> Watch:
        """A block that cuts the currents of hidden layers at upper bounds [T, C]."""
        edits = {layer: bound_by(bound) for layer, bound in zip(self.hidden, bounds, strict=True)}
        return Watch(self.net, (), None, edits)

    def edited(self, edits: dict[Layer, Edit]) -> Watch:
        """A block that changes the currents of layers as it is told, see `Edit`."""
        return Watch(self.net, (), None, edits)

    @property
    def neurons(self) -> list[tuple[nn.Module, Adapter]]:
        """The modules of spiking neurons, whether they run or not, and their adapters."""
        return [(module, adapter) for module, adapter in self._neurons if adapter.spikes]

    def settings(self) -> dict[str, Settings]:
        """What the neurons of each spiking module are set to now, by its name; needs no run."""
        adapters = dict(self.neurons)
        return {
            name: adapters[module].settings(module).detached()
            for name, module in self.net.named_modules()
            if module in adapters
        }

    @contextmanager
    def override(
        self, *, threshold: Value | None = None, beta: Value | None = None
    ) -> Iterator[None]:
        """Runs every spiking layer with another threshold or decay; `view.override` checks them."""
        with ExitStack() as stack:
            for module, adapter in self.neurons:
                stack.enter_context(adapter.overridden(module, threshold, beta))
            yield

    # ---- for good

    def prune(self, keep: Sequence[Tensor]) -> None:
        """Silences channels for good, see `snnbd_core.view.lasting.prune`."""
        lasting.prune(self, keep)

    def guard(self, layer: Layer, kind: str, values: Tensor) -> None:
        """Holds values with a layer for good, see `snnbd_core.view.lasting.guard`."""
        lasting.guard(self, layer, kind, values)

    def sample(self) -> Tensor:
        """A sequence for one run, see `snnbd_core.view.trace.sample`."""
        return sample(self.net, self.like)
