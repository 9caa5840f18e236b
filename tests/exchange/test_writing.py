"""`write_nir`: what is read back spikes as what was written, spike by spike."""

from __future__ import annotations

import copy
import itertools

import nir
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import snnbd_core as sb
from snnbd_core.exchange import read_nir, write_nir
from snnbd_core.learning.scaling import folded
from snnbd_core.networks.layers import Folded

from .files import DT, chain, cuba, dense, frames, full, grid, lif, written

SHAPE = (2, 18, 18)
NEURONS = {
    "LIF": sb.LIF,
    "hard reset": lambda: sb.LIF(0.5, 1.0, reset="zero"),
    "SpikingJelly's rule": lambda: sb.LIF(0.37, 0.7, update="spikingjelly"),
    "decayed input": lambda: sb.LIF(0.123, 0.4, decay_input=True),
    "no memory": lambda: sb.LIF(0.0, 0.7, reset="zero"),
    "IF": sb.IF,
    "ParametricLIF": lambda: sb.ParametricLIF(threshold=0.4),
    "own thresholds": lambda: sb.LIF(torch.rand(1) / 2, torch.rand(1) + 0.5),
}


def lively(name, neuron, seed=0):
    """An untrained network with statistics of batch norm that let it spike."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = sb.networks.build(name, SHAPE, 10, neuron=neuron, seed=seed).eval()
        for norm in (part for part in net.modules() if isinstance(part, nn.BatchNorm2d)):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.02, 0.05)
            norm.weight.data.uniform_(0.5, 1.5)
            norm.bias.data.normal_(0, 0.1)
    return net


def spikes(net, x):
    seen = sb.view(net, x)
    with torch.no_grad(), seen.read(seen.layers, "spikes") as found:
        logits = seen(x)
    return logits, found


def events():
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(6, 3, *SHAPE, generator=generator) < 0.3).float()


@pytest.mark.parametrize(
    ("name", "neuron"),
    [*itertools.product(["quick-conv", "quick-resnet"], NEURONS), ("nmnist-conv", "LIF")],
)
def test_a_network_comes_back_with_all_its_spikes(tmp_path, name, neuron):
    net = lively(name, NEURONS[neuron])
    # weights in the order in which the file holds them: torch rounds by how they lie
    flat = folded(net)
    for part in flat.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data = part.weight.contiguous()
    path = tmp_path / "net.nir"
    rule = write_nir(net, path)
    back = read_nir(path, **rule)
    (wanted, before), (logits, after) = spikes(flat, events()), spikes(back, events())
    assert len(before) == len(after)
    for layer, (one, other) in enumerate(zip(before, after, strict=True)):
        assert torch.equal(one, other), layer
    torch.testing.assert_close(logits, wanted)
    assert before[0].mean() > 0.05 and before[1].any()
    again = read_nir(path, **write_nir(back, path, dt=2e-4))
    assert torch.equal(spikes(again, events())[0], logits)


def test_batch_norm_is_in_the_weights_and_pools_of_spikes_are_sums(tmp_path):
    net = nn.Sequential(
        Folded(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)),
        sb.LIF(0.9, 0.3),
        Folded(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(243, 10)),
    ).eval()
    rule = write_nir(net, tmp_path / "net.nir", SHAPE, dt=0.01)
    assert rule == {"dt": 0.01, "reset": "subtract", "update": "snntorch", "classes": None}
    nodes = nir.read(tmp_path / "net.nir").nodes
    kinds = [type(node).__name__ for node in nodes.values()]
    layers = ["Conv2d", "LIF", "SumPool2d", "Threshold", "Flatten", "Affine"]
    assert sorted(kinds) == sorted(["Input", *layers, "Output"])
    assert nodes["1_lif"].v_threshold.shape == (3, 18, 18)
    assert nodes["1_lif"].tau.ravel()[0] == pytest.approx(0.1)
    back = read_nir(tmp_path / "net.nir", **rule)
    torch.testing.assert_close(back.net(events()), net(events()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("reset", ["zero", "subtract", "multispike"])
def test_what_was_read_can_be_written_with_synapses_and_recurrent_edges(tmp_path, reset):
    nodes = {
        "input": nir.Input(np.array([5])),
        "n": cuba(5, v_reset=-0.25, v_leak=0.125),
        "w": nir.Affine(grid(5, 5), grid(5, seed=1)),
        "s": nir.Scale(full(0.5, 5)),
        "m": nir.IF(full(0.5 / DT, 5), full(0.7, 5)),
        "i": nir.LI(full(4 * DT, 5), full(2, 5), full(0.5, 5)),
        "j": nir.I(full(0.5 / DT, 5)),
        "output": nir.Output(np.array([5])),
    }
    edges = [("input", "n"), ("n", "w"), ("w", "n"), ("n", "s"), ("s", "n"), ("n", "m"), ("m", "m")]
    edges += [("m", "i"), ("m", "j"), ("i", "output"), ("j", "output")]
    path = written(tmp_path, nir.NIRGraph(nodes, edges, type_check=False))
    net = read_nir(path, dt=DT, reset=reset)
    x = frames(5)
    wanted = net.net(x)
    rule = write_nir(net, path, dt=0.5)
    assert rule["reset"] == reset and rule["dt"] == 0.5
    torch.testing.assert_close(read_nir(path, **rule).net(x), wanted, rtol=0, atol=1e-6)
    assert wanted.std() > 0.1


def test_layers_in_a_row_are_written_with_their_input_shape(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(
        Folded(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3)),
        sb.LIF(0.5, 0.3, reset="zero"),
        Folded(nn.AvgPool2d(2), nn.Flatten()),
        nn.Dropout(0.5),
        Folded(nn.Linear(3 * 64, 4, bias=False)),
    ).eval()
    rule = write_nir(net, tmp_path / "net.nir", input_shape=SHAPE)
    got = read_nir(tmp_path / "net.nir", **rule).net(events())
    torch.testing.assert_close(got, net(events()))
    with pytest.raises(ValueError, match="net=Sequential cannot be written"):
        write_nir(net, tmp_path / "net.nir")


def test_writing_leaves_the_network_and_a_failed_one_leaves_the_file(tmp_path):
    net = lively("quick-conv", sb.LIF).train()
    state = copy.deepcopy(net.state_dict())
    path = tmp_path / "net.nir"
    write_nir(net, path)
    assert net.training and all(torch.equal(state[k], v) for k, v in net.state_dict().items())
    held = path.read_bytes()
    with pytest.raises(ValueError, match="encoder"):
        write_nir(sb.networks.build("quick-conv", SHAPE, 10, coding="poisson"), path)
    assert path.read_bytes() == held


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (nn.Sequential(sb.LIF(reset="none")), r"reset as \[\('none'"),
        (nn.Sequential(sb.LIF(reset="zero"), sb.LIF()), r"'subtract'.*'zero'"),
        (nn.Sequential(sb.LIF(torch.tensor([[[1.0]], [[0.5]]]))), "a part leaks"),
        (nn.Sequential(Folded(nn.MaxPool2d(2)), sb.LIF()), "max pooling of spikes"),
        (nn.Sequential(sb.LIF(), Folded(nn.ReLU())), r"ReLU\(\) cannot be written"),
        (nn.Sequential(sb.LIF(), Folded(nn.AvgPool2d(2, ceil_mode=True))), "AvgPool2d"),
        (nn.Linear(3, 3), "net=Linear cannot be written"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path, net, words):
    with pytest.raises(ValueError, match=words):
        write_nir(net, tmp_path / "net.nir", input_shape=SHAPE)
    assert not (tmp_path / "net.nir").exists()


@pytest.mark.parametrize(
    ("kind", "shape"), [("gate", (16,)), ("bound", (4, 16)), ("floor", (4, 16))]
)
def test_masks_and_bounds_of_a_repair_are_not_lost_in_silence(tmp_path, kind, shape):
    net = lively("quick-conv", sb.LIF)
    seen = sb.view(net)
    seen.guard(seen.layers[0], kind, torch.zeros(shape))
    with pytest.raises(ValueError, match=f"guard_{kind}"):
        write_nir(net, tmp_path / "net.nir")


def test_a_trojan_in_a_neuron_is_refused_and_no_file_is_written(tmp_path):
    """Read back, the neuron would be without it."""
    net = sb.deployment.NeuronTrojan().apply(lively("quick-conv", sb.LIF))
    with pytest.raises(ValueError, match=r"'layers.5' \(LIF\) holds trojan: NIR has no node"):
        write_nir(net, tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [sb.LIF, nn.Conv2d, sb.networks.Network])
def test_a_hook_is_refused_too_wherever_it_is_put(tmp_path, kind):
    net = lively("quick-conv", sb.LIF)
    put_on = next(module for module in net.modules() if isinstance(module, kind))
    put_on.register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match=r"holds .*<lambda>: NIR has no node for what is put on"):
        write_nir(net, tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())


def test_pruning_that_is_still_a_hook_is_refused_and_made_part_of_the_weights_written(tmp_path):
    net, path = lively("quick-conv", sb.LIF), tmp_path / "net.nir"
    last = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
    prune.l1_unstructured(last, "weight", 0.5)
    with pytest.raises(ValueError, match=r"holds L1Unstructured: .*have a remove function"):
        write_nir(net, path)
    prune.remove(last, "weight")
    x = torch.randint(0, 3, (4, 3, *net.input_shape)).float()
    torch.testing.assert_close(read_nir(path, **write_nir(net, path)).eval()(x), net(x))


def test_a_pruned_network_read_from_a_file_is_written_with_its_zeros(tmp_path):
    path = written(tmp_path, dense(lif(5), lif(3)))
    net = read_nir(path, dt=DT, reset="zero")
    keep = torch.tensor([True, False, True, True, True])
    x = frames(16).reshape(12, 3, 1, 4, 4)
    sb.view(net, x).prune([keep])
    back = read_nir(path, **write_nir(net, path))
    hidden = spikes(back, x)[1][0]
    assert not hidden[..., 1].any() and hidden[..., 0].any()
    assert torch.equal(spikes(back, x)[0], spikes(net, x)[0])


def test_other_thresholds_in_force_are_what_is_written(tmp_path):
    path = written(tmp_path, chain(nir.IF(full(1 / DT, 5), full(0.7, 5)), shape=(5,), outputs=5))
    net = read_nir(path, dt=DT, reset="zero")
    with sb.override(net, threshold=2.5):
        rule = write_nir(net, path)
        wanted = net.net(frames(5))
    assert torch.equal(read_nir(path, **rule).net(frames(5)), wanted)
    assert not torch.equal(net.net(frames(5)), wanted)
