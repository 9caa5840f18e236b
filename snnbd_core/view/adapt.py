"""Gives a network of any library the contract [T, B, C, H, W] -> logits [B, classes]."""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core import checks, guards
from snnbd_core.guards import unfolded
from snnbd_core.view.blocks import hooked
from snnbd_core.view.errors import NotVisible
from snnbd_core.view.libraries import reset, spiking

__all__ = ["Adapted", "adapt"]

LAYOUTS = ("TBCHW", "BTCHW", "step")
READOUTS = ("rate", "potential", "logits")


class Adapted(nn.Module):
    """A network behind the contract; built by `adapt`. Its state dict has the network's as "net."

    Every run starts from a fresh state and leaves none behind, so that it can be copied and saved.
    """

    def __init__(self, net: nn.Module, layout: str, readout: str) -> None:
        super().__init__()
        self.net = net
        self.layout, self.readout = layout, readout
        self.input_shape: tuple[int, ...] | None = None
        self.classes: int | None = None
        self.stochastic = False

    def forward(self, sequence: Tensor) -> Tensor:
        """Logits [B, classes] of [T, B, C, H, W].

        Raises:
            ValueError: what the network gives is not what its layout and read-out promise.
            NotVisible: potentials of a network that does not spike.
        """
        reset(self.net)
        try:
            return self._pooled(self._read(sequence))
        finally:
            reset(self.net)

    def _read(self, sequence: Tensor) -> Tensor:
        steps, batch = sequence.shape[:2]
        if self.readout == "potential":
            return self._potential(sequence).flatten(1)
        outputs = self._run(sequence)
        if outputs.dim() == 2 and self.readout == "logits" and len(outputs) == batch:
            return outputs
        if outputs.dim() == 3 and outputs.shape[:2] == (steps, batch):
            return outputs.mean(0)
        wanted = {
            "TBCHW": f"[T, B, classes] = [{steps}, {batch}, classes]",
            "BTCHW": f"[B, T, classes] = [{batch}, {steps}, classes]",
            "step": f"[B, classes] = [{batch}, classes] at each step",
        }[self.layout]
        got = outputs.transpose(0, 1) if self.layout == "BTCHW" and outputs.dim() > 2 else outputs
        alone = " or [B, classes]" if self.readout == "logits" else ""
        raise ValueError(
            f"net={type(self.net).__name__} gives outputs of shape {list(got.shape)}: allowed with "
            f"layout={self.layout!r} and readout={self.readout!r} is {wanted}{alone}"
        )

    def _run(self, sequence: Tensor) -> Tensor:
        """Outputs [T, B, ...], or [B, classes] where the network has read them out itself."""
        if self.layout == "step":
            return torch.stack(self._stepped(sequence))
        if self.layout == "TBCHW":
            return self._first(self.net(sequence))
        outputs = self._first(self.net(sequence.transpose(0, 1)))
        return outputs.transpose(0, 1) if outputs.dim() > 2 else outputs

    def _stepped(self, sequence: Tensor) -> list[Tensor]:
        states = _states(self.net)
        outputs: list[Tensor] = []
        handed_on: tuple[Any, ...] = ()
        for frame in sequence:
            given = self.net(frame, *handed_on)
            outputs.append(self._first(given))
            if not states or not isinstance(given, tuple):
                continue
            if len(states) > 1 or len(given) != 2:
                raise ValueError(
                    f"net={type(self.net).__name__} takes {', '.join(states)} and gives "
                    f"{_told(given)}: allowed is one state, and (output, state)"
                )
            handed_on = given[1:]
        return outputs

    def _first(self, given: Any) -> Tensor:
        first = given[0] if isinstance(given, tuple) and given else given
        if isinstance(first, Tensor):
            return first
        raise ValueError(
            f"net={type(self.net).__name__} gives {_told(given)}: allowed is a tensor, or a tuple "
            "that begins with one; stack lists over time, as in torch.stack(outputs)"
        )

    def _potential(self, sequence: Tensor) -> Tensor:
        """Mean over time of the potential of the neurons that ran last, [B, ...]."""
        seen: list[tuple[nn.Module, Tensor]] = []
        neurons = dict(spiking(self.net))

        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            seen.append((module, neurons[module].potential(module, output)))

        with ExitStack() as stack:
            for module, adapter in neurons.items():
                stack.enter_context(adapter.potentials(module))
            stack.enter_context(hooked(neurons, note))
            self._run(sequence)
        if not seen:
            raise NotVisible("a potential", type(self.net).__name__, "needed are spiking neurons")
        last = seen[-1][0]
        parts = [potential for module, potential in seen if module is last]
        axes = neurons[last].axes(last)
        if axes is not None and len(parts) == (len(sequence) if axes == "step" else 1):
            return torch.cat([unfolded(part, axes, len(sequence)) for part in parts]).mean(0)
        needed = f"they run {len(parts)} times in {len(sequence)} steps"
        raise NotVisible("the potential of its last neurons", type(self.net).__name__, needed)

    def _pooled(self, outputs: Tensor) -> Tensor:
        if self.classes is None or outputs.shape[1] == self.classes:
            return outputs
        if outputs.shape[1] % self.classes:
            raise ValueError(
                f"classes={self.classes} does not divide the network's {outputs.shape[1]} outputs"
            )
        return outputs.unflatten(1, (self.classes, -1)).mean(2)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        guards.prepare(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def adapt(
    net: nn.Module,
    *,
    layout: str = "TBCHW",
    readout: str = "rate",
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    stochastic: bool = False,
) -> Adapted:
    """Wraps a network so that it takes [T, B, C, H, W] and gives logits [B, classes].

    Args:
        net: of snnTorch, SpikingJelly, norse, sinabs, this library or plain torch; shared, not
            copied.
        layout: what it takes: "TBCHW", "BTCHW", or "step" for [B, C, H, W] in each of T calls. A
            network that is called step by step may give (output, state) and take the state as its
            second argument; of other tuples, as (spikes, potentials), the first part counts.
        readout: how logits come from what it gives: "rate" is the mean over time of its outputs,
            "potential" the mean over time of the membrane potential of the neurons that run last,
            "logits" its own output [B, classes], or the mean over time of [T, B, classes].
        input_shape: (C, H, W), where the network is to be looked into before it has seen samples.
        classes: number of logits; more outputs are averaged in equal groups, first group first.
        stochastic: True says that it may answer a batch differently the second time.

    Raises:
        ValueError: an unknown layout or read-out, classes below 1, or a network that cannot be
            called with its input alone.
    """
    net = getattr(net, "_orig_mod", net)  # what torch.compile wraps
    takes = inspect.signature(net.forward)
    try:
        takes.bind("one input")
    except TypeError:
        needed = [name for name, given in takes.parameters.items() if given.default is given.empty]
        raise ValueError(
            f"net={type(net).__name__} must be called with {', '.join(needed) or 'nothing'}: "
            "allowed is one input; let its forward start from a state of its own, as by "
            "mem=None, or use init_hidden=True"
        ) from None
    adapted = Adapted(
        net, checks.choice("layout", layout, LAYOUTS), checks.choice("readout", readout, READOUTS)
    )
    if input_shape is not None:
        adapted.input_shape = tuple(checks.whole("input_shape", size, 1) for size in input_shape)
    adapted.classes = None if classes is None else checks.whole("classes", classes, 1)
    adapted.stochastic = checks.flag("stochastic", stochastic)
    return adapted


def _states(net: nn.Module) -> list[str]:
    """What a network may be given after its input, from None on: its state, step by step."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    takes = inspect.signature(net.forward).parameters
    given = [name for name in takes if takes[name].kind in kinds]
    return [name for name in given[1:] if takes[name].default is None]


def _told(given: Any) -> str:
    if isinstance(given, tuple | list):
        return f"a {type(given).__name__} of {', '.join(type(part).__name__ for part in given[:4])}"
    return type(given).__name__
