"""How five frameworks build neurons, write a network to NIR, read it, and run it."""

from __future__ import annotations

import importlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

import snnbd_core as sb
from snnbd_core.networks.layers import Folded
from snnbd_core.view import View

STEPS, COUNT, DT = 12, 100, 2.0**-10
SHAPE = (2, 6, 6)


class NoSuchNeurons(Exception):  # noqa: N818 - nothing failed
    """A framework has none, or none that it writes."""


@dataclass(frozen=True)
class Neurons:
    """What a layer's neurons are set to."""

    size: tuple[int, ...]
    reset: str
    threshold: float = 0.7
    beta: float = 0.5
    slope: float = 2.0
    recurrent: bool = False


class SnnTorch:
    """snnTorch, whose neurons are called step by step and hold their state."""

    name, reset = "snnTorch", "zero"
    right: ClassVar[dict[str, Any]] = {"dt": 1e-4, "reset": "zero", "update": "nir"}
    package = "snntorch"

    def neuron(self, given: Neurons) -> nn.Module:
        snn = importlib.import_module("snntorch")
        each = torch.ones(given.size)
        how = {"init_hidden": True, "reset_mechanism": given.reset}
        how["spike_grad"] = importlib.import_module("snntorch.surrogate").atan(alpha=given.slope)
        how |= {"reset_delay": False} if given.reset == "zero" else {}
        if given.recurrent:
            cell = snn.RLeaky(
                given.beta * each, given.threshold * each, linear_features=given.size[0], **how
            )
            with torch.no_grad():
                cell.recurrent.weight.copy_(grid(*cell.recurrent.weight.shape, seed=9))
                cell.recurrent.bias.zero_()
            return cell  # type: ignore[no-any-return]  # of an untyped library
        leaky: nn.Module = snn.Leaky(given.beta * each, given.threshold * each, **how)
        return leaky

    def readout(self, size: int) -> nn.Module:
        """Neurons that do not spike and whose potential is the answer."""
        how = {"init_hidden": True, "output": True, "reset_mechanism": "none"}
        each = torch.ones(size)
        leaky: nn.Module = importlib.import_module("snntorch").Leaky(0.5 * each, each, **how)
        return leaky

    def net(self, *layers: nn.Module) -> nn.Module:
        return nn.Sequential(*layers)

    def write(self, net: nn.Module, x: Tensor) -> Any:
        export = importlib.import_module("snntorch.export_nir").export_to_nir
        return export(net, x[0, :1], ignore_dims=[0])

    def read(self, graph: Any) -> nn.Module:
        found: nn.Module = importlib.import_module("snntorch.import_nir").import_from_nir(graph)
        return found

    def run(self, net: nn.Module, x: Tensor, hands: bool) -> Tensor:
        """Spikes [T, B, outputs] of [T, B, ...]; read networks are handed their state.

        A network that is not handed it and gives a pair gives its potentials second.
        """
        for module, adapter in View(net).neurons:
            adapter.reset(module)
        found, state = [], None
        for frame in x:
            given = net(frame, state) if hands else net(frame)
            answer, state = given if isinstance(given, tuple) else (given, None)
            found.append(answer if hands or state is None else state)
        return torch.stack(found)


class SpikingJelly(SnnTorch):
    """SpikingJelly, in single-step mode."""

    name, package = "SpikingJelly", "spikingjelly"
    right: ClassVar[dict[str, Any]] = {"dt": 1e-4, "reset": "zero", "update": "spikingjelly"}

    def neuron(self, given: Neurons) -> nn.Module:
        parts = importlib.import_module("spikingjelly.activation_based")
        kinds = importlib.import_module(f"{parts.__name__}.neuron")
        gradient = importlib.import_module(f"{parts.__name__}.surrogate").ATan(alpha=given.slope)
        if given.recurrent:
            raise NoSuchNeurons
        rest = 0.0 if given.reset == "zero" else None
        return kinds.LIFNode(  # type: ignore[no-any-return]  # of an untyped library
            1 / (1 - given.beta), False, given.threshold, rest, surrogate_function=gradient
        )

    def readout(self, size: int) -> nn.Module:
        kinds = importlib.import_module("spikingjelly.activation_based.neuron")
        leaky: nn.Module = kinds.NonSpikingLIFNode(2.0)
        return leaky

    def run(self, net: Any, x: Tensor, hands: bool) -> Tensor:
        if not hands and type(net[-1]).__name__.startswith("NonSpiking"):  # called with all steps
            return torch.stack(net[-1](super().run(net[:-1], x, hands)))
        return super().run(net, x, hands)

    def write(self, net: nn.Module, x: Tensor) -> Any:
        where = "spikingjelly.activation_based.nir_exchange"
        return importlib.import_module(where).export_to_nir(net, x[0, :1])

    def read(self, graph: Any) -> nn.Module:
        where = "spikingjelly.activation_based.nir_exchange"
        found: nn.Module = importlib.import_module(where).import_from_nir(graph)
        return found


