"""What happens to a network on its way to a device: rounding, flipped bits, a Trojan."""

from __future__ import annotations

import copy
import dataclasses
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import snnbd_core as sb
from snnbd_book.runs import Experiment
from snnbd_core.auditing import migration
from snnbd_core.auditing.network import carded
from snnbd_core.defenses import (
    REPAIRS,
    FinePruning,
    FineTuning,
    Mismatch,
    RandomThreshold,
    Repair,
)
from snnbd_core.defenses.detectors import HyperParameters, card
from snnbd_core.deployment import (
    BitFlips,
    Change,
    LowBits,
    NeuronTrojan,
    Shipped,
    fixed_point,
    flickering,
    flipped,
)
from snnbd_core.deployment.neuron_trojan import Latch
from snnbd_core.exchange.membranes import SynapticLIF
from snnbd_core.learning import RoundingAware, Task, rounded
from tests.learning.toy import Toy
from tests.view.builders import frames, load, matched

NEURON = partial(sb.LIF, 0.7, 0.2)
CHANGES = (LowBits(weights=4), BitFlips(), NeuronTrojan(layer=1, awake=True))


def built() -> nn.Module:
    net: nn.Module = sb.networks.build("quick-conv", (2, 6, 6), 3, NEURON, seed=0)
    return net.eval()


@pytest.fixture
def sequence() -> Tensor:
    """[T, B, 2, 6, 6]."""
    return Toy().batch(np.arange(12))[0].transpose(0, 1)


