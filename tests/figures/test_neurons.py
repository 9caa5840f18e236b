"""Figures of neurons and layers: the curves are the data, the errors name what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import snntorch
import torch
from matplotlib.figure import Figure

from snnbd_book.drawings.spiking_neurons import (
    draw_layers,
    record_spikes,
    run_conventions,
    run_leaky,
    spike_table,
)
from snnbd_book.figures import State, draw_comparison, draw_curves, draw_neuron
from snnbd_core import networks
from snnbd_core.networks.layers import Folded
from snnbd_core.neurons import LIF


def test_a_neurons_figure_shows_current_potential_threshold_and_spikes() -> None:
    current, spikes, potential = State().run()
    above, middle, below = draw_neuron(current, spikes, potential, threshold=1.25).axes
    np.testing.assert_array_equal(above.lines[0].get_ydata(), current)
    curves = {line.get_label(): line.get_ydata() for line in middle.lines}
    np.testing.assert_array_equal(curves["potential"], potential)
    assert list(curves["threshold"]) == [1.25, 1.25]
    ticks = [segment[0, 0] for segment in below.collections[0].get_segments()]
    assert ticks == spikes.nonzero()[:, 0].tolist()


def test_every_axis_of_a_neurons_figure_is_named() -> None:
    axes = draw_neuron(*State().run()).axes
    assert [one.get_ylabel() for one in axes] == ["current", "potential", "spikes"]
    assert axes[-1].get_xlabel() == "time (steps)"


@pytest.mark.parametrize("reset", ["subtract", "none"])
def test_a_comparison_shows_the_whole_potential_of_every_run(reset: str) -> None:
    current = torch.full((40, 1), 0.3) - 0.5 * (torch.arange(40)[:, None] > 30)
    runs = {
        name: tuple(trace[:, 0] for trace in LIF(reset=name)(current, return_potential=True))
        for name in ("zero", reset)
    }
    for axes, (name, (spikes, potential)) in zip(
        draw_comparison(runs).axes, runs.items(), strict=True
    ):
        low, high = axes.get_ylim()
        assert low <= float(potential.min()) and float(potential.max()) < high
        assert axes.get_title(loc="left") == f"{name}: {int(spikes.sum())} spikes"


def test_curves_keep_their_values_and_differ_in_more_than_colour() -> None:
    x = torch.linspace(0, 1, 5)
    (axes,) = draw_curves(x, {"a": x, "b": 2 * x}, xlabel="in", ylabel="out").axes
    first, second = axes.lines
    np.testing.assert_allclose(second.get_ydata(), 2 * np.asarray(first.get_ydata()))
    assert first.get_linestyle() != second.get_linestyle()


def test_six_conventions_give_the_spikes_their_libraries_give() -> None:
    runs = run_conventions(torch.full((12,), 0.3))
    trains = ["".join(str(int(bit)) for bit in spikes) for spikes, _ in runs.values()]
    # snnTorch 1.0 and SpikingJelly 2.0, tau = 10, recorded from the libraries themselves.
    assert trains == [
        "000100001000",
        "000100010001",
        "000100010001",
        "000000000000",
        "000100010001",
        "000100010001",
    ]


def test_spikingjellys_rows_are_spikingjellys_own() -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    current = 0.6 * torch.rand(50, generator=torch.Generator().manual_seed(0))
    ours = list(run_conventions(current, beta=0.9).values())[3:]
    kinds = [(True, 0.0), (False, 0.0), (False, None)]
    for (spikes, _), (decay_input, v_reset) in zip(ours, kinds, strict=True):
        theirs = neuron.LIFNode(10.0, decay_input=decay_input, v_reset=v_reset, step_mode="m")
        assert torch.equal(theirs(current[:, None])[:, 0], spikes)


def test_a_spike_table_has_one_row_a_rule_and_one_digit_a_step() -> None:
    runs = {"v < thr": (torch.tensor([0.0, 1.0, 1.0]), torch.zeros(3))}
    (row,) = re.findall("<tbody>(.*)</tbody>", spike_table(runs).data)
    assert re.sub("<.*?>", "|", row) == "||v &lt; thr|||011|||2||"


def test_leaky_is_stepped_as_in_snntorchs_own_tutorial() -> None:
    current = torch.full((12, 2), 0.3)
    spikes, potential = run_leaky(snntorch.Leaky(beta=0.9), current)
    assert spikes.shape == potential.shape == current.shape
    assert spikes[:, 0].nonzero()[:, 0].tolist() == [3, 8]
    assert float(potential[4, 1]) == pytest.approx(0.9 * 0.3 * (1 - 0.9**4) / 0.1 + 0.3 - 1)


def test_recorded_spikes_explain_the_networks_answer() -> None:
    net = networks.build("quick-conv", (1, 8, 8), 10, seed=0)
    image = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    *_, votes = record_spikes(net.eval(), image, steps=6)
    logits = net(image.expand(6, 1, -1, -1, -1))
    assert votes.shape == (6, 100)
    torch.testing.assert_close(votes.unflatten(1, (10, 10)).mean(dim=(0, 2)), logits[0].detach())


def test_recording_leaves_the_network_as_it_was() -> None:
    net = networks.build("quick-conv", (1, 8, 8), 10, seed=0).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    record_spikes(net, torch.rand(1, 8, 8))
    assert net.training
    assert not any(layer._forward_hooks for layer in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_layers_with_many_neurons_say_how_many_are_shown() -> None:
    wide = Folded(torch.nn.Flatten(), torch.nn.Linear(64, 300))
    net = networks.Network([wide, LIF(), Folded(torch.nn.Linear(300, 20)), LIF()], (1, 8, 8), 2)
    titles = [axes.get_title() for axes in draw_layers(net, torch.rand(1, 8, 8)).axes]
    assert titles == ["layer 1\n(100 of 300 neurons)", "output layer\n(20 of 20 neurons)"]


def mismatched() -> Figure:
    return draw_neuron(torch.zeros(3), torch.zeros(4), torch.zeros(3))


def two_dimensional() -> Figure:
    return draw_comparison({"a": (torch.zeros(3, 1), torch.zeros(3, 1))})


def no_runs() -> Figure:
    return draw_comparison({})


def no_curves() -> Figure:
    return draw_curves(torch.zeros(3), {}, xlabel="", ylabel="")


def no_spiking_layer() -> Figure:
    return draw_layers(torch.nn.Linear(2, 2), torch.zeros(1, 2, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (mismatched, r"shapes are .*'spikes': \(4,\).*allowed: one dimension, of one length"),
        (two_dimensional, r"shapes are .*\(3, 1\).*allowed: one dimension"),
        (no_runs, "runs is empty; allowed: one neuron or more"),
        (no_curves, "curves is empty; allowed: one curve or more"),
        (no_spiking_layer, "net is a Linear without spiking layers"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Figure], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
