"""Spikes and synaptic operations, against counting outputs one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snnbd_core.metrics.activity import fan_out, measure
from snnbd_core.networks import build
from snnbd_core.neurons import LIF
from snnbd_core.view import View

from ..view.builders import SPIKING, copy_weights, frames, load, matched

CONVOLUTIONS = [
    {"kernel_size": 3},
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": (3, 2), "padding": (2, 0), "stride": (2, 3)},
    {"kernel_size": 3, "padding": 1, "stride": 2},
    {"kernel_size": 3, "padding": "same"},
    {"kernel_size": 2, "dilation": 2, "padding": 1},
    {"kernel_size": 3, "padding": 1, "groups": 2},
    {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    {"kernel_size": 1, "stride": 2},
]


def reached_one_by_one(layer: nn.Conv2d, height: int, width: int) -> torch.Tensor:
    """Weights of one: each output is the number of synapses it has on the one active input."""
    with torch.no_grad():
        layer.weight.fill_(1)
        counts = torch.zeros(layer.in_channels, height, width)
        for index in torch.cartesian_prod(*map(torch.arange, counts.shape)):
            one = torch.zeros(1, *counts.shape)
            one[(0, *index)] = 1
            counts[tuple(index)] = layer(one).sum()
    return counts


@pytest.mark.parametrize("settings", CONVOLUTIONS)
def test_fan_out_is_exact(settings):
    layer = nn.Conv2d(4, 6, bias=False, **settings)
    expected = reached_one_by_one(layer, 6, 7)
    for channel in expected:
        assert torch.equal(fan_out(layer, 6, 7), channel)


@pytest.mark.parametrize("settings", CONVOLUTIONS)
def test_event_counts_times_fan_out_are_the_operations(settings):
    layer = nn.Conv2d(4, 6, **settings)
    events = torch.randint(0, 4, (5, 4, 6, 7)).float()
    with measure(layer) as activity:
        layer(events)
    ones = nn.Conv2d(4, 6, bias=False, **settings)
    expected = (events * reached_one_by_one(ones, 6, 7)).sum()
    assert float(activity.synops) == float(expected)


def test_a_dense_layer_reaches_all_its_outputs():
    layer = nn.Linear(5, 7)
    inputs = torch.tensor([[1.0, 0, 3, 0, 0], [0, 0, 0, 0, 1]])
    with measure(layer) as activity:
        layer(inputs)
        layer(inputs)
    assert float(activity.synops) == 2 * 5 * 7


def test_a_value_that_is_no_count_is_one_event():
    layer = nn.Linear(4, 10)
    with measure(layer) as activity:
        layer(torch.tensor([[0.0, 0.3, 2.5, -2.0]]))
    assert float(activity.synops) == (1 + 1 + 2) * 10


def test_spikes_of_all_neurons_are_counted_also_beside_the_potential():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = LIF(beta=0.5), LIF(beta=0.9)

        def forward(self, current):
            spikes, _ = self.first(current, return_potential=True)
            return self.second(2 * spikes)

    current = torch.rand(9, 3, 11) * 3
    net = Two()
    with measure(net) as activity:
        last = net(current)
    assert float(activity.spikes) == float(net.first(current).sum() + last.sum()) > 0


def test_a_whole_network_adds_up_layer_by_layer():
    net = build("nmnist-conv", (2, 8, 8), 3, seed=0).eval()
    frames = torch.randint(0, 3, (4, 2, 2, 8, 8)).float()
    inputs = {}
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_pre_hook(
                lambda _module, args, name=name: inputs.__setitem__(name, args[0])
            )
    with measure(net) as activity, torch.no_grad():
        net(frames)
    expected = 0.0
    for name, module in net.named_modules():
        if isinstance(module, nn.Linear):
            expected += float(inputs[name].sum()) * module.out_features
        elif isinstance(module, nn.Conv2d):
            # 3x3 with padding 1: nine outputs inside, six at a side, four in a corner
            x = inputs[name].sum((0, 1))
            rows = torch.full((x.shape[0],), 3.0)
            rows[[0, -1]] = 2
            expected += float((x * rows[:, None] * rows).sum()) * module.out_channels
    assert float(activity.synops) == expected > 0


def test_measuring_leaves_no_trace():
    net = build("quick-conv", (2, 8, 8), 3, seed=0)
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="stop"), measure(net):
        net(torch.ones(2, 1, 2, 8, 8))
        raise RuntimeError("stop")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", SPIKING)
def test_spikes_and_operations_of_all_libraries_are_those_of_our_neurons(kind):
    own, net = matched("own", "rate", voters=10).eval(), matched(kind, "rate", voters=10).eval()
    copy_weights(own, net)
    counts = []
    for one in (own, net):
        with torch.no_grad(), measure(one) as activity:
            one(frames())
        counts.append((float(activity.spikes), float(activity.synops)))
    assert counts[0] == counts[1]
    with torch.no_grad(), View(own).read(View(own).layers, "spikes") as found:
        own(frames())
    assert counts[0][0] == sum(float(one.sum()) for one in found) > 1000


def test_a_network_of_relus_has_no_spikes_and_one_without_known_neurons_has_none_counted():
    for neuron, spikes in ((nn.ReLU(), 0.0), (nn.GELU(), None), (nn.Identity(), None)):
        net = nn.Sequential(nn.Linear(4, 3), neuron)
        with measure(net) as activity:
            net(torch.ones(2, 4))
        assert activity.spikes == spikes
        assert float(activity.synops) == 2 * 4 * 3


def test_neurons_of_a_library_that_cannot_be_read_are_not_counted_as_silent():
    library = load("norse.torch")
    net = nn.ModuleList([LIF(), library.LIFRefracCell()])
    with measure(net) as activity:
        net[0](torch.ones(2, 1, 3))
    assert activity.spikes is None


@pytest.mark.parametrize(
    "layer",
    [nn.LSTM(4, 3), nn.ConvTranspose1d(4, 3, 1), nn.MultiheadAttention(4, 2), nn.Conv3d(1, 1, 1)],
)
def test_operations_of_other_layers_with_weights_are_not_counted_as_none(layer):
    net = nn.ModuleList([nn.Linear(4, 3), layer])
    with measure(net) as activity:
        net[0](torch.ones(2, 4))
    assert activity.synops is None


def test_weights_that_are_used_without_calling_their_layer_are_not_counted_as_none():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 3), nn.Linear(3, 2)

        def forward(self, x):
            return nn.functional.linear(self.first(x), self.second.weight)

    net = Functional()
    with measure(net) as activity:
        net(torch.ones(2, 4))
    assert activity.synops is None


def test_events_in_one_dimension_reach_what_their_convolution_has():
    layer = nn.Conv1d(2, 3, 3, padding=1)
    events = torch.tensor([[[1.0, 0, 2, 0, 1], [0, 0, 0, 0, 0]]])
    with measure(layer) as activity:
        layer(events)
    assert float(activity.synops) == (1 * 2 + 2 * 3 + 1 * 2) * 3