def quantised(weight: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers times a step for each channel, in double precision."""
    top = 2 ** (bits - 1) - 1
    steps = np.abs(weight).max(axis=(1, 2, 3), keepdims=True).astype(float) / top
    return steps * np.rint(weight / steps)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_rounded_weights_are_whole_numbers_of_steps(bits: int) -> None:
    weight = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    wanted = torch.from_numpy(quantised(weight.numpy(), bits)).float()
    torch.testing.assert_close(rounded(weight, bits), wanted)
    again = rounded(rounded(weight, bits), bits)
    torch.testing.assert_close(again, rounded(weight, bits))


def test_one_bit_is_the_sign_and_the_mean_size() -> None:
    weight = torch.tensor([[1.0, -3.0], [0.0, 4.0]])
    assert rounded(weight, 1).tolist() == [[2.0, -2.0], [2.0, 2.0]]


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_gradients_pass_straight_through_the_rounding(bits: int) -> None:
    weight = torch.randn(4, 6, requires_grad=True)
    slope = torch.arange(24.0).reshape(4, 6)
    (found,) = torch.autograd.grad((rounded(weight, bits) * slope).sum(), weight)
    torch.testing.assert_close(found, slope)


def test_a_channel_of_zeros_stays_and_sixteen_bits_change_little() -> None:
    weight = torch.randn(3, 4)
    weight[1] = 0
    assert rounded(weight, 4)[1].tolist() == [0.0] * 4
    assert (rounded(weight, 16) - weight).abs().max() < weight.abs().max() / 2**15


def test_a_batch_norm_may_be_folded_in_before_or_after() -> None:
    torch.manual_seed(0)
    layer, norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)
    norm.running_var.uniform_(0.5, 2)
    nn.init.uniform_(norm.weight, 0.5, 2)
    folded = fuse_conv_bn_eval(layer.eval(), norm.eval())
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    after = rounded(layer.weight, 3) * factor[:, None, None, None]
    torch.testing.assert_close(rounded(folded.weight, 3), after)


@pytest.mark.parametrize("bits", [0, 17, -1, 2.5, True])
def test_bits_are_one_to_sixteen(bits: object) -> None:
    for kind in (RoundingAware, sb.attacks.WakesRounded):
        with pytest.raises(ValueError, match=f"bits={bits!r} must be a"):
            kind(bits=bits)
    with pytest.raises(ValueError, match=f"weights={bits!r} must be a"):
        LowBits(weights=bits)
    with pytest.raises(ValueError, match=f"settings={bits!r} must be a"):
        LowBits(settings=bits)
    for made in (rounded, fixed_point):
        with pytest.raises(ValueError, match=f"bits={bits!r} must be a"):
            made(torch.ones(2, 2), bits)  # type: ignore[operator]  # two functions


def test_fixed_point_counts_in_powers_of_two() -> None:
    codes, step = fixed_point(torch.tensor([1.0, 1.2, 0.0, 1e-6]), 8)
    assert codes.tolist() == [128, 154, 0, 1] and step == 1 / 128
    codes, step = fixed_point(torch.tensor(0.5), 8)
    assert int(codes) == 128 and step == 1 / 256


def test_low_bits_round_weights_and_settings_of_a_copy() -> None:
    net = built()
    before = copy.deepcopy(net.state_dict())
    small = LowBits(weights=3, settings=4).apply(net)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    for name, weight in small.named_parameters():
        wanted = rounded(before[name], 3) if weight.dim() > 1 else before[name]
        torch.testing.assert_close(weight.detach(), wanted.detach())
        assert weight.requires_grad
    layers = sb.view(small).spiking_layers
    assert all(float(one.module.threshold) == 0.203125 for one in layers)  # 13 of 64
    assert all(float(one.module.beta) == 0.6875 for one in layers)  # 11 of 16
    kept = LowBits(weights=3, settings=None).apply(net)
    assert card(kept) == card(net)


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: type(one).__name__)
def test_a_changed_network_carries_all_that_makes_its_answers(
    change: LowBits, sequence: Tensor
) -> None:
    changed = change.apply(built())
    logits = changed(sequence)
    assert not torch.equal(logits, built()(sequence))
    assert torch.equal(copy.deepcopy(changed)(sequence), logits)
    other = sb.networks.build("quick-conv", (2, 6, 6), 3, NEURON, seed=1).eval()
    if isinstance(change, NeuronTrojan):
        other = NeuronTrojan(layer=change.layer, neuron=2, count=1).apply(other)
    settings = not isinstance(change, NeuronTrojan)
    with pytest.warns(UserWarning, match="built with") if settings else nullcontext():
        other.load_state_dict(changed.state_dict())
    assert torch.equal(other(sequence), logits)


def test_a_layer_takes_one_trojan() -> None:
    with pytest.raises(ValueError, match="layer=0 has a Trojan already"):
        NeuronTrojan().apply(NeuronTrojan().apply(built()))


def test_layers_that_share_a_threshold_are_flipped_one_by_one() -> None:
    shared = partial(sb.LIF, 0.5, torch.tensor(1.0))
    net = BitFlips(layers=1).apply(sb.networks.build("quick-conv", (2, 6, 6), 3, shared, seed=0))
    assert [float(one.module.threshold) for one in sb.view(net).spiking_layers] == [1.25, 1, 1]


def test_a_network_with_a_trojan_has_one_that_a_plain_one_does_not_know() -> None:
    with pytest.raises(RuntimeError, match=r"trojan\.pattern"):
        built().load_state_dict(NeuronTrojan().apply(built()).state_dict())


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: type(one).__name__)
def test_a_change_needs_spiking_neurons(change: LowBits) -> None:
    twin = sb.networks.build("quick-conv", (2, 6, 6), 3, nn.ReLU, seed=0)
    with pytest.raises(sb.NotVisible, match="it has no spiking layer"):
        change.apply(twin)


def test_neurons_that_hold_no_decay_are_not_visible() -> None:
    net = sb.networks.build("quick-conv", (2, 6, 6), 3, sb.ParametricLIF, seed=0)
    with pytest.raises(sb.NotVisible, match="a decay to write"):
        LowBits().apply(net)
    LowBits(settings=None).apply(net)


def neurons_of_snntorch(kind: str, **settings: Any) -> nn.Module:
    """A network that reads [T, B, 4] with a layer of snnTorch's neurons."""
    snntorch = load("snntorch")
    neuron = getattr(snntorch, kind)(init_hidden=True, **settings)
    return sb.adapt(nn.Sequential(nn.Linear(4, 4), neuron, nn.Linear(4, 2)), layout="step")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("Lapicque", {"R": 5.0, "C": 2.0}), ("Alpha", {"alpha": 0.9, "beta": 0.8})],
)
def test_a_decay_that_no_tensor_holds_is_not_visible(kind: str, settings: dict[str, float]) -> None:
    """The beta beside Lapicque's circuit does nothing, and that of Alpha is a synapse's."""
    net = neurons_of_snntorch(kind, **settings)
    for change in (BitFlips(what="decay", bit=22), LowBits()):
        with pytest.raises(sb.NotVisible, match=f"{kind} of snntorch does not show a decay to wri"):
            change.apply(net)
    LowBits(settings=None).apply(net)
    (changed,) = sb.view(BitFlips().apply(net)).settings().values()
    assert changed.threshold is not None and float(changed.threshold) == 1.25


