"""Other resets and steps on neurons of each library, beside networks built with them."""

from __future__ import annotations

import importlib
import warnings

import pytest
import torch
from torch import nn

import snnbd_core as sb
from snnbd_core.auditing.migration import _read
from snnbd_core.auditing.resetting import resetting, stepping
from snnbd_core.view import View

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of their own imports
    snntorch = importlib.import_module("snntorch")
    norse = importlib.import_module("norse.torch")
    norse_reset = importlib.import_module("norse.torch.functional.reset")
    sinabs = importlib.import_module("sinabs")
    sinabs_layers = importlib.import_module("sinabs.layers")
    sj = importlib.import_module("spikingjelly.activation_based.neuron")

X = 1.5 * torch.rand(12, 4, 1, 2, 3, generator=torch.Generator().manual_seed(0))
ZERO, SUBTRACT = "zero", "subtract"


def of_snntorch(reset, beta=0.75, threshold=1.0):
    how = {"init_hidden": True, "reset_mechanism": reset, "reset_delay": False}
    return snntorch.Leaky(beta, threshold, **how), "step"


def of_spikingjelly(reset, tau=4.0):
    return sj.LIFNode(tau, True, 0.5, v_reset=0.0 if reset == ZERO else None), "step"


def of_norse(reset, dt=0.001):
    how = getattr(norse_reset, "reset_value" if reset == ZERO else "reset_subtract")
    box = norse.LIFBoxParameters(torch.tensor(250.0), v_th=torch.tensor(0.5), reset_method=how)
    return Stateful(norse.LIFBoxCell(box, dt=dt)), "TBCHW"


def of_sinabs(reset, alpha=0.75):
    kind = "MembraneReset" if reset == ZERO else "MembraneSubtract"
    how = getattr(sinabs.activation, kind)()
    tau = -1 / torch.log(torch.tensor(alpha))
    return sinabs_layers.LIF(tau, spike_threshold=0.5, reset_fn=how), "BTCHW"


class Stateful(nn.Module):
    """A cell of norse, which is handed its state from step to step."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, sequence):
        state, spikes = None, []
        for x in sequence:
            out, state = self.cell(x, state)
            spikes.append(out)
        return torch.stack(spikes)


class Read(nn.Module):
    """Spikes of neurons behind weights of 1, as logits of six classes."""

    def __init__(self, neurons):
        super().__init__()
        self.neurons = neurons

    def forward(self, x):
        return self.neurons(x).flatten(2 if x.dim() == 5 else 1)


def net(made):
    neurons, layout = made
    return sb.adapt(Read(neurons), layout=layout, input_shape=(1, 2, 3), classes=6)


@torch.no_grad()
def logits(network):
    return View(network)(X)


LIBRARIES = [of_snntorch, of_spikingjelly, of_norse, of_sinabs]


@pytest.mark.parametrize("make", LIBRARIES)
@pytest.mark.parametrize(("own", "other"), [(ZERO, SUBTRACT), (SUBTRACT, ZERO)])
def test_another_reset_is_that_of_a_network_built_with_it(make, own, other):
    changed, built = net(make(own)), net(make(other))
    before = logits(changed)
    with resetting(View(changed, X), other):
        inside = logits(changed)
    assert torch.equal(inside, logits(built)) and not torch.equal(inside, before)
    assert torch.equal(logits(changed), before)


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize(
    ("make", "given"),
    [
        (of_snntorch, lambda f: {"beta": 1 - f / 4, "threshold": 1 / f}),
        (of_spikingjelly, lambda f: {"tau": 4 / f}),
        (of_norse, lambda f: {"dt": 0.001 * f}),
        (of_sinabs, lambda f: {"alpha": 1 - f / 4}),
    ],
)
def test_another_step_is_that_of_a_network_built_with_it(make, given, factor):
    changed, built = net(make(ZERO)), net(make(ZERO, **given(factor)))
    with stepping(View(changed, X), factor):
        inside = logits(changed)
    torch.testing.assert_close(inside, logits(built), rtol=0, atol=1e-6)
    assert not torch.equal(inside, logits(changed))


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("move", [("zero", 1.0), ("subtract", 1.0), (None, 0.5), (None, 2.0)])
def test_own_neurons_change_as_through_nir(scaled, move):
    layers = [
        sb.networks.layers.Folded(nn.Flatten()),
        sb.LIF(0.75, 0.4, reset="zero", update="spikingjelly", decay_input=scaled),
    ]
    own = sb.networks.Network(layers, (1, 2, 3), 6, voters=1).eval()
    reset, factor = move
    view = View(own, X)
    with stepping(view, factor) if reset is None else resetting(view, reset):
        inside = logits(own)
    torch.testing.assert_close(inside, logits(_read(own, reset, factor)))


def test_what_has_one_reset_or_no_neurons_says_so():
    cell = norse.IAFCell()
    stuck = net((Stateful(cell), "TBCHW"))
    view = View(stuck, X)
    words = "IAFCell of norse does not show another reset than zero"
    with pytest.raises(sb.NotVisible, match=words), resetting(view, SUBTRACT):
        pass
    layers = [sb.networks.layers.Folded(nn.Flatten()), nn.ReLU()]
    relu = View(sb.networks.Network(layers, (1, 2, 3), 6, voters=1), X)
    with pytest.raises(sb.NotVisible, match="needed are spiking neurons"), stepping(relu, 2.0):
        pass
    synapse = net((snntorch.Synaptic(0.5, 0.5, init_hidden=True), "step"))
    with pytest.raises(sb.NotVisible, match="without a synapse"), stepping(View(synapse, X), 2.0):
        pass
