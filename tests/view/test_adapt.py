"""`adapt`: layouts, read-outs, states, voters, and what it refuses by name."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import snnbd_core as sb
from snnbd_core.view import NotVisible, View, adapt

from .builders import SPIKING, copy_weights, frames, load, matched

T, B = 6, 5


class Giving(nn.Module):
    """Gives what a function makes of its input."""

    def __init__(self, give):
        super().__init__()
        self.give = give

    def forward(self, x):
        return self.give(x)


def outputs(x):
    """[.., .., 4]: the sums over the quarters of the rows of each frame."""
    return x.flatten(2).unflatten(2, (4, -1)).sum(3)


@pytest.mark.parametrize("readout", ["linear", "rate"])
@pytest.mark.parametrize("kind", SPIKING)
def test_the_same_weights_give_the_same_logits_in_every_library(kind, readout):
    ours = matched("ours", readout, seed=3).eval()
    net = matched(kind, readout, voters=10).eval()
    copy_weights(ours, net)
    with torch.no_grad():
        wanted = ours(frames(seed=1))
        torch.testing.assert_close(net(frames(seed=1)), wanted, rtol=0, atol=1e-6)
    assert wanted.std() > 0.01


@pytest.mark.parametrize(
    ("layout", "give"),
    [
        ("TBCHW", outputs),
        ("TBCHW", lambda x: (outputs(x), "states")),
        ("BTCHW", outputs),
        ("step", lambda x: outputs(x.unsqueeze(0))[0]),
        ("step", lambda x: (outputs(x.unsqueeze(0))[0], x)),
    ],
)
def test_rates_are_means_over_time_in_every_layout(layout, give):
    net = adapt(Giving(give), layout=layout)
    torch.testing.assert_close(net(frames()), outputs(frames()).mean(0))


def test_logits_are_taken_as_they_are_or_averaged_over_time():
    wanted = outputs(frames()).mean(0)
    for give in (lambda x: outputs(x).mean(0), outputs, lambda x: (outputs(x).mean(0), None)):
        torch.testing.assert_close(adapt(Giving(give), readout="logits")(frames()), wanted)
    given = adapt(Giving(lambda x: outputs(x).mean(1)), layout="BTCHW", readout="logits")
    torch.testing.assert_close(given(frames()), wanted)


def test_voters_are_averaged_class_by_class():
    net = adapt(Giving(outputs), classes=2)
    torch.testing.assert_close(net(frames()), outputs(frames()).mean(0).reshape(B, 2, 2).mean(2))
    with pytest.raises(ValueError, match="classes=3 does not divide the network's 4 outputs"):
        adapt(Giving(outputs), classes=3)(frames())


@pytest.mark.parametrize("kind", [one for one in SPIKING if one != "ours"])
def test_the_potential_of_the_last_neurons_is_averaged_over_time(kind):
    net = matched(kind, "rate").eval()
    reading = copy.deepcopy(net)
    reading.readout = "potential"
    seen = View(net)
    with torch.no_grad(), seen.read(seen.layers[-1:], "potential") as found:
        seen(frames())
    with torch.no_grad():
        torch.testing.assert_close(reading(frames()), found[0].mean(0))
        other = View(reading)
        with other.read(other.layers[-1:], "potential") as also:
            other(frames())
    assert torch.equal(also[0], found[0])


def test_potentials_need_neurons():
    with pytest.raises(NotVisible, match="needed are spiking neurons"):
        adapt(nn.Sequential(nn.Flatten(2), nn.ReLU()), readout="potential")(frames())


def test_a_state_is_handed_on_from_step_to_step():
    class Summing(nn.Module):
        def forward(self, x, state=None):
            state = x.flatten(1)[:, :3] + (0 if state is None else state)
            return state, state

    x = frames()
    wanted = x.flatten(2)[:, :, :3].cumsum(0).mean(0)
    torch.testing.assert_close(adapt(Summing(), layout="step")(x), wanted)


def test_an_option_is_no_state():
    class Optional(nn.Module):
        def forward(self, x, scale=2.0, names=None):
            return x.flatten(1)[:, :3] * scale

    wanted = 2 * frames().flatten(2)[:, :, :3].mean(0)
    torch.testing.assert_close(adapt(Optional(), layout="step")(frames()), wanted)


def test_several_states_are_refused_for_they_would_be_lost():
    class Two(nn.Module):
        def forward(self, x, first=None, second=None):
            return x.flatten(1), first, second

    with pytest.raises(ValueError, match="Two takes first, second and gives a tuple of Tensor"):
        adapt(Two(), layout="step")(frames())


def test_a_network_that_must_be_given_a_state_is_refused():
    leaky = load("snntorch").Leaky(0.9)

    class Explicit(nn.Module):
        def __init__(self):
            super().__init__()
            self.leaky = leaky

        def forward(self, x, mem):
            return self.leaky(x, mem)

    with pytest.raises(ValueError, match="Explicit must be called with x, mem: allowed is one"):
        adapt(Explicit(), layout="step")


@pytest.mark.parametrize(
    ("settings", "give", "words"),
    [
        ({}, lambda x: list(outputs(x)), "gives a list of Tensor, Tensor, Tensor, Tensor: allowed"),
        ({}, lambda x: {"out": x}, "gives dict: allowed is a tensor"),
        ({}, lambda x: outputs(x).mean(0), r"shape \[5, 4\]: allowed with layout='TBCHW' and read"),
        ({}, lambda x: outputs(x).transpose(0, 1), r"shape \[5, 6, 4\]: allowed .* = \[6, 5, cla"),
        ({"layout": "BTCHW"}, lambda x: outputs(x).transpose(0, 1), r"shape \[6, 5, 4\]: allowed"),
        ({"layout": "step"}, lambda x: x, r"\[5, classes\] at each step"),
        ({"readout": "logits"}, lambda x: x[0], r"or \[B, classes\]"),
    ],
)
def test_what_is_no_output_over_time_is_refused_by_name(settings, give, words):
    with pytest.raises(ValueError, match=words):
        adapt(Giving(give), **settings)(frames())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layout": "NCHW"}, "layout='NCHW' is unknown; allowed: TBCHW, BTCHW, step"),
        ({"readout": "last"}, "readout='last' is unknown; allowed: rate, potential, logits"),
        ({"classes": 0}, "classes=0 must be a whole number >= 1"),
        ({"input_shape": (2, 0, 2)}, "input_shape=0 must be a whole number >= 1"),
        ({"stochastic": "yes"}, "stochastic='yes' must be true or false"),
    ],
)
def test_unknown_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        adapt(Giving(outputs), **settings)


def test_names_in_the_state_dict_begin_with_net():
    net = matched("snntorch")
    assert all(name.startswith("net.") for name in net.state_dict())
    assert net.input_shape == (2, 12, 12)
    assert sb.adapt is adapt


def test_a_declared_stochastic_network_may_answer_twice():
    net = adapt(Giving(lambda x: torch.rand(T, x.shape[1], 3)), stochastic=True)
    View(net).check_steady(frames())
    net.stochastic = False
    with pytest.raises(ValueError, match="answers the same batch differently"):
        View(net).check_steady(frames())


def test_dropout_of_spikingjelly_draws_a_new_mask_for_each_run():
    layer = load("spikingjelly.activation_based.layer")
    net = adapt(nn.Sequential(nn.Flatten(), layer.Dropout(0.5)), layout="step").train()
    ones = torch.ones(T, B, 2, 12, 12)
    first, second = net(ones), net(ones)
    assert set(first.unique().tolist()) == {0.0, 2.0}  # one mask for all steps of a run
    assert not torch.equal(first, second)


def test_an_input_of_another_size_is_told_by_its_shape():
    net = nn.Sequential(nn.Flatten(2), nn.Linear(8, 4), sb.LIF(), nn.Linear(4, 2))
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
        View(adapt(net, layout="TBCHW", readout="rate"))(torch.zeros(3, 5, 1, 3, 3))
    assert caught.value.__notes__ == [
        "the network was given a sequence [T, B, ...] of [3, 5, 1, 3, 3]"
    ]