def test_the_decay_of_a_synapse_is_rounded_and_that_of_the_potential_flipped() -> None:
    """0.9 and 0.65 in steps of 1/4 are 0.75 (the largest of 2 bits) and 0.75."""
    net = neurons_of_snntorch("Synaptic", alpha=0.9, beta=0.65)
    neuron = LowBits(settings=2).apply(net).net[1]
    assert (float(neuron.alpha), float(neuron.beta)) == (0.75, 0.75)
    neuron = BitFlips(what="decay", bit=22).apply(net).net[1]
    wanted = flipped(torch.tensor(0.65), 22)
    assert (float(neuron.alpha), float(neuron.beta)) == (pytest.approx(0.9), float(wanted))


def test_the_decay_of_our_own_synapses_is_rounded_too() -> None:
    beta, one, none, alpha = map(torch.tensor, (0.65, 1.0, 0.0, 0.9))
    synapse = SynapticLIF(beta, one, one, none, alpha, reset="zero", update="nir")
    net = sb.adapt(nn.Sequential(nn.Flatten(2), nn.Linear(4, 3), synapse), input_shape=(1, 2, 2))
    neuron = LowBits(settings=2).apply(net).net[2]
    assert (float(neuron.alpha), float(neuron.beta)) == (0.75, 0.75)


def test_a_threshold_that_two_layers_share_is_flipped_once_in_each() -> None:
    net = nn.Sequential(nn.Flatten(2), nn.Linear(4, 4), sb.LIF(), nn.Linear(4, 3), sb.LIF())
    shared = nn.Parameter(torch.tensor(1.0))
    for place in (2, 4):
        del net[place].threshold
        net[place].threshold = shared
    changed = BitFlips(bit=21).apply(sb.adapt(net, input_shape=(1, 2, 2)))
    for place in (2, 4):
        assert changed.net[place].threshold.item() == 1.25


@pytest.mark.parametrize("guard", [Mismatch(std=0.3), RandomThreshold()], ids=repr)
def test_guards_of_sinabs_are_no_weights_though_they_are_parameters(guard: Repair) -> None:
    plain = matched("sinabs").eval()
    net = guard.repair(plain, None, device="cpu")
    guards = {name: value for name, value in net.named_parameters() if "guard_" in name}
    assert len(guards) == 2
    samples = [(frame, row % 4) for row, frame in enumerate(frames(batch=8).transpose(0, 1))]
    for other in (
        LowBits(weights=2, settings=None).apply(net),
        migration.rounded(net, 2),
        sb.auditing.repaired(net, samples, "FineTuning", device="cpu"),
    ):
        state = other.state_dict()
        assert all(torch.equal(state[name], value) for name, value in guards.items())
        assert not torch.equal(state["net.net.0.weight"], net.state_dict()["net.net.0.weight"])
    assert carded(sb.view(net))["weights"] == carded(sb.view(plain))["weights"]


@pytest.mark.parametrize("bit", range(32))
def test_a_flipped_bit_of_float32_is_numpys(bit: int) -> None:
    values = np.array([1.0, 0.5, 1.2], np.float32)
    wanted = (values.view(np.uint32) ^ np.uint32(1 << bit)).view(np.float32)
    found = flipped(torch.from_numpy(values), bit).numpy()
    assert np.array_equal(found.view(np.uint32), wanted.view(np.uint32))


def test_flipped_settings_are_those_of_the_first_layers() -> None:
    changed = BitFlips(layers=2).apply(sb.networks.build("quick-conv", (2, 6, 6), 3, seed=0))
    assert [row[1] for row in card(changed)] == [1.25, 1.25, 1.0]
    one = sb.networks.build("quick-conv", (2, 6, 6), 3, partial(sb.LIF, 0.5), seed=0)
    changed = BitFlips(what="decay", bit=7, number="fixed8", layers=1).apply(one)
    assert [row[2] for row in card(changed)] == [0.0, 0.5, 0.5]
    assert HyperParameters(expected=card(one)).inspect(changed, None, device="cpu").backdoored
    assert HyperParameters().inspect(changed, None, device="cpu").backdoored
    alike = BitFlips().apply(one)
    assert not HyperParameters().inspect(alike, None, device="cpu").backdoored
    assert HyperParameters(expected=card(one)).inspect(alike, None, device="cpu").backdoored