class Norse(SnnTorch):
    """norse, whose networks are handed their state."""

    name, package = "norse", "norse"
    right: ClassVar[dict[str, Any]] = {"dt": DT * DT, "reset": "zero", "update": "nir"}

    def neuron(self, given: Neurons) -> nn.Module:
        norse = importlib.import_module("norse.torch")
        if given.recurrent:
            raise NoSuchNeurons
        resets = importlib.import_module("norse.torch.functional.reset")
        settings = norse.LIFBoxParameters(
            torch.full(given.size, (1 - given.beta) / DT),
            v_leak=torch.zeros(given.size),
            v_th=torch.full(given.size, given.threshold),
            alpha=torch.tensor(given.slope),
            reset_method=resets.reset_value if given.reset == "zero" else resets.reset_subtract,
        )
        cell: nn.Module = norse.LIFBoxCell(settings, dt=DT)
        return cell

    def readout(self, size: int) -> nn.Module:
        norse = importlib.import_module("norse.torch")
        settings = norse.LIBoxParameters(torch.full((size,), 0.5 / DT), torch.zeros(size))
        cell: nn.Module = norse.LIBoxCell(settings, dt=DT)
        return cell

    def net(self, *layers: nn.Module) -> nn.Module:
        found: nn.Module = importlib.import_module("norse.torch").SequentialState(*layers)
        return found

    def write(self, net: nn.Module, x: Tensor) -> Any:
        return importlib.import_module("norse.torch").to_nir(
            net, x[0, 0] if x.dim() == 3 else x[0, :1], dt=DT
        )

    def read(self, graph: Any) -> nn.Module:
        norse = importlib.import_module("norse.torch")
        found: nn.Module = norse.from_nir(graph, ignore_warnings=True, dt=DT)
        return found

    def run(self, net: nn.Module, x: Tensor, hands: bool) -> Tensor:
        return super().run(net, x, True)


class Sinabs(SnnTorch):
    """sinabs, over [B * T, ...]."""

    name, package, reset = "sinabs", "sinabs", "subtract"
    right: ClassVar[dict[str, Any]] = {"dt": 1, "reset": "multispike", "update": "nir"}

    def neuron(self, given: Neurons) -> nn.Module:
        layers = importlib.import_module("sinabs.layers")
        kinds = importlib.import_module("sinabs.activation")
        if given.recurrent:
            raise NoSuchNeurons
        reset = kinds.MembraneReset() if given.reset == "zero" else kinds.MembraneSubtract()
        return layers.LIFSqueeze(  # type: ignore[no-any-return]  # of an untyped library
            tau_mem=torch.full(given.size, -1 / np.log(given.beta)),
            spike_threshold=torch.full(given.size, given.threshold),
            reset_fn=reset,
            surrogate_grad_fn=kinds.SingleExponential(grad_width=given.slope),
            norm_input=False,
            batch_size=COUNT,
        )

    def readout(self, size: int) -> nn.Module:
        layers = importlib.import_module("sinabs.layers")
        tau = torch.full((size,), 1 / np.log(2))
        leaky: nn.Module = layers.ExpLeakSqueeze(tau_mem=tau, norm_input=False, batch_size=COUNT)
        return leaky

    def write(self, net: nn.Module, x: Tensor) -> Any:
        sample = x.transpose(0, 1).flatten(0, 1)
        return importlib.import_module("sinabs.nir").to_nir(net, sample)

    def read(self, graph: Any) -> nn.Module:
        found: nn.Module = importlib.import_module("sinabs.nir").from_nir(graph, batch_size=COUNT)
        return found

    def run(self, net: nn.Module, x: Tensor, hands: bool) -> Tensor:
        for module, adapter in View(net).neurons:
            adapter.reset(module)
        given = net(x.transpose(0, 1).flatten(0, 1))
        spikes: Tensor = given[0] if isinstance(given, tuple) else given
        return spikes.unflatten(0, (COUNT, STEPS)).transpose(0, 1)


class Ours(SnnTorch):
    """This library, whose writer gives the arguments that its reader asks for."""

    name, package = "snnbd", "snnbd_core"
    right: ClassVar[dict[str, Any]] = {}

    def neuron(self, given: Neurons) -> nn.Module:
        if given.recurrent:
            raise NoSuchNeurons
        how = {"reset": given.reset, "update": "spikingjelly", "slope": given.slope}
        return sb.LIF(given.beta, given.threshold, **how)  # type: ignore[arg-type]  # texts and a number

    def readout(self, size: int) -> nn.Module:
        raise NoSuchNeurons  # its networks' answers are rates

    def net(self, *layers: nn.Module) -> nn.Module:
        flat = isinstance(layers[0], nn.Linear)
        own: list[nn.Module] = [Folded(nn.Flatten())] if flat else []
        for layer in layers:
            if isinstance(layer, nn.BatchNorm2d):
                own[-1] = Folded(*own[-1], layer)
            else:
                own.append(layer if isinstance(layer, sb.LIF) else Folded(layer))
        return sb.networks.Network(own, (16, 1, 1) if flat else SHAPE, 3, voters=1)

    def write(self, net: nn.Module, x: Tensor) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            self.right.update(sb.exchange.write_nir(net, Path(folder) / "net.nir", dt=DT))
            return (Path(folder) / "net.nir").read_bytes()

    def read(self, graph: Any) -> nn.Module:
        import nir

        with tempfile.TemporaryDirectory() as folder:
            nir.write(Path(folder) / "net.nir", graph)
            return sb.exchange.read_nir(Path(folder) / "net.nir", **self.right)

    def run(self, net: nn.Module, x: Tensor, hands: bool) -> Tensor:
        logits: Tensor = net(x if x.dim() == 5 else x[..., None, None])
        return logits[None]


LIBRARIES: tuple[SnnTorch, ...] = (SnnTorch(), SpikingJelly(), Norse(), Sinabs(), Ours())


def grid(*shape: int, seed: int = 0) -> Tensor:
    """Weights that are multiples of 1/64."""
    drawn = np.random.default_rng(seed).standard_normal(shape)
    return torch.from_numpy((np.round(drawn * 32) / 64).astype(np.float32))
