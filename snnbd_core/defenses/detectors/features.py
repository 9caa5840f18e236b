"""What samples leave in a network: rates of the last hidden layer, potentials, votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.defenses.channels import outputs
from snnbd_core.defenses.detectors.frozen import frozen
from snnbd_core.learning import as_sequence
from snnbd_core.neurons import spiking_layers

KINDS = ("rates", "potentials")


@dataclass(frozen=True)
class Features:
    """Of N samples.

    Attributes:
        hidden: rates of the last hidden layer's neurons, [N, neurons].
        votes: logits, [N, classes].
        potentials: mean potential over time of the read-out's neurons, [N, neurons]; empty for an
            ANN.
    """

    hidden: np.ndarray
    votes: np.ndarray
    potentials: np.ndarray


def check_kind(net: nn.Module, of: str) -> None:
    """Raises ValueError where potentials are asked of a network that has none."""
    if of == "potentials" and not spiking_layers(net):
        raise ValueError(f"net={type(net).__name__} has no spiking layer: it has no potentials")


@torch.no_grad()
def features(net: nn.Module, data: Any, *, device: torch.device, steps: int) -> Features:
    """Features of all samples of a set; the network is left as it was."""
    rows: list[list[Tensor]] = [[], [], []]
    with frozen(net, device), outputs(net) as hidden:
        for start in range(0, len(data), 128):
            batch = data.batch(np.arange(start, min(start + 128, len(data))))[0].to(device)
            votes, potential = readout(net, as_sequence(batch, steps))
            for kept, value in zip(rows, (hidden[-1].mean(dim=0).flatten(1), votes, potential),
                                   strict=True):  # fmt: skip
                kept.append(value.cpu())
    return Features(*(torch.cat(kept).numpy().astype(np.float64) for kept in rows))


def readout(net: nn.Module, sequence: Tensor) -> tuple[Tensor, Tensor]:
    """(logits [B, classes], mean potential of the read-out's neurons [B, neurons]).

    Gradients reach the sequence. For an ANN the second is empty, [B, 0].
    """
    votes, potential = traced(net, sequence)
    return votes, potential.mean(dim=0)


def traced(net: nn.Module, sequence: Tensor) -> tuple[Tensor, Tensor]:
    """As `readout`, with the potentials of each time step, [T, B, neurons]."""
    layers = spiking_layers(net)
    if not layers:
        return net(sequence), torch.empty(len(sequence), sequence.shape[1], 0)
    currents: list[Tensor] = []
    hook = layers[-1].register_forward_pre_hook(lambda _, inputs: currents.append(inputs[0]))
    try:
        votes = net(sequence)
    finally:
        hook.remove()
    _, potential = layers[-1](currents[0], return_potential=True)
    return votes, potential
