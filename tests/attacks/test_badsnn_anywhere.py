"""Dual-spike learning of networks of other libraries."""

from __future__ import annotations

import pytest
import snntorch
import torch
from torch import Tensor, nn

from snnbd_core import LIF, badsnn
from snnbd_core.view import NotVisible


class Layers(nn.Module):
    """Images of 1x4x4 in 0..1 -> hidden neurons -> three classes; rates over time."""

    def __init__(self, neurons: nn.Module, norm: bool = False) -> None:
        super().__init__()
        self.hidden, self.neurons, self.out = nn.Linear(16, 30), neurons, nn.Linear(30, 3)
        self.norm = nn.BatchNorm1d(30) if norm else nn.Identity()
        draw = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for layer in (self.hidden, self.out):
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=draw) * 0.7)
                layer.bias.zero_()

    def forward(self, sequence: Tensor) -> Tensor:
        steps, batch = sequence.shape[:2]
        current = self.norm(self.hidden(sequence.flatten(0, 1).flatten(1)))
        current = current.reshape(steps, batch, -1)
        if isinstance(self.neurons, LIF):
            return self.out(self.neurons(current)).mean(dim=0)
        return torch.stack([self.out(self.neurons(step)) for step in current]).mean(dim=0)


def samples() -> list[tuple[Tensor, int]]:
    draw = torch.Generator().manual_seed(1)
    return [(torch.rand(1, 4, 4, generator=draw), number % 3) for number in range(48)]


def trained(net: nn.Module, **dual) -> nn.Module:
    badsnn.train(
        net,
        samples(),
        target=1,
        epochs=1,
        batch_size=16,
        device="cpu",
        progress=False,
        share=0.2,
        threshold=1.3,
        **dual,
    )
    return net


@pytest.mark.parametrize("how", ["shared", "mixed"])
def test_neurons_of_snntorch_are_attacked_as_ours_are(how):
    """Equal updates: the gradient of snnTorch's atan and the reset are those of LIF's defaults."""
    theirs = trained(Layers(snntorch.Leaky(beta=0.9, init_hidden=True)), batch_norm=how)
    ours = trained(Layers(LIF(beta=0.9)), batch_norm=how)
    for one, other in zip(theirs.hidden.parameters(), ours.hidden.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert float(theirs.neurons.threshold) == 1.0


def test_batch_norm_cannot_mix_halves_whose_neurons_have_one_threshold_for_all():
    net = Layers(snntorch.Leaky(beta=0.9, init_hidden=True), norm=True)
    with pytest.raises(NotVisible, match="another batch_norm than 'mixed'"):
        trained(net)
    trained(net, batch_norm="frozen")
