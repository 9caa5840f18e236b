"""What `read_nir` makes of each node, against equations stepped by hand; what the view sees."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

import snnbd_core as sb
from snnbd_core.exchange import read_nir

from .files import DT, chain, cuba, dense, frames, full, grid, lif, written

TWO, FOUR = np.array([2]), np.array([4])


def stepped(x, fields, dt, reset):
    """NIR's equations by the forward Euler method, in float64, neuron by neuron."""
    v = np.full(x.shape[1:], fields.get("v_leak", 0.0))
    synapse = np.zeros(x.shape[1:])
    spikes, potentials = [], []
    for now in x:
        if "tau_syn" in fields:
            synapse = synapse + dt / fields["tau_syn"] * (fields["w_in"] * now - synapse)
            now = synapse
        tau = fields.get("tau", fields.get("tau_mem"))
        if tau is None:
            v = v + dt * fields["r"] * now
        else:
            v = v + dt / tau * (fields["v_leak"] - v + fields["r"] * now)
        potentials.append(v)
        if "v_threshold" not in fields:
            continue
        fired = v > fields["v_threshold"]
        drop = fields["v_threshold"] - fields["v_reset"]
        v = np.where(fired, fields["v_reset"] if reset == "zero" else v - drop, v)
        spikes.append(fired)
    return np.array(spikes or potentials, dtype=np.float32)


EXACT = 11 / 16  # a threshold without rounding: so are all sums

NEURONS = {
    "IF": nir.IF(r=full(1 / DT, 5), v_threshold=full(EXACT, 5)),
    "IF, other gain": nir.IF(r=full(0.5 / DT, 5), v_threshold=full(EXACT, 5)),
    "IF, reset elsewhere": nir.IF(full(1 / DT, 5), full(EXACT, 5), v_reset=full(-0.25, 5)),
    "LIF": lif(5, v_threshold=EXACT),
    "LIF, r = 1": lif(5, r=1.0, v_threshold=EXACT),
    "LIF, other gain": lif(5, tau=4.0, r=2.0, v_threshold=EXACT),
    "LIF, leaks elsewhere": lif(5, v_leak=0.25, v_threshold=EXACT),
    "LIF, all elsewhere": lif(5, v_leak=0.25, v_reset=-0.5, v_threshold=EXACT),
    "CubaLIF": cuba(5, v_threshold=EXACT),
    "CubaLIF, all elsewhere": cuba(5, v_leak=-0.25, v_reset=0.125, w_in=2.0, v_threshold=EXACT),
    "LI": nir.LI(tau=full(4 * DT, 5), r=full(2, 5), v_leak=full(0.5, 5)),
    "I": nir.I(r=full(0.5 / DT, 5)),
}


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("name", NEURONS)
def test_neurons_step_as_the_equations_of_the_format_say(tmp_path, name, reset):
    node = NEURONS[name]
    path = written(tmp_path, chain(node, shape=(5,), outputs=5))
    x = frames(5) - 0.5
    fields = {key: value for key, value in node.to_dict().items() if isinstance(value, np.ndarray)}
    wanted = stepped(x.double().numpy(), fields, DT, reset)
    got = read_nir(path, dt=DT, reset=reset).net(x)
    np.testing.assert_allclose(got.numpy(), wanted, atol=1e-6)
    assert np.mean(wanted != 0) > 0 and wanted.std() > 0.1


def test_a_neuron_of_the_usual_rule_is_one_of_the_library(tmp_path):
    for node in (lif(5), lif(5, r=1.0), nir.IF(full(1 / DT, 5), full(0.7, 5))):
        net = read_nir(written(tmp_path, chain(node, shape=(5,), outputs=5)), dt=DT, reset="zero")
        assert type(net.net.nodes["0"]) is sb.LIF


def test_several_spikes_a_step_are_subtracted_and_the_potential_has_a_floor(tmp_path):
    node = nir.IF(r=np.ones(1, np.float32), v_threshold=np.ones(1, np.float32))
    path = written(tmp_path, chain(node, shape=(1,), outputs=1))
    x = torch.tensor([2.5, 0.75, -5.0, 0.5, 1.5]).reshape(-1, 1, 1)
    given = read_nir(path, dt=1, reset="multispike").net(x).flatten()
    # 2.5 -> 2, 0.5 left; 1.25 -> 1, 0.25 left; -4.75 -> -1; -0.5; 1.0 -> 1
    assert given.tolist() == [2, 1, 0, 0, 1]


