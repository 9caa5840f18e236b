"""Guards and pruning act in every library as computed by hand, and are carried with a network."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

from snnbd_core import guards
from snnbd_core.guards import noise
from snnbd_core.networks.layers import Folded
from snnbd_core.neurons import LIF
from snnbd_core.view import NotVisible, View, adapt

from .builders import KINDS, RECTIFIED, SPIKING, STEPS, copy_weights, frames, load, matched

CHANNELS = 8
GATE = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.5, 0.0, 1.0, 1.0])


def bounds():
    """[T, C], another one at each step."""
    return 0.2 + 0.8 * torch.rand(STEPS, CHANNELS, generator=torch.Generator().manual_seed(0))


def floors():
    """[T, C], below the bounds."""
    return 0.5 * bounds()


def unfolded(layer, current):
    return guards.unfolded(current, layer.axes, STEPS)


@torch.no_grad()
def currents_and_logits(net, sequence):
    seen = View(net)
    with seen.read(seen.layers[:1], "current") as found:
        logits = seen(sequence)
    return found[0], logits


def edited(net, sequence, change):
    """What the net answers when the first layer's current is changed by hand."""
    seen = View(net)
    with torch.no_grad(), seen.edited({seen.layers[0]: change}):
        return seen(sequence)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gate_multiplies_channels_of_the_current(kind):
    net, sequence = matched(kind, "rate").eval(), frames()
    gate = GATE.reshape(1, 1, CHANNELS, 1, 1)
    before, _ = currents_and_logits(net, sequence)
    wanted = edited(net, sequence, lambda current, now: current * gate)
    seen = View(net)
    seen.guard(seen.layers[0], "gate", GATE)
    with torch.no_grad(), seen.read(seen.layers[:1], "current") as found:
        logits = seen(sequence)
    assert torch.equal(found[0], before * gate)
    assert torch.equal(logits, wanted)
    fresh = matched(kind, "rate").eval()
    with View(fresh).gated([GATE, torch.ones(32)]), torch.no_grad():
        assert torch.equal(fresh(sequence), wanted)


@pytest.mark.parametrize("kind", [one for one in KINDS if one != "relu"])
def test_a_bound_cuts_each_step_and_channel(kind):
    net, sequence = matched(kind, "rate").eval(), frames()
    before, free = currents_and_logits(net, sequence)
    limit = bounds().reshape(STEPS, 1, CHANNELS, 1, 1)
    seen = View(net)
    with torch.no_grad(), seen.bounded([bounds(), torch.full((STEPS, 32), 1e3)]):
        wanted = seen(sequence)
    seen.guard(seen.layers[0], "bound", bounds())
    for _ in range(2):  # step by step, the guard has to begin anew
        after, logits = currents_and_logits(net, sequence)
        assert torch.equal(after, torch.minimum(before, limit))
        assert torch.equal(logits, wanted)
        assert torch.equal(net(sequence), wanted)
    assert not torch.equal(wanted, free)


@pytest.mark.parametrize("bound_first", [False, True])
@pytest.mark.parametrize("kind", [one for one in KINDS if one != "relu"])
def test_a_floor_cuts_each_step_and_channel_from_below_beside_a_bound(kind, bound_first):
    net, sequence = matched(kind, "rate").eval(), frames()
    before, _ = currents_and_logits(net, sequence)
    high, low = 4 * bounds(), floors()
    limit, floor = (one.reshape(STEPS, 1, CHANNELS, 1, 1) for one in (high, low))
    seen, far = View(net), torch.full((STEPS, 32), 1e3)
    with torch.no_grad(), seen.bounded([high, far]):
        above = seen(sequence)
    with torch.no_grad(), seen.bounded([high, far], [low, -far]):
        wanted = seen(sequence)
    guard = [("floor", low), ("bound", high)]
    for name, values in reversed(guard) if bound_first else guard:
        seen.guard(seen.layers[0], name, values)
    for _ in range(2):
        after, logits = currents_and_logits(net, sequence)
        assert torch.equal(after, torch.clamp(before, floor, limit))
        assert torch.equal(logits, wanted)
    assert not torch.equal(wanted, above)


