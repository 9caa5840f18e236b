"""What samples leave in a network: rates of the last hidden layer, potentials, votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.defenses.bench import Bench, frozen, taken
from snnbd_core.view import NotVisible, View

__all__ = ["FEW", "Features", "Kind", "features", "features_of", "sharpness"]

Kind = Literal["rates", "potentials"]
FEW = 8  # samples on which it is seen how large logits are
_SHARP = 10.0


@dataclass(frozen=True)
class Features:
    """What N samples leave.

    Attributes:
        hidden: rates of the last hidden layer's neurons, [N, neurons].
        votes: logits, [N, classes].
        potentials: mean potential over time of the read-out's neurons, [N, neurons]; [N, 0] where
            there are none to see, as in an ANN.
    """

    hidden: np.ndarray
    votes: np.ndarray
    potentials: np.ndarray

    def of(self, kind: str) -> np.ndarray:
        """The "rates" or the "potentials"."""
        return self.hidden if kind == "rates" else self.potentials


def features(net: nn.Module, data: Any, of: str = "rates", **settings: Any) -> Features:
    """Features of all samples of a set; the network is left as it was.

    Args:
        net: the network.
        data: any set that `snnbd_core.data.as_set` takes.
        of: what must be there, "rates" or "potentials".
        settings: device and steps, as for `frozen`.

    Raises:
        NotVisible: a network without a hidden layer of neurons, or without the potentials that are
            asked for.
    """
    data = taken(data)
    with frozen(net, data, **settings) as bench:
        return features_of(bench, data, of)


@torch.no_grad()
def features_of(bench: Bench, data: Any, of: str) -> Features:
    """Features of all samples of a set on a bench, see `features`."""
    seen = [_traces(bench, sequence, of) for sequence in bench.batches(data)]
    return Features(*(torch.cat(part).double().numpy() for part in zip(*seen, strict=True)))


def _traces(bench: Bench, sequence: Tensor, of: str) -> tuple[Tensor, Tensor, Tensor]:
    """Rates [B, neurons], votes [B, classes] and mean potentials [B, neurons] of a batch."""
    view = bench.view
    with view.read(view.hidden[-1:], "spikes") as hidden:
        try:
            votes, potential = view.potentials(sequence)
        except NotVisible:
            if of == "potentials":
                raise
            votes, potential = view(sequence), sequence.new_empty(1, sequence.shape[1], 0)
    rates = hidden[0].mean(dim=0).flatten(1)
    return rates.cpu(), votes.cpu(), potential.mean(dim=0).cpu()


@torch.no_grad()
def sharpness(view: View, sequence: Tensor) -> float:
    """What logits are multiplied by before a softmax: 10 for votes, which lie in 0..1.

    Logits that go beyond, as those of a linear read-out or summed spikes may, are multiplied by 10
    over the largest on the first 8 samples of a sequence [T, B, C, H, W]; those of ReLU, which are
    trained to be votes, by 10.
    """
    readout = view.readout
    if readout is not None and not readout.adapter.spikes:
        return _SHARP
    return _SHARP / max(1.0, float(view(sequence[:, :FEW]).abs().max()))