def test_layers_compute_what_torch_does(tmp_path):
    weight, bias = grid(4, 2, 3, 3), grid(4, seed=1)
    graph = chain(
        nir.Conv2d((8, 8), weight, (2, 1), (1, 0), 1, 1, bias),
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.SumPool2d(np.array([2, 1]), np.array([1, 1]), np.array([1, 0])),
        nir.Scale(grid(4, 3, 3, seed=2)),
        nir.Threshold(full(0.1, 4, 3, 3)),
        nir.Flatten({"input": np.array([4, 3, 3])}, 1, 2),
        nir.Flatten({"input": np.array([4, 9])}, 0, -1),
        nir.Affine(grid(3, 36), grid(3, seed=3)),
        shape=(2, 8, 8),
    )
    x = frames(2, 8, 8)
    rows = x.flatten(0, 1)
    rows = torch.conv2d(rows, torch.tensor(weight), torch.tensor(bias), (2, 1), (1, 0))
    rows = torch.nn.functional.avg_pool2d(rows, 2)
    rows = 2 * torch.nn.functional.avg_pool2d(rows, (2, 1), 1, (1, 0))
    rows = ((rows * torch.tensor(grid(4, 3, 3, seed=2))) > 0.1).float().flatten(1)
    rows = rows @ torch.tensor(grid(3, 36)).T + torch.tensor(grid(3, seed=3))
    net = read_nir(written(tmp_path, graph), dt=1, reset="zero")
    torch.testing.assert_close(net.net(x).flatten(0, 1), rows)
    torch.testing.assert_close(net(x), rows.unflatten(0, x.shape[:2]).mean(0))


def test_a_grouped_convolution_and_one_over_a_line_are_torch_s(tmp_path):
    wide, line = grid(4, 1, 3, 3), grid(3, 4, 3, seed=1)
    graph = chain(
        nir.Conv2d((4, 4), wide, 1, "same", 1, 2, np.zeros(4, np.float32)),
        nir.Flatten({"input": np.array([4, 4, 4])}, 1, 2),
        nir.Conv1d(16, line, 2, 0, 2, 1, np.zeros(3, np.float32)),
        nir.Flatten({"input": np.array([3, 6])}, 0, 1),
        shape=(2, 4, 4),
        outputs=18,
    )
    x = frames(2, 4, 4)
    rows = torch.conv2d(x.flatten(0, 1), torch.tensor(wide), padding="same", groups=2).flatten(2)
    rows = torch.conv1d(rows, torch.tensor(line), stride=2, dilation=2).flatten(1)
    net = read_nir(written(tmp_path, graph), dt=1, reset="zero")
    torch.testing.assert_close(net.net(x).flatten(0, 1), rows)


def test_edges_that_meet_are_added_and_sub_graphs_are_laid_open(tmp_path):
    inner = nir.NIRGraph(
        {
            "in": nir.Input(FOUR),
            "w": nir.Linear(grid(4, 4)),
            "out": nir.Output(FOUR),
        },
        [("in", "w"), ("w", "out")],
    )
    nodes = {
        "input": nir.Input(FOUR),
        "a.b": nir.Linear(grid(4, 4, seed=1)),
        "block": inner,
        "output": nir.Output(FOUR),
    }
    edges = [("input", "a.b"), ("input", "block"), ("a.b", "output"), ("block", "output")]
    x = frames(4)
    net = read_nir(written(tmp_path, nir.NIRGraph(nodes, edges)), dt=1, reset="zero")
    weight = torch.tensor(grid(4, 4) + grid(4, 4, seed=1))
    torch.testing.assert_close(net.net(x), x @ weight.T)


def recurrent(back, neurons):
    """Input -> neurons -> output, and what leads from the neurons back to them."""
    nodes = {"input": nir.Input(TWO), "n": neurons, "output": nir.Output(TWO)}
    edges = [("input", "n"), ("n", "output"), *back[1]]
    return nir.NIRGraph({**nodes, **back[0]}, edges, type_check=False)


def test_recurrent_spikes_arrive_one_step_later(tmp_path):
    """The first neuron spikes at once, and passes its spike to the second and back."""
    swap = np.array([[0, 1], [1, 0]], np.float32)
    neurons = nir.LIF(*(full(v, 2) for v in (1.0, 1.0, 0.0, 0.5)))
    graph = recurrent(({"w": nir.Linear(swap)}, [("n", "w"), ("w", "n")]), neurons)
    x = torch.zeros(5, 1, 2)
    x[0, 0, 0] = 1
    net = read_nir(written(tmp_path, graph), dt=1, reset="zero")
    assert net.net(x)[:, 0].tolist() == [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]
    seen = sb.view(net, x)
    assert [layer.shape for layer in seen.layers] == [(2,)]
    assert len(seen.layers[0].inner) == 1  # the view knows of the connections within