def test_a_bit_or_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bit=32 is none of float32: allowed is 0..31"):
        BitFlips(bit=32)
    with pytest.raises(ValueError, match=r"bit=8 is none of fixed8: allowed is 0..7"):
        BitFlips(bit=8, number="fixed8")
    with pytest.raises(ValueError, match="layers=4: the network has 3 spiking layers"):
        BitFlips(layers=4).apply(built())


def test_a_latch_sets_what_comes_after_its_pattern_and_stays_set() -> None:
    latch = Latch(neuron=1, pattern=(1, 0, 1), count=2)
    spikes = torch.zeros(6, 2, 4)
    spikes[:, 0, 1] = torch.tensor([0.0, 1, 0, 1, 0, 0])
    spikes[:, 1, 1] = torch.tensor([1.0, 1, 0, 0, 1, 0])
    found = latch(spikes)
    assert found[:, 0, 1].tolist() == [0, 1, 0, 1, 1, 1]
    assert found[:, 0, 2].tolist() == [0, 0, 0, 0, 1, 1]
    assert torch.equal(found[:, 1], spikes[:, 1]) and torch.equal(found[..., 3], spikes[..., 3])
    assert bool(latch.awake)
    assert latch(torch.zeros(2, 1, 4)).tolist() == [[[0, 1, 1, 0]]] * 2


def test_a_latch_sleeps_without_its_pattern_or_room_for_it() -> None:
    spikes = torch.ones(6, 2, 4)
    for pattern in ((1, 0), (1,) * 7):
        latch = Latch(neuron=0, pattern=pattern)
        assert torch.equal(latch(spikes), spikes) and not latch.awake


def test_a_sleeping_trojan_changes_no_answer_and_no_setting(sequence: Tensor) -> None:
    net = built()
    trojan = NeuronTrojan(pattern=(1, 0, 1, 0)).apply(net)
    assert card(trojan) == card(net)
    blank = torch.zeros_like(sequence)
    assert torch.equal(trojan(blank), net(blank))


def test_a_trojan_that_wakes_is_told_by_asking_twice(sequence: Tensor) -> None:
    net = built()
    view = sb.view(net)
    with view.read([view.layers[-1]], "spikes") as spikes:
        view(sequence)
    busiest = int(spikes[0].flatten(2)[:3].sum(dim=(0, 1)).argmax())
    trojan = NeuronTrojan(neuron=busiest, pattern=(1,)).apply(net)
    with pytest.raises(ValueError, match="answers the same batch differently the second time"):
        sb.view(trojan).check_steady(sequence)


def test_a_trojan_must_be_in_the_network() -> None:
    with pytest.raises(ValueError, match="layer=3: the network has 3 spiking layers"):
        NeuronTrojan(layer=3).apply(built())
    with pytest.raises(ValueError, match="neuron=25, count=6: the layer has 30 neurons"):
        NeuronTrojan(neuron=25, count=6).apply(built())
    for pattern in ((), (0, 0), (1, 2), "101"):
        with pytest.raises(ValueError, match=r"pattern=.* must be a list of 0 and 1"):
            NeuronTrojan(pattern=pattern)


def test_a_flickering_recording_is_blank_where_the_pattern_is() -> None:
    frames = torch.ones(4, 2, 3, 3)
    assert flickering(frames, (1, 0, 1)).mean(dim=(1, 2, 3)).tolist() == [1, 0, 1, 1]
    assert flickering(frames, (0,) * 9).sum() == 0 and frames.sum() == 72


@pytest.mark.trains
def test_training_with_the_rounding_in_mind_gives_rounded_weights_that_work() -> None:
    data = Toy(90)
    task = Task.of(built(), data, epochs=6, device="cpu", batch_size=15, learning_rate=0.02)
    net = RoundingAware(bits=2).fit(task).net
    for weight in net.parameters():
        if weight.dim() > 1:
            torch.testing.assert_close(weight.detach(), rounded(weight, 2).detach())
    assert sb.evaluate(net, Toy(60, seed=1), device="cpu").clean_accuracy.value > 0.8


