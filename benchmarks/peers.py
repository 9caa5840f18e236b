"""The peers' neurons, set so that all compute one thing: v = beta v + x, spike, reset to 0.

With beta = 0.5 snnTorch gives our bits, and so does SpikingJelly, but that it fires at exactly the
threshold too, which hardly ever happens. norse integrates the input with the
membrane, v = v + (1 - beta)(x - v), which is the same with the threshold scaled by 1 - beta;
its rounding and that of sinabs (beta = exp(-1/tau)) can move a spike now and then.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from snnbd_core.neurons import LIF

BETA = 0.5
THRESHOLD = 1.0
SLOPE = 2.0

Neuron = Callable[[Tensor], Tensor]  # current [T, B, ...] -> spikes [T, B, ...]


def ours() -> nn.Module:
    return LIF(BETA, THRESHOLD, reset="zero", surrogate="atan", slope=SLOPE)


class SnnTorch(nn.Module):
    """``Leaky`` stepped in a Python loop, as in its tutorials."""

    def __init__(self) -> None:
        super().__init__()
        import snntorch
        from snntorch import surrogate

        self.leaky = snntorch.Leaky(BETA, THRESHOLD, surrogate.atan(SLOPE), reset_mechanism="zero")

    def forward(self, current: Tensor) -> Tensor:
        membrane = self.leaky.reset_mem()
        spikes = []
        for x in current:
            fired, membrane = self.leaky(x, membrane)
            spikes.append(fired)
        return torch.stack(spikes)


class SpikingJelly(nn.Module):
    """``LIFNode`` in multi-step mode, for which it picks its fastest kernel itself."""

    def __init__(self) -> None:
        super().__init__()
        from spikingjelly.activation_based import neuron, surrogate

        self.node = neuron.LIFNode(
            1 / (1 - BETA), False, THRESHOLD, 0.0, surrogate.ATan(SLOPE), True, step_mode="m"
        )

    def forward(self, current: Tensor) -> Tensor:
        self.node.reset()
        spikes: Tensor = self.node(current)
        return spikes


class Norse(nn.Module):
    """``LIFBoxCell``, its neuron without a synapse, stepped in a loop (it has no other way)."""

    def __init__(self) -> None:
        super().__init__()
        import norse.torch as norse

        parameters = norse.LIFBoxParameters(
            tau_mem_inv=torch.tensor((1 - BETA) / 0.001),
            v_th=torch.tensor((1 - BETA) * THRESHOLD),
        )
        self.cell = norse.LIFBoxCell(parameters, dt=0.001)

    def forward(self, current: Tensor) -> Tensor:
        state = None
        spikes = []
        for x in current:
            fired, state = self.cell(x, state)
            spikes.append(fired)
        return torch.stack(spikes)


class Sinabs(nn.Module):
    """``LIF``; it wants [B, T, ...] and is given views in which both have what they want."""

    def __init__(self) -> None:
        super().__init__()
        from sinabs import activation, layers

        self.layer = layers.LIF(
            -1 / math.log(BETA),
            spike_threshold=torch.tensor(THRESHOLD),
            spike_fn=activation.SingleSpike,
            reset_fn=activation.MembraneReset(),
            norm_input=False,
        ).requires_grad_(False)

    def forward(self, current: Tensor) -> Tensor:
        self.layer.reset_states()
        spikes: Tensor = self.layer(current.transpose(0, 1))
        return spikes.transpose(0, 1)


PEERS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "SpikingJelly": ("spikingjelly.activation_based.neuron", SpikingJelly),
    "snnTorch": ("snntorch", SnnTorch),
    "norse": ("norse.torch", Norse),
    "sinabs": ("sinabs.layers", Sinabs),
}
# Share of spikes in which a peer may differ, see above.
TOLERATED = {"SpikingJelly": 1e-6, "snnTorch": 0.0, "norse": 1e-5, "sinabs": 1e-5}


def neurons() -> tuple[dict[str, nn.Module], dict[str, str]]:
    """All neurons that are installed, ours first, and why the others are left out."""
    found: dict[str, nn.Module] = {"snnbd": ours()}
    skipped: dict[str, str] = {}
    for name, (module, build) in PEERS.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            skipped[name] = f"{module} cannot be imported: {error}"
        else:
            found[name] = build()
    return found, skipped