def test_neurons_may_feed_themselves_and_through_sub_graphs(tmp_path):
    inner = nir.NIRGraph(
        {
            "in": nir.Input(TWO),
            "s": nir.Scale(full(1, 2)),
            "out": nir.Output(TWO),
        },
        [("in", "s"), ("s", "out")],
    )
    neurons = nir.LIF(*(full(v, 2) for v in (1.0, 1.0, 0.0, 0.5)))
    x = torch.zeros(4, 1, 2)
    x[0, 0, 0] = 1
    for back in (({}, [("n", "n")]), ({"g": inner}, [("n", "g"), ("g", "n")])):
        net = read_nir(written(tmp_path, recurrent(back, neurons)), dt=1, reset="zero")
        assert net.net(x)[:, 0].tolist() == [[1, 0]] * 4


def test_the_view_sees_taps_settings_and_overrides(tmp_path):
    net = read_nir(written(tmp_path, dense(lif(5), cuba(3))), dt=DT, reset="zero")
    x = frames(16).reshape(12, 3, 1, 4, 4)
    seen = sb.view(net, x)
    assert [type(layer.module).__name__ for layer in seen.layers] == ["LIF", "SynapticLIF"]
    assert [(layer.shape, layer.axes) for layer in seen.layers] == [((5,), "time"), ((3,), "time")]
    assert seen.readout is seen.layers[-1] and len(seen.weights) == 2 and seen.classes == 3
    settings = list(seen.settings().values())
    assert [float(one.threshold) for one in settings] == pytest.approx([0.7, 0.7])
    assert [float(one.decay) for one in settings] == [0.5, 0.5]
    with torch.no_grad(), seen.read(seen.layers, "potential") as potentials:
        logits = seen(x)
    with torch.no_grad(), seen.read(seen.layers, "spikes") as spikes:
        seen(x)
    for potential, fired in zip(potentials, spikes, strict=True):
        assert torch.equal((potential > 0.7).float(), fired) and fired.any()
    torch.testing.assert_close(logits, spikes[1].mean(0))
    with torch.no_grad(), sb.override(net, threshold=100.0):
        assert not net(x).any()
    with torch.no_grad():
        torch.testing.assert_close(net(x), logits)


def test_gradients_reach_the_input_through_every_kind_of_neuron(tmp_path):
    for reset in ("zero", "subtract", "multispike"):
        net = read_nir(written(tmp_path, dense(lif(5, v_reset=-0.25), cuba(3))), dt=DT, reset=reset)
        x = frames(16).requires_grad_()
        net(x).sum().backward()
        assert x.grad is not None and x.grad.abs().sum() > 0


def test_several_outputs_of_a_class_are_averaged(tmp_path):
    path = written(tmp_path, chain(nir.Linear(grid(6, 16)), shape=(16,), outputs=6))
    x = frames(16)
    six, three = (read_nir(path, dt=1, reset="zero", classes=n)(x) for n in (None, 3))
    torch.testing.assert_close(three, six.unflatten(1, (3, 2)).mean(2))


def test_values_of_each_neuron_of_a_line_are_no_values_of_samples(tmp_path):
    threshold = np.array([[0.5], [1.5], [2.5]], np.float32)
    node = nir.IF(r=full(1, 3, 1), v_threshold=threshold)
    net = read_nir(written(tmp_path, chain(node, shape=(3, 1), outputs=(3, 1))), dt=1, reset="zero")
    assert net.net(torch.ones(1, 3, 3, 1))[0].tolist() == [[1, 0, 0]] * 3
    assert net.net.shapes["0"] == (3, 1)


def test_frames_of_another_size_are_refused(tmp_path):
    net = read_nir(written(tmp_path, dense(lif(5), lif(3))), dt=DT, reset="zero")
    with pytest.raises(ValueError, match=r"\[1, 1, 2, 3, 3\] must be \[T, B, 16\]"):
        net(torch.zeros(1, 1, 2, 3, 3))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"reset": "zero"}, "dt=None must be a number > 0"),
        ({"dt": 0, "reset": "zero"}, "dt=0 must be a number > 0"),
        ({"dt": DT}, "reset=None is unknown; allowed: zero, subtract, multispike"),
        ({"dt": DT, "reset": "hard"}, "reset='hard' is unknown"),
        ({"dt": DT, "reset": "zero", "update": "x"}, "update='x' is unknown"),
        ({"dt": DT, "reset": "multispike", "update": "snntorch"}, "update='snntorch'"),
        ({"dt": 3 * DT, "reset": "zero"}, r"must be at most tau=0.00195.* of node 1 \(LIF\)"),
        ({"dt": DT, "reset": "zero", "limit": 0}, "limit=0"),
        ({"dt": DT, "reset": "zero", "classes": 0}, "classes=0"),
    ],
)
def test_what_a_file_leaves_open_is_never_guessed(tmp_path, arguments, words):
    path = written(tmp_path, dense(lif(5), lif(3)))
    with pytest.raises(ValueError, match=words) as caught:
        read_nir(path, **arguments)
    assert not isinstance(caught.value, sb.exchange.CorruptNetwork)
