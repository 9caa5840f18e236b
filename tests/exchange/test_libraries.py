"""NIR files beside the libraries that write and read them."""

from __future__ import annotations

import functools
import importlib
import warnings

import nir
import numpy as np
import pytest
import torch
from torch import nn

from snnbd_core.exchange import read_nir

from .files import BATCH, DT, STEPS, chain, cuba, dense, frames, full, grid, lif, written

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of their own imports
    snntorch = importlib.import_module("snntorch")
    export_snntorch = importlib.import_module("snntorch.export_nir").export_to_nir
    norse = importlib.import_module("norse.torch")
    norse_reset = importlib.import_module("norse.torch.functional.reset")
    sinabs_nir = importlib.import_module("sinabs.nir")
    spikingjelly = importlib.import_module("spikingjelly.activation_based")
    export_spikingjelly = importlib.import_module("spikingjelly.activation_based.nir_exchange")

# The libraries warn of their own code while they export and import; ours has its own tests.
pytestmark = pytest.mark.filterwarnings("ignore")


def stepped(net, x, state_is=None):
    """What a network gives in each step, which may keep its state or be given it."""
    outputs, state = [], None
    with torch.no_grad():
        for frame in x:
            given = net(frame, state) if state_is == "handed on" else net(frame)
            outputs.append(given[0] if isinstance(given, tuple) else given)
            state = given[1] if state_is == "handed on" else None
    return torch.stack(outputs)


def ours(path, x, **rule):
    with torch.no_grad():
        return read_nir(path, **rule).net(x)


def same(got, wanted):
    """Spikes equal, and some of them."""
    assert torch.equal(got, wanted) and wanted.mean() > 0.02


# ---- files that others read


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("syn", [1.0, 4.0])
def test_synapses_step_as_in_norse(tmp_path, reset, syn):
    neurons = [cuba(size, syn=syn, w_in=syn) for size in (5, 3)]
    graph = dense(*neurons)
    how = norse_reset.reset_subtract if reset == "subtract" else norse_reset.reset_value
    net = norse.from_nir(graph, ignore_warnings=True, reset_method=how, dt=DT)
    x = frames(16)
    path = written(tmp_path, graph)
    same(ours(path, x, dt=DT, reset=reset), stepped(net, x, "handed on"))


def test_leaky_neurons_step_as_in_norse_which_reads_no_gain(tmp_path):
    graph = dense(lif(5, r=1.0), lif(3, r=1.0, v_threshold=0.2))
    x = frames(16) * 2
    wanted = stepped(norse.from_nir(graph, ignore_warnings=True, dt=DT), x, "handed on")
    same(ours(written(tmp_path, graph), x, dt=DT, reset="zero"), wanted)


def test_several_spikes_a_step_are_those_of_sinabs(tmp_path):
    wide = nir.IF(full(1, 4, 4, 4), full(0.7, 4, 4, 4))
    window = [np.array([2, 2]), np.array([2, 2]), np.array([0, 0])]
    graph = chain(
        nir.Conv2d((6, 6), grid(4, 2, 3, 3), 1, 0, 1, 1, grid(4)),
        wide,
        nir.SumPool2d(*window),
        nir.Flatten({"input": np.array([4, 2, 2])}, 0, -1),
        nir.Affine(grid(3, 16), grid(3, seed=1)),
        nir.IF(full(1, 3), full(0.7, 3)),
        shape=(2, 6, 6),
    )
    x = frames(2, 6, 6)
    net = sinabs_nir.from_nir(graph, num_timesteps=STEPS)
    with torch.no_grad():
        wanted = net(x.transpose(0, 1).flatten(0, 1))
    wanted = wanted[0] if isinstance(wanted, tuple) else wanted
    wanted = wanted.unflatten(0, (BATCH, STEPS)).transpose(0, 1)
    assert wanted.max() > 1
    same(ours(written(tmp_path, graph), x, dt=1, reset="multispike"), wanted)


# ---- files that others write


