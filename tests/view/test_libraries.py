"""Layers of every library through the view, against the libraries stepped by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import snnbd_core as sb
from snnbd_core.view import NotVisible, View, adapt, override

from .builders import KINDS, RECTIFIED, SPIKING, Scaled, copy_weights, frames, load, matched

AXES = {
    "ours": "time",
    "own": "time",
    "snntorch": "step",
    "snntorch-loop": "step",
    "spikingjelly": "time",
    "spikingjelly-step": "step",
    "norse": "step",
    "norse-loop": "step",
    "sinabs": "batch",
    "sinabs-squeeze": "folded-batch",
    "relu": "step",
    "relu-step": "step",
    "relu-folded": "folded",
}


@pytest.fixture(params=SPIKING)
def spiking(request):
    return matched(request.param, "rate", voters=10).eval()


def reference(readout="rate", **settings):
    return matched("own", readout, voters=10, **settings).eval()


@torch.no_grad()
def readings(net, what, sequence):
    seen = View(net)
    with seen.read(seen.layers, what) as found:
        logits = seen(sequence)
    return logits, found


def held(*neurons):
    """Settings of neurons that are no network."""
    found = View(nn.ModuleList(neurons)).neurons
    return [adapter.settings(module) for module, adapter in found]


@pytest.mark.parametrize("readout", ["linear", "rate"])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_found_in_the_order_in_which_they_run(kind, readout):
    seen = View(matched(kind, readout))
    outputs = 40 if kind == "ours" else 4
    shapes = [(8, 10, 10), (32,), *([(outputs,)] if readout == "rate" else [])]
    assert [layer.shape for layer in seen.layers] == shapes
    assert {layer.axes for layer in seen.layers} == {AXES[kind]}
    assert {layer.uses for layer in seen.layers} == {1}
    assert (seen.readout is None) == (readout == "linear")
    assert len(seen.hidden) == 2
    assert [one.feeds for one in seen.weights] == [0, 1, 2 if readout == "rate" else None]
    assert seen.spiking == (kind in SPIKING)


@pytest.mark.parametrize("what", ["current", "spikes", "potential"])
def test_all_libraries_read_the_same_from_the_same_weights(spiking, what):
    sequence, own = frames(), reference()
    copy_weights(own, spiking)
    wanted_logits, wanted = readings(own, what, sequence)
    logits, found = readings(spiking, what, sequence)
    torch.testing.assert_close(logits, wanted_logits, rtol=0, atol=1e-7)  # of means
    assert wanted_logits.std() > 0.01
    halved = any(isinstance(module, Scaled) for module in spiking.modules())
    scale = 2 if what == "current" and halved else 1  # norse's cells halve what they get
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, scale * other, rtol=0, atol=0)


def test_snntorch_in_its_default_delays_the_reset_as_our_lif_does():
    snntorch = load("snntorch")

    draw = torch.Generator().manual_seed(0)
    current = torch.rand(12, 3, 16, generator=draw)
    for reset in ("subtract", "zero", "none"):
        net = nn.Sequential(
            snntorch.Leaky(0.9, init_hidden=True, reset_mechanism=reset), nn.Linear(16, 4)
        )
        seen = View(adapt(net, layout="step"), like=current)
        with torch.no_grad(), seen.read(seen.layers, "potential") as potential:
            seen(current)
        spikes, wanted = sb.LIF(0.9, reset=reset)(current, return_potential=True)
        torch.testing.assert_close(potential[0], wanted)
        with torch.no_grad(), seen.read(seen.layers, "spikes") as found:
            seen(current)
        assert torch.equal(found[0], spikes)
        assert spikes.sum() > 20


def test_settings_are_those_the_neurons_were_built_with(spiking):
    for settings in View(spiking).settings().values():
        assert float(settings.threshold) == pytest.approx(0.7)
        assert float(settings.decay) == pytest.approx(0.5)
        assert settings.reset == "zero"


@pytest.mark.parametrize("setting", [{"threshold": 1.3}, {"beta": 0.25}])
@pytest.mark.parametrize("kind", [one for one in SPIKING if "norse" not in one])
def test_overriding_gives_what_neurons_built_so_give(kind, setting):
    sequence, own = frames(), reference(**setting)
    net = matched(kind, "rate", voters=10).eval()
    copy_weights(own, net)
    before = readings(net, "spikes", sequence)[0]
    with override(net, **setting):
        logits, _ = readings(net, "spikes", sequence)
        settings = next(iter(View(net).settings().values()))
    given = settings.threshold if "threshold" in setting else settings.decay
    assert float(given) == pytest.approx(next(iter(setting.values())))
    torch.testing.assert_close(logits, readings(own, "spikes", sequence)[0], rtol=0, atol=1e-6)
    assert not torch.equal(logits, before)
    assert torch.equal(readings(net, "spikes", sequence)[0], before)


@pytest.mark.parametrize("kind", ["norse", "norse-loop"])
def test_overriding_norse_sets_its_parameters(kind):
    net = matched(kind, "rate").eval()
    cells = [module for module in net.modules() if type(module).__name__ == "LIFBoxCell"]
    before = [cell.p for cell in cells]
    with override(net, threshold=1.25, beta=0.75):
        for cell in cells:
            assert float(cell.p.v_th) == 1.25
            assert float(cell.p.tau_mem_inv) * cell.dt == pytest.approx(0.25)
    assert [cell.p for cell in cells] == before


def test_overriding_ends_with_an_error_too_and_leaves_what_is_saved(spiking):
    state = {name: value.clone() for name, value in spiking.state_dict().items()}
    parameters = [id(one) for one in spiking.parameters()]
    with pytest.raises(RuntimeError, match="boom"), override(spiking, threshold=9.0, beta=0.1):
        with override(spiking, threshold=2.0):
            assert {float(one.threshold) for one in View(spiking).settings().values()} == {2.0}
            assert all(
                float(one.decay) == pytest.approx(0.1) for one in View(spiking).settings().values()
            )
            assert spiking.state_dict().keys() == state.keys()
            assert [id(one) for one in spiking.parameters()] == parameters
        raise RuntimeError("boom")
    assert all(torch.equal(spiking.state_dict()[name], state[name]) for name in state)
    assert float(next(iter(View(spiking).settings().values())).threshold) == pytest.approx(0.7)


def test_learned_settings_are_overridden_without_touching_the_parameters():
    snntorch = load("snntorch")
    neuron = load("spikingjelly.activation_based.neuron")

    leaky = snntorch.Leaky(0.8, threshold=1.5, learn_beta=True, learn_threshold=True)
    node = neuron.ParametricLIFNode(init_tau=4.0)
    net = nn.ModuleList([leaky, node])
    assert [float(one.decay) for one in held(leaky, node)] == pytest.approx([0.8, 0.75])
    before = list(net.parameters())
    with override(net, threshold=0.25, beta=0.5):
        settings = held(leaky, node)
        assert [float(one.decay) for one in settings] == pytest.approx([0.5, 0.5])
        assert [float(one.threshold) for one in settings] == [0.25, 0.25]
    assert all(one is other for one, other in zip(before, net.parameters(), strict=True))
    assert [float(one.decay) for one in held(leaky, node)] == pytest.approx([0.8, 0.75])


def test_lapicque_decays_as_its_circuit_does():
    snntorch = load("snntorch")

    neuron = snntorch.Lapicque(R=5.0, C=2.0, init_hidden=True, reset_mechanism="none")
    seen = View(
        adapt(nn.Sequential(neuron, nn.Linear(4, 2)), layout="step"), like=torch.rand(3, 1, 4)
    )
    impulse = torch.zeros(3, 2, 4)
    impulse[0] = 1.0
    assert float(next(iter(seen.settings().values())).decay) == pytest.approx(0.9)
    for decay in (0.9, 0.6):
        reading = seen.read(seen.layers, "potential")
        with torch.no_grad(), override(seen.net, beta=decay), reading as found:
            seen(impulse)
        share = found[0][1:] / found[0][:-1]
        torch.testing.assert_close(share, torch.full_like(share, decay))


def test_thresholds_of_their_own_for_each_neuron_act_where_a_library_has_them():
    values = torch.linspace(0.5, 3.0, 32)
    sequence, own = frames(), reference("linear")
    for kind in ("own", "snntorch", "sinabs", "norse"):
        net = matched(kind, "linear", voters=10).eval()
        copy_weights(own, net)
        seen = View(net)
        layer, wanted_layer = seen.hidden[1], View(own).hidden[1]
        with layer.adapter.overridden(layer.module, values, None):
            found = readings(net, "spikes", sequence)[1][1]
        with wanted_layer.adapter.overridden(wanted_layer.module, values, None):
            wanted = readings(own, "spikes", sequence)[1][1]
        assert torch.equal(found, wanted)
    net = matched("spikingjelly")
    with pytest.raises(NotVisible, match="threshold of its own"), override(net, threshold=values):
        pass


def test_one_value_per_sample_is_for_our_neurons_alone():
    values = torch.tensor([[1.0], [2.0]])
    foreign = override(matched("snntorch"), threshold=values)
    with pytest.raises(NotVisible, match="for each sample"), foreign:
        pass
    with override(matched("own"), threshold=values):
        pass


def test_integrate_and_fire_neurons_have_no_decay_to_override():
    neuron = load("spikingjelly.activation_based.neuron")

    net = nn.Sequential(neuron.IFNode())
    with pytest.raises(NotVisible, match="needed is LIFNode"), override(net, beta=0.5):
        pass


def test_a_network_in_a_dirty_state_answers_as_a_fresh_one(spiking):
    sequence = frames()
    with torch.no_grad():
        fresh = View(spiking)(sequence)
        for module in spiking.modules():  # as after a run that nobody reset
            if hasattr(module, "mem"):
                module.mem = torch.rand(5, 8, 10, 10)
            elif "LIFNode" in str(type(module)):
                module.v = 0.6
            elif hasattr(module, "v_mem"):
                module.v_mem = torch.rand(5, 8, 10, 10)
        assert torch.equal(View(spiking)(sequence), fresh)
        assert torch.equal(spiking(sequence), fresh)
        smaller = spiking(sequence[:, :2])
    torch.testing.assert_close(smaller, fresh[:2])
    View(spiking).check_steady(sequence)


def test_a_network_that_remembers_is_refused_with_both_answers():
    class Drifting(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return x.mean(0).flatten(1)[:, :3] * 0 + self.calls

    with pytest.raises(ValueError, match=r"gets \[1, 1, 1\], then \[2, 2, 2\]"):
        View(Drifting()).check_steady(frames())
    net = Drifting()
    net.stochastic = True
    View(net).check_steady(frames())


def test_spikingjelly_steps_as_it_runs_whole_sequences():
    sequence = frames()
    whole, stepped = matched("spikingjelly", "rate"), matched("spikingjelly-step", "rate")
    copy_weights(whole, stepped)
    for what in ("spikes", "potential", "current"):
        logits, found = readings(whole, what, sequence)
        other, also = readings(stepped, what, sequence)
        assert torch.equal(logits, other)
        assert all(torch.equal(one, two) for one, two in zip(found, also, strict=True))


def test_spikingjelly_with_soft_reset_says_subtract():
    neuron = load("spikingjelly.activation_based.neuron")

    settings = held(neuron.LIFNode(v_reset=None), neuron.LIFNode(tau=4.0), neuron.IFNode())
    assert [one.reset for one in settings] == ["subtract", "zero", "zero"]
    assert [float(one.decay) for one in settings] == [0.5, 0.75, 1.0]


@pytest.mark.parametrize("kind", ["own", "snntorch", "spikingjelly"])
def test_a_module_used_twice_is_two_layers(kind):
    net = matched(kind, "rate").eval()
    body = net.net.net if kind == "own" else net.net
    body[4] = body[1]
    seen = View(net)
    assert [layer.uses for layer in seen.layers] == [2, 2, 1]
    assert [layer.use for layer in seen.layers] == [0, 1, 0]
    assert seen.layers[1].name.endswith("1#2")
    with torch.no_grad(), seen.read(seen.layers, "spikes") as found:
        seen(frames())
    assert [one.shape for one in found] == [(6, 5, 8, 10, 10), (6, 5, 32), (6, 5, 4)]


def test_norse_layers_over_time_give_the_potentials_of_their_cells():
    library = load("norse.torch")

    current = 3 * torch.rand(8, 3, 6, generator=torch.Generator().manual_seed(0))
    for layer, cell in ((library.LIF(), library.LIFCell()), (library.IAF(), library.IAFCell())):

        class Net(nn.Module):
            def __init__(self, layer=layer):
                super().__init__()
                self.layer, self.last = layer, nn.Linear(6, 2)

            def forward(self, x):
                return self.last(self.layer(x)[0])

        seen = View(adapt(Net()), like=current)
        assert seen.layers[0].axes == "time"
        wanted, state = [], None
        for x in current:
            _, state = cell(x, state)
            wanted.append(state.v.detach())
        with torch.no_grad(), seen.read(seen.layers, "potential") as found:
            seen(current)
        torch.testing.assert_close(found[0], torch.stack(wanted))


def test_recurrent_neurons_of_snntorch_are_seen_with_their_connections_inside():
    snntorch = load("snntorch")

    net = nn.Sequential(
        nn.Flatten(),
        nn.Linear(4, 6),
        snntorch.RLeaky(0.5, linear_features=6, init_hidden=True),
        nn.Linear(6, 2),
    )
    seen = View(adapt(net, layout="step", input_shape=(1, 2, 2)))
    assert [one.name for one in seen.weights] == ["net.1", "net.3"]
    with pytest.raises(NotVisible, match="connections within the layer"):
        seen.connections()
    with pytest.raises(NotVisible, match="connections within the layer"):
        seen.guard(seen.layers[0], "factor", torch.ones(6))
    keep = torch.tensor([True, True, False, True, True, True])
    seen.prune([keep])
    with torch.no_grad(), seen.read(seen.layers, "spikes") as found:
        seen(5 * torch.rand(4, 3, 1, 2, 2))
    assert not found[0][..., 2].any()


def test_potentials_of_relus_are_not_visible():
    for kind in RECTIFIED:
        seen = View(matched(kind))
        with pytest.raises(NotVisible, match="needed are spiking neurons"):
            seen.read(seen.hidden, "potential")


def test_a_compiled_network_is_looked_into_as_it_is():
    net = matched("own", "rate")
    compiled = torch.compile(net, backend="eager")
    assert View(compiled).net is net
    assert [str(one) for one in View(compiled).layers] == [str(one) for one in View(net).layers]
    with override(compiled, threshold=2.0):
        assert float(next(iter(View(net).settings().values())).threshold) == 2.0


def test_sinabs_layers_for_one_size_of_batch_are_refused():
    squeezed = load("sinabs.layers").IAFSqueeze

    net = nn.Sequential(squeezed(batch_size=2))
    with pytest.raises(NotVisible, match="needed is num_timesteps"):
        View(net).neurons[0][1].axes(net[0])


def test_a_library_that_nobody_imported_is_not_imported():
    import subprocess
    import sys

    code = (
        "import sys, torch, snnbd_core as sb; "
        "sb.view(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())).spiking; "
        "print([n for n in ('snntorch', 'spikingjelly', 'norse', 'sinabs') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_view_leaves_a_network_that_can_be_copied(spiking):
    sequence = frames()
    logits = spiking.train()(sequence)
    logits.sum().backward()
    copied = copy.deepcopy(spiking).eval()
    with torch.no_grad():
        assert torch.equal(copied(sequence), spiking.eval()(sequence))


@pytest.mark.parametrize(
    ("built", "message"),
    [
        ({"num_timesteps": 4}, r"num_timesteps=4 and is given T=6 steps of B=8"),
        ({"batch_size": 4}, r"batch_size=4 and is given T=6 steps of B=8"),
    ],
)
def test_squeezed_layers_of_sinabs_for_another_t_or_b_would_mix_samples_and_are_refused(
    built, message
):
    """Both have room for the 48 rows, as 12 samples of 4 steps and as 4 samples of 12 steps."""
    layers = load("sinabs.layers")

    class Squeezed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 3), layers.IAFSqueeze(**built))

        def forward(self, sequence):
            rows = sequence.transpose(0, 1).flatten(2).flatten(0, 1)
            return self.net(rows).unflatten(0, (sequence.shape[1], -1)).mean(1)

    samples = torch.rand(8, 6, 2, 1, 1)
    with pytest.raises(ValueError, match=message):
        sb.evaluate(Squeezed(), torch.utils.data.TensorDataset(samples, torch.arange(8) % 3))
