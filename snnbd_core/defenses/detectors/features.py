"""What samples leave in a network: rates of the last hidden layer, potentials, votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.defenses.bench import Bench, frozen

__all__ = ["KINDS", "Features", "features", "per_class"]

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

    def of(self, kind: str) -> np.ndarray:
        """The "rates" or the "potentials"."""
        return self.hidden if kind == "rates" else self.potentials


def features(
    net: nn.Module, data: Any, *, device: str | torch.device, steps: int, of: str = "rates"
) -> Features:
    """Features of all samples of a set; the network is left as it was.

    Args:
        net, data, device, steps: as for `frozen`.
        of: what is asked for: "potentials" are NotVisible in an ANN, which for "rates" has none.
    """
    with frozen(net, data, device=device, steps=steps) as bench, torch.no_grad():
        seen = [_traces(bench, sequence, of) for sequence in bench.batches(data)]
    return Features(
        *(torch.cat(part).numpy().astype(np.float64) for part in zip(*seen, strict=True))
    )


def _traces(bench: Bench, sequence: Tensor, of: str) -> tuple[Tensor, Tensor, Tensor]:
    """Rates [B, neurons], votes [B, classes] and mean potentials [B, neurons] of a batch."""
    view = bench.view
    with view.read(view.hidden[-1:], "spikes") as hidden:
        if view.spiking or of == "potentials":
            votes, potential = view.potentials(sequence)
        else:
            votes, potential = view(sequence), sequence.new_empty(1, sequence.shape[1], 0)
    rates = hidden[0].mean(dim=0).flatten(1)
    return rates.cpu(), votes.cpu(), potential.mean(dim=0).cpu()


def per_class(potential: Tensor, classes: int) -> Tensor:
    """Potentials [B, neurons] averaged over the neurons that vote for a class, [B, classes].

    A class's voters lie side by side, as in the papers' voting layer.

    Raises:
        ValueError: neurons that cannot be shared out evenly.
    """
    if potential.shape[1] % classes:
        raise ValueError(
            f"the read-out has {potential.shape[1]} neurons for {classes} classes: allowed is as "
            "many for each"
        )
    return potential.unflatten(1, (classes, -1)).mean(dim=2)