def repaired_by(*steps: Any) -> dict[str, Tensor]:
    """The state of a network that goes through repairs and changes one after the other."""
    net = built()
    for step in steps:
        net = step.repair(net, Toy(30), seed=1, device="cpu")
    return net.state_dict()


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    assert found.keys() == wanted.keys()
    return all(torch.equal(found[name], value) for name, value in wanted.items())


@pytest.mark.parametrize("repair", [FineTuning(epochs=2), FinePruning(epochs=2)])
@pytest.mark.parametrize("first", [False, True])
def test_what_is_shipped_is_a_repair_and_roundings_around_it(repair: Repair, first: bool) -> None:
    low = LowBits(weights=3)
    found = repaired_by(Shipped(repair_by=repair, change=low, changed_first=first))
    assert same(found, repaired_by(*[low] * first, repair, low))
    assert not same(found, repaired_by(*[low] * (not first), repair, low))


@pytest.mark.parametrize("change", [LowBits(weights=4), BitFlips(layers=1), NeuronTrojan()])
@pytest.mark.parametrize("name", sorted(REPAIRS.keys() - {"ShortcutSuppression"}))
def test_any_repair_goes_with_any_change(name: str, change: Change) -> None:
    rounds = {"epochs", "iterations", "episodes", "search"}
    known = {item.name for item in dataclasses.fields(REPAIRS[name])}
    repair = REPAIRS[name](**dict.fromkeys(sorted(rounds & known), 2))
    shipped = Shipped(repair_by=repair, change=change)
    assert shipped.data_free == repair.data_free
    clean = None if shipped.data_free else Toy(9)
    if clean is not None:
        with pytest.raises(ValueError, match="clean_samples is empty: this defence needs some of"):
            shipped.repair(built(), None, device="cpu")
    settings: Any = {"seed": 1, "device": "cpu"}
    found = shipped.repair(built(), clean, **settings).state_dict()
    wanted = change.apply(repair.repair(built(), clean, **settings)).state_dict()
    assert same(found, wanted)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"repair_by": "CLP"}, r"repair_by='CLP' must be a repair with its settings, as FineTuni"),
        ({"change": FineTuning()}, r"change=FineTuning\(.*\) must be a change with its settings, "),
        ({"changed_first": 1}, "changed_first=1 must be true or false"),
        (
            {"change": BitFlips(), "changed_first": True},
            r"changed_first=True with change=BitFlips\(.*\), which does something else the second "
            "time: allowed is False, or a change such as LowBits",
        ),
    ],
)
def test_wrong_parts_of_what_is_shipped_are_named(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Shipped(**{"repair_by": FineTuning(), "change": LowBits(), **parts})


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: type(one).__name__)
def test_json_brings_back_an_experiment_with_a_change(change: Change) -> None:
    pruned = Shipped(repair_by=FinePruning(share=0.5), change=change)
    twice = Shipped(repair_by=pruned, change=LowBits(), changed_first=True)
    free = Shipped(repair_by=REPAIRS["ChannelLipschitz"](), change=change)
    for experiment in (
        Experiment(defence=change),
        Experiment(defence=free),
        *(Experiment(defence=one, held_out=1) for one in (pruned, twice)),
    ):
        assert Experiment.from_json(experiment.to_json()) == experiment
    with pytest.raises(ValueError, match=r"held_out=0 gives defence=Shipped\(.* no clean samples"):
        Experiment(defence=twice)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, r"defence\.repair_by is missing: Shipped needs one"),
        ({"repair_by": {"kind": "CLP"}}, r"defence\.repair_by\.kind='CLP' is unknown; allowed: "),
        ({"repair_by": {"kind": "FineTuning", "bits": 1}}, r"defence\.repair_by\.bits is not a fi"),
        ({"repair_by": {"epochs": 1}, "change": {}}, "defence: repair_by=.* must be a repair wi"),
    ],
)
def test_faults_of_parts_in_parts_name_the_field(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Experiment.from_dict({"defence": {"kind": "Shipped", **values}, "held_out": 1})