def snntorch_net(first, last, **settings):
    """Dense layers and neurons of snnTorch with one setting each, and what it exports."""
    five, three = torch.ones(5), torch.ones(3)
    common = {"init_hidden": True, **settings}
    net = nn.Sequential(
        nn.Linear(16, 5),
        first(beta=five / 2, threshold=five * 0.7, **common),
        nn.Linear(5, 3),
        last(beta=three * 0.75, threshold=three * 0.7, output=True, **common),
    )
    for seed, weight in enumerate(net.parameters()):
        weight.data = torch.from_numpy(grid(*weight.shape, seed=seed)) + weight.dim() // 2 * 0.125
    graph = export_snntorch(net, torch.zeros(1, 16), ignore_dims=[0])
    for module in net.modules():
        for name in ("mem", "spk", "syn"):
            if isinstance(getattr(module, name, None), torch.Tensor):
                setattr(module, name, torch.zeros(0))
    return net, graph


RLEAKY = functools.partial(snntorch.RLeaky, linear_features=5)
SYNAPTIC = functools.partial(snntorch.Synaptic, alpha=torch.ones(3) / 4)
LEAKY = [lambda **settings: snntorch.Leaky(**settings)] * 2


@pytest.mark.parametrize("kinds", [LEAKY, [RLEAKY, SYNAPTIC]], ids=["leaky", "recurrent"])
@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"reset_mechanism": "subtract"}, {"reset": "subtract", "update": "snntorch"}),
        ({"reset_mechanism": "zero", "reset_delay": False}, {"reset": "zero"}),
    ],
)
def test_what_snntorch_wrote_spikes_as_it_does_in_snntorch(tmp_path, kinds, settings, rule):
    net, graph = snntorch_net(*kinds, **settings)
    path = written(tmp_path, graph)
    x = frames(16)
    same(ours(path, x, dt=1e-4, **rule), stepped(net, x))


def test_the_other_reset_makes_another_network_of_what_snntorch_wrote(tmp_path):
    """It writes its default, soft reset, as `v_reset` 0, and reads that as a hard one."""
    net, graph = snntorch_net(*LEAKY, reset_mechanism="subtract")
    assert not graph.nodes["1"].v_reset.any()
    x = frames(16)
    wanted = stepped(net, x)
    assert not torch.equal(ours(written(tmp_path, graph), x, dt=1e-4, reset="zero"), wanted)


@pytest.mark.parametrize(("tau", "decay_input"), [(2.0, True), (4.0, False)])
def test_what_spikingjelly_wrote_spikes_as_it_does_in_spikingjelly(tmp_path, tau, decay_input):
    layer, neuron = spikingjelly.layer, spikingjelly.neuron
    net = nn.Sequential(
        layer.Conv2d(2, 4, 3),
        neuron.IFNode(v_threshold=0.7),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(16, 3),
        neuron.LIFNode(tau=tau, v_threshold=0.7, decay_input=decay_input),
    )
    for seed, weight in enumerate(net.parameters()):
        weight.data = torch.from_numpy(grid(*weight.shape, seed=seed)) + weight.dim() // 2 * 0.125
    graph = export_spikingjelly.export_to_nir(net, torch.zeros(1, 2, 6, 6))
    spikingjelly.functional.reset_net(net)
    x = frames(2, 6, 6)
    rule = {"dt": 1e-4, "reset": "zero", "update": "spikingjelly"}
    same(ours(written(tmp_path, graph), x, **rule), stepped(net, x))


def test_what_norse_wrote_has_time_constants_in_another_unit(tmp_path):
    """It writes dt / (1 / tau) for tau: only a dt in that unit, dt times dt, gives its network."""
    cells = norse.LIFBoxCell(dt=DT), norse.LIFBoxCell(dt=DT)
    net = norse.SequentialState(nn.Linear(16, 5), cells[0], nn.Linear(5, 3), cells[1])
    for seed, weight in enumerate(net.parameters()):
        weight.data = torch.from_numpy(grid(*weight.shape, seed=seed)) * 16
    graph = norse.to_nir(net, torch.zeros(1, 16), dt=DT)
    path = tmp_path / "norse.nir"
    nir.write(path, graph, compression=None)  # its settings are single numbers
    x = frames(16)
    same(ours(path, x, dt=DT * DT, reset="zero"), stepped(net, x, "handed on"))