@pytest.mark.parametrize("bound_first", [False, True])
@pytest.mark.parametrize("kind", ["own", "snntorch", "sinabs"])
def test_the_bound_holds_where_a_floor_is_above_it(kind, bound_first):
    net, sequence = matched(kind, "rate").eval(), frames()
    seen = View(net)
    crossed = bounds() + torch.linspace(-0.3, 0.3, CHANNELS)
    guard = [("floor", crossed), ("bound", bounds())]
    before, _ = currents_and_logits(net, sequence)
    for name, values in reversed(guard) if bound_first else guard:
        seen.guard(seen.layers[0], name, values)
    after, _ = currents_and_logits(net, sequence)
    limit, floor = (one.reshape(STEPS, 1, CHANNELS, 1, 1) for one in (bounds(), crossed))
    assert torch.equal(after, torch.clamp(before, floor, limit))  # PyTorch's too


def test_of_two_floors_the_higher_holds():
    net, sequence = matched("own", "rate").eval(), frames()
    before, _ = currents_and_logits(net, sequence)
    seen = View(net)
    for floor in (floors(), floors().flip(0)):
        seen.guard(seen.layers[0], "floor", floor)
    after, _ = currents_and_logits(net, sequence)
    higher = torch.maximum(floors(), floors().flip(0)).reshape(STEPS, 1, CHANNELS, 1, 1)
    assert torch.equal(after, torch.maximum(before, higher))
    assert guards.steps(net) == STEPS


@pytest.mark.parametrize("kind", SPIKING)
def test_a_factor_raises_thresholds_neuron_by_neuron(kind):
    own = matched("own", "linear", voters=10).eval()
    net = matched(kind, "linear", voters=10).eval()
    copy_weights(own, net)
    sequence = frames()
    factor = torch.tensor([1.0, 2.0, 0.5, 4.0]).repeat(8)  # exact to divide by
    layer = View(own).hidden[1]
    with torch.no_grad(), layer.adapter.overridden(layer.module, 0.7 * factor, None):
        wanted = View(own)(sequence)
    seen = View(net)
    seen.guard(seen.hidden[1], "factor", factor)
    with torch.no_grad():
        torch.testing.assert_close(seen(sequence), wanted, rtol=0, atol=1e-6)
        assert not torch.allclose(wanted, View(own)(sequence))


@pytest.mark.parametrize("kind", SPIKING)
def test_noise_is_one_draw_for_each_sample_over_all_steps(kind):
    own = matched("own", "linear", voters=10).eval()
    net = matched(kind, "linear", voters=10).eval()
    copy_weights(own, net)
    sequence, values = frames(), noise(0.5, 4.0, seed=7)
    for one in (own, net):
        seen = View(one)
        seen.guard(seen.hidden[1], "noise", values)
    with torch.no_grad():
        first, second = View(own)(sequence), View(own)(sequence)
        torch.testing.assert_close(View(net)(sequence), first, rtol=0, atol=1e-6)
        torch.testing.assert_close(View(net)(sequence), second, rtol=0, atol=1e-6)
    assert not torch.equal(first, second)


def test_a_factor_is_refused_where_dividing_the_current_is_something_else():
    neuron = load("spikingjelly.activation_based.neuron")

    net = nn.Sequential(
        nn.Flatten(), nn.Linear(4, 3), neuron.LIFNode(v_reset=0.25), nn.Linear(3, 2)
    )
    seen = View(adapt(net, layout="step", input_shape=(1, 2, 2)))
    with pytest.raises(NotVisible, match="are reset to 0 or by the threshold"):
        seen.guard(seen.layers[0], "factor", torch.ones(3))


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_pruned_channels_get_no_current_and_the_others_keep_theirs(kind, batch_norm):
    net, sequence = matched(kind, "rate", batch_norm=batch_norm).eval(), frames()
    before, _ = currents_and_logits(net, sequence)
    seen = View(net)
    keep = [GATE > 0, torch.ones(32, dtype=torch.bool)]
    seen.prune(keep)
    after, _ = currents_and_logits(net, sequence)
    assert not after[:, :, GATE == 0].any()
    assert torch.equal(after[:, :, GATE > 0], before[:, :, GATE > 0])
    assert not any("guard" in name for name in net.state_dict())  # the weights alone do it
    with pytest.raises(ValueError, match="would lose all"):
        seen.prune([torch.zeros(CHANNELS, dtype=torch.bool), keep[1]])


class Between(nn.Module):
    """Two layers of neurons with 4 channels, and what lies before each of them."""

    input_shape = (4, 6, 6)

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = Folded(*first), Folded(*second)
        self.a, self.b = LIF(0.5, 0.3), LIF(0.5, 0.1)
        self.last = Folded(nn.Flatten(), nn.Linear(144, 3))

    def forward(self, x):
        return self.last(self.b(self.second(self.a(self.first(x))))).mean(0)


