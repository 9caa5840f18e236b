"""How the layers of a ReLU network lie in time is found out, whatever way its author took."""

import pytest
import torch
from torch import nn

import snnbd_core as sb


class BatchFirst(nn.Module):
    """Puts samples before time inside, as [B * T, N] or [B, T, N]."""

    def __init__(self, fold):
        super().__init__()
        self.fold = fold
        self.first, self.relu, self.last = nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)

    def forward(self, sequence):
        rows = sequence.transpose(0, 1).flatten(2)
        if self.fold:
            outputs = self.last(self.relu(self.first(rows.flatten(0, 1))))
            return outputs.unflatten(0, rows.shape[:2]).mean(1)
        return self.last(self.relu(self.first(rows))).mean(1)


class Twice(nn.Module):
    """Uses one ReLU twice, on the mean over time."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(8, 7), nn.Linear(7, 6), nn.Linear(6, 3)
        self.relu = nn.ReLU()

    def forward(self, sequence):
        hidden = self.relu(self.first(sequence.mean(0).flatten(1)))
        return self.last(self.relu(self.second(hidden)))


@pytest.mark.parametrize("fold", [True, False])
def test_activations_of_a_batch_first_network_are_read_step_by_step(fold):
    torch.manual_seed(0)
    net, sequence = BatchFirst(fold), torch.rand(5, 6, 2, 2, 2)
    seen = sb.view(net, sequence)
    with seen.read(seen.hidden, "spikes") as activations:
        seen(sequence)
    assert torch.allclose(activations[0], net.relu(net.first(sequence.flatten(2))), atol=1e-6)


@pytest.mark.parametrize("fold", [True, False])
def test_gates_of_a_batch_first_network_silence_channels(fold):
    torch.manual_seed(0)
    net, sequence = BatchFirst(fold), torch.rand(5, 6, 2, 2, 2)
    seen = sb.view(net, sequence)
    with seen.gated([torch.tensor([0.0, 1, 1, 1, 1, 1, 0])]):
        gated = seen(sequence)
    with torch.no_grad():
        net.last.weight[:, [0, 6]] = 0
    assert torch.allclose(gated, net(sequence), atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 4, 5])
def test_a_relu_used_twice_is_two_layers_for_any_number_of_steps(steps):
    seen = sb.view(Twice(), torch.rand(steps, 3, 2, 2, 2))
    assert [(layer.name, layer.shape) for layer in seen.layers] == [
        ("relu", (7,)),
        ("relu#2", (6,)),
    ]