class Around(Between):
    """The same with a shortcut, which runs before all of it."""

    def __init__(self, around, first, second):
        super().__init__(first, second)
        self.around = Folded(*around)

    def forward(self, x):
        past = self.around(x)
        return self.last(self.b(self.second(self.a(self.first(x))) + past)).mean(0)


def between(kind):
    torch.manual_seed(0)
    same, norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    tied = nn.Conv2d(4, 4, 3, padding=1)
    tied.weight = same.weight
    if kind == "a shortcut before the body":
        return Around([tied], [nn.Conv2d(4, 4, 1)], [nn.Conv2d(4, 4, 1)]).eval()
    first, second = {
        "one convolution twice": ([same], [same]),
        "one weight in two convolutions": ([same], [tied]),
        "one norm twice": ([same, norm], [nn.Conv2d(4, 4, 1), norm]),
        "depthwise before pointwise": ([nn.Conv2d(4, 4, 1, groups=4), nn.Conv2d(4, 4, 1)], [same]),
    }[kind]
    return Between(first, second).eval()


@pytest.mark.parametrize(
    "kind",
    [
        "one convolution twice",
        "one weight in two convolutions",
        "one norm twice",
        "depthwise before pointwise",
        "a shortcut before the body",
    ],
)
def test_pruning_leaves_what_the_weights_of_a_channel_do_elsewhere(kind):
    sequence = torch.rand(4, 5, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    for number in (0, 1):
        keep = [torch.ones(4, dtype=torch.bool), torch.ones(4, dtype=torch.bool)]
        keep[number][2] = False
        net = between(kind)
        seen = View(net)
        with torch.no_grad():
            before = seen(sequence)
            with seen.gated([one.float() for one in keep]):
                wanted = seen(sequence)
            seen.prune(keep)
            assert torch.equal(seen(sequence), wanted)
        assert not torch.equal(before, wanted)


def guarded(kind, floor=True):
    net = matched(kind, "rate", seed=1).eval()
    seen = View(net)
    if kind != "relu":
        seen.guard(seen.layers[0], "bound", bounds())
        if floor:
            seen.guard(seen.layers[0], "floor", floors())
    seen.guard(seen.layers[1], "gate", torch.linspace(0, 1, 32))
    if kind not in RECTIFIED:
        seen.guard(seen.layers[0], "factor", torch.tensor(0.5))
    seen.guard(seen.layers[2], "scale", torch.tensor(0.5))
    return net


def bare(state):
    """What safetensors keeps: contiguous tensors by name, none of them shared."""
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    assert len({value.data_ptr() for value in state.values() if value.numel()}) == len(
        [value for value in state.values() if value.numel()]
    )
    return {name: torch.from_numpy(value.numpy().copy()) for name, value in state.items()}


@torch.no_grad()
def answers(net):
    return net.eval()(frames())


@pytest.mark.parametrize("kind", KINDS)
def test_a_guarded_network_answers_alike_after_every_way_of_carrying_it(kind):
    net = guarded(kind)
    wanted = answers(net)
    assert not torch.equal(wanted, answers(matched(kind, "rate", seed=1)))
    if kind != "relu":
        assert not torch.equal(wanted, answers(guarded(kind, floor=False)))
    assert torch.equal(answers(copy.deepcopy(net)), wanted)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    for carried in (state, bare(state)):
        fresh = matched(kind, "rate", seed=2)
        fresh.load_state_dict(carried)
        assert torch.equal(answers(fresh), wanted)
        assert torch.equal(answers(copy.deepcopy(fresh)), wanted)
    dirty = matched(kind, "rate", seed=2)
    dirty(frames(batch=3))
    dirty.load_state_dict(state)
    assert torch.equal(answers(dirty), wanted)


# snnTorch's surrogates are functions within functions, and norse's settings of a class without a
# name: neither library's networks can be pickled
@pytest.mark.parametrize("kind", [one for one in KINDS if one[:4] not in ("snnt", "nors")])
def test_a_guarded_network_answers_alike_after_torch_save(kind):
    net = guarded(kind)
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    assert torch.equal(answers(torch.load(file, weights_only=False)), answers(net))


def test_the_state_of_sinabs_survives_its_own_reset_beside_a_guard():
    sinabs = load("sinabs")

    net = guarded("sinabs")
    wanted = answers(net)
    sinabs.reset_states(net)
    net(frames(batch=3))
    assert torch.equal(answers(net), wanted)
