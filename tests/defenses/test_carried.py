"""A repaired network carries all that makes its answers, and the one it was made from stays."""

from __future__ import annotations

import copy
import io
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import snnbd_core as sb
from snnbd_core import defenses as D  # noqa: N812 - short, as it opens most lines
from snnbd_core import guards
from snnbd_core.metrics import decide
from snnbd_core.networks.building import Network
from snnbd_core.networks.layers import Folded
from snnbd_core.view import NotVisible, View
from tests.view.builders import frames, matched

CPU = torch.device("cpu")
STEPS = 4
QUICK = {
    "FineTuning": {"epochs": 1},
    "FinePruning": {"epochs": 1, "order": "loud"},
    "ChannelLipschitz": {"u": 0.5},
    "AdversarialPruning": {"iterations": 3, "threshold": 1.0},
    "AttentionDistillation": {"epochs": 1},
    "UnlearnRecoverPrune": {"iterations": 4, "epochs": 2, "threshold": 1.0, "learning_rate": 10.0},
    "TwoStage": {"epochs": 1, "unlearning_epochs": 1},
    "OptimisedPruning": {"episodes": 5, "search": 3},
    "SuspiciousNeurons": {"epochs": 1},
    "ShortcutSuppression": {"epochs": 1, "factor": 0.3},
    "ThresholdGuarding": {"epochs": 1},
    "PotentialClamps": {"iterations": 3},
    "DetectedClamps": {"high": 1.0, "frames": STEPS},
    "Mismatch": {"std": 0.5},
}
CHAIN_ONLY = {"SuspiciousNeurons", "OptimisedPruning"}
SPIKES_ONLY = {
    "ThresholdGuarding",
    "PotentialClamps",
    "DetectedClamps",
    "Mismatch",
    "RandomThreshold",
}
NEURON = partial(sb.LIF, 0.5, 0.4)
BUILT = {
    "chain": partial(sb.networks.build, "quick-conv", (1, 8, 8), 10, NEURON),
    "residual": partial(sb.networks.build, "quick-resnet", (1, 8, 8), 10, NEURON),
    "residual twin": partial(sb.networks.build, "quick-resnet", (1, 8, 8), 10, nn.ReLU),
}
CASES = [
    (name, kind)
    for name in D.REPAIRS
    for kind in BUILT
    if not (name == "ShortcutSuppression" and kind == "chain")
    and not (name in CHAIN_ONLY and kind != "chain")
    and not (name in SPIKES_ONLY and kind == "residual twin")
]


@pytest.fixture(scope="module")
def clean():
    _, test = sb.data.load("digits", seed=0)
    labels = np.asarray(test.labels)
    rows = [row for label in range(10) for row in np.flatnonzero(labels == label)[:3]]
    return test.subset(np.array(rows))


@pytest.fixture(scope="module")
def sequence():
    """Noise of every strength: other classes win."""
    draw = torch.Generator().manual_seed(0)
    return (
        torch.rand(40, 1, 8, 8, generator=draw)
        .mul(torch.linspace(0, 3, 40).reshape(-1, 1, 1, 1))
        .expand(STEPS, -1, -1, -1, -1)
    )


def lively(build, seed=0):
    """A network that answers, and whose channels differ: untrained ones are all alike."""
    net = build(seed=seed)
    draw = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            shape = module.weight.shape
            module.weight.data.copy_(0.5 + 2 * torch.rand(shape, generator=draw))
            module.bias.data.copy_(0.5 * torch.rand(shape, generator=draw))
        elif isinstance(module, nn.Linear):
            module.weight.data *= 3
    return net


def saved(net):
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def by_state_dict(net, fresh):
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file))
    return fresh.eval()


def bits(net):
    """All that a network is: values, where they lie, modes, gradients asked for, hooks."""
    return (
        {name: (value.clone(), value.device) for name, value in net.state_dict().items()},
        [module.training for module in net.modules()],
        [weight.requires_grad for weight in net.parameters()],
        [len(module._forward_pre_hooks) + len(module._forward_hooks) for module in net.modules()],
    )


def assert_same_bits(before, after):
    assert before[1:] == after[1:]
    assert before[0].keys() == after[0].keys()
    for name, (value, place) in before[0].items():
        assert torch.equal(value, after[0][name][0])
        assert place == after[0][name][1]


def answers(net, sequence):
    with torch.no_grad():
        return net(sequence)


@pytest.mark.trains
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_repaired_network_comes_back_in_every_way(name, kind, clean, sequence):
    net = lively(BUILT[kind])
    before = bits(net)
    fixed = D.REPAIRS[name](**QUICK.get(name, {})).repair(
        net, clean, seed=0, device="cpu", steps=STEPS
    )
    assert_same_bits(before, bits(net))
    assert not fixed.training
    copies = [
        copy.deepcopy(fixed),
        saved(fixed),
        by_state_dict(fixed, BUILT[kind](seed=9)),
    ]
    wanted = answers(fixed, sequence)
    assert float(wanted.std(dim=0).amax()) > 1e-3  # it does answer
    for copied in copies:
        assert torch.equal(answers(copied, sequence), wanted)


def test_a_repaired_network_comes_back_from_safetensors(clean, sequence, tmp_path):
    files = pytest.importorskip("safetensors.torch")
    for name, kind in CASES:
        net = lively(BUILT[kind])
        fixed = D.REPAIRS[name](**QUICK.get(name, {})).repair(
            net, clean, seed=0, device="cpu", steps=STEPS
        )
        files.save_file(fixed.state_dict(), tmp_path / "net.safetensors")
        fresh = BUILT[kind](seed=9)
        fresh.load_state_dict(files.load_file(tmp_path / "net.safetensors"))
        assert torch.equal(answers(fresh.eval(), sequence), answers(fixed, sequence)), (name, kind)


@pytest.mark.parametrize("name", D.REPAIRS)
def test_a_network_in_training_mode_is_left_so(name, clean):
    kind = "residual" if name == "ShortcutSuppression" else "chain"
    net = lively(BUILT[kind]).train()
    before = bits(net)
    D.REPAIRS[name](**QUICK.get(name, {})).repair(net, clean, seed=0, device="auto", steps=STEPS)
    assert_same_bits(before, bits(net))


def test_a_suspected_class_is_answered_again_by_whatever_the_network_was_loaded_into(
    clean, sequence
):
    net = lively(BUILT["chain"]).eval()
    given = {"seed": 0, "device": CPU, "steps": STEPS}
    plain = answers(net, sequence)
    suspected = int(decide(plain).mode().values)
    clamped = D.PotentialClamps(iterations=20, weight=100.0)
    everything = answers(clamped.repair(net, clean, **given), sequence)
    some = D.PotentialClamps(iterations=20, weight=100.0, suspected=suspected)
    fixed = some.repair(net, clean, **given)
    again = (decide(plain) == suspected)[:, None]
    assert 0 < int(again.sum()) < len(again)
    wanted = torch.where(again, everything, plain)
    assert not torch.equal(wanted, plain)
    for found in (fixed, copy.deepcopy(fixed), by_state_dict(fixed, BUILT["chain"](seed=9))):
        assert torch.equal(answers(found, sequence), wanted)


@pytest.mark.trains
@pytest.mark.parametrize("kind", ["chain", "residual"])
@pytest.mark.parametrize("suspected", [None, 0])
def test_clamps_from_both_sides_come_back_in_every_way(kind, suspected, clean, sequence, tmp_path):
    files = pytest.importorskip("safetensors.torch")
    net, settings = lively(BUILT[kind]), {"iterations": 10, "weight": 100.0}
    given = {"seed": 0, "device": CPU, "steps": STEPS}
    fixed = D.PotentialClamps(sides="both", suspected=suspected, **settings).repair(
        net, clean, **given
    )
    files.save_file(fixed.state_dict(), tmp_path / "net.safetensors")
    fresh = BUILT[kind](seed=9)
    fresh.load_state_dict(files.load_file(tmp_path / "net.safetensors"))
    wanted = answers(fixed, sequence)
    ways = (copy.deepcopy(fixed), saved(fixed), by_state_dict(fixed, BUILT[kind](seed=9)))
    for copied in (*ways, fresh.eval()):
        assert torch.equal(answers(copied, sequence), wanted)
    names = list(fixed.state_dict())
    floors = [name for name in names if name.endswith("guard_floor")]
    assert len(floors) == len([name for name in names if name.endswith("guard_bound")]) > 0
    above = D.PotentialClamps(suspected=suspected, **settings).repair(net, clean, **given)
    assert not any("floor" in name for name in above.state_dict())
    if suspected is None:
        assert not torch.equal(answers(above, sequence), wanted)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_network_that_answers_a_class_again_is_not_given_another(
    clean, sequence, wrapped, monkeypatch
):
    net = lively(BUILT["chain"])
    net = nn.Sequential(net) if wrapped else net
    given = {"seed": 0, "device": CPU, "steps": STEPS}
    once = D.PotentialClamps(iterations=1, suspected=3).repair(net, clean, **given)
    before = answers(once, sequence)
    kind = type(once).__name__
    monkeypatch.setattr(D.PotentialClamps, "_learnt", None)  # refused before it would learn
    for suspected in (3, 5):
        again = D.PotentialClamps(iterations=1, suspected=suspected)
        words = f"net={kind} answers class 3 again already: repair the network as it was before"
        with pytest.raises(ValueError, match=words):
            again.repair(once, clean, **given)
    assert torch.equal(answers(once, sequence), before)


def test_a_class_that_shares_the_largest_logit_is_not_answered_again():
    logits = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 0.0], [0.0, 1.0], [-1.0, -1.0 - 1e-8]])
    net = nn.Identity()
    guards.answer_again(net, nn.Hardtanh(7.0, 8.0), 0)
    found = net(logits)
    assert torch.equal(found[:, 0] == 7, decide(logits) == 0)
    assert torch.equal(found[1:], logits[1:])


def test_clamps_are_for_the_steps_they_were_learnt_on(clean):
    net = lively(BUILT["chain"])
    fixed = D.PotentialClamps(iterations=1).repair(net, clean, seed=0, device=CPU, steps=STEPS)
    with pytest.raises(ValueError, match="runs T=7 steps: allowed is T=4"):
        fixed(torch.rand(7, 2, 1, 8, 8))
    for kind in ("bound", "floor"):
        stepwise = matched("snntorch", classes=4)
        view = View(stepwise, frames())
        view.guard(view.hidden[0], kind, torch.ones(6, 8))
        with pytest.raises(ValueError, match="runs T=5 steps: allowed is T=6"):
            stepwise(frames(steps=5))


def test_random_thresholds_are_drawn_anew_at_each_run_and_alike_in_each_copy(clean, sequence):
    net = lively(BUILT["chain"]).eval()
    fixed = D.RandomThreshold(low=0.3, high=2.0).repair(net, None, seed=3, device=CPU)
    loaded = by_state_dict(fixed, BUILT["chain"](seed=9))
    first, second = answers(fixed, sequence), answers(fixed, sequence)
    assert not torch.equal(first, second)
    assert torch.equal(answers(loaded, sequence), first)
    assert torch.equal(answers(loaded, sequence), second)
    layers = View(loaded).layers  # to look at the network draws nothing
    assert len(layers) == 3
    assert torch.equal(answers(loaded, sequence), answers(fixed, sequence))
    View(loaded, sequence).check_steady(sequence)


def test_thresholds_are_drawn_once_for_all_steps_of_a_sample():
    """At each step of a run a network that is called step by step has the same thresholds."""
    net = matched("snntorch", "rate", classes=4)
    fixed = D.RandomThreshold(low=0.3, high=2.0).repair(net, None, seed=3, device=CPU)
    ours = matched("own", "rate", classes=4)
    wanted = D.RandomThreshold(low=0.3, high=2.0).repair(ours, None, seed=3, device=CPU)
    for batch in (5, 3):
        torch.testing.assert_close(
            answers(fixed, frames(batch=batch)), answers(wanted, frames(batch=batch))
        )


def test_thresholds_that_are_drawn_twice_multiply_and_nothing_is_left(clean, sequence):
    net = lively(BUILT["chain"]).eval()
    given = {"seed": 0, "device": CPU, "steps": STEPS}
    off = D.Mismatch(std=0.3).repair(net, clean, **given)
    both = D.RandomThreshold(low=1.0, high=1.0).repair(off, clean, **given)
    assert torch.equal(answers(both, sequence), answers(off, sequence))
    assert all(
        not layer._overrides for layer in View(both).net.modules() if isinstance(layer, sb.LIF)
    )
    with pytest.raises(ValueError, match="must be floating point"):
        both.layers[1](torch.ones(4, 2, 16, 8, 8, dtype=torch.int32))
    assert not both.layers[1]._overrides


@pytest.mark.parametrize("kind", ["snntorch", "spikingjelly", "norse", "sinabs"])
@pytest.mark.parametrize(
    "repair",
    [D.PotentialClamps(iterations=3, suspected=1), D.Mismatch(std=0.5), D.FinePruning(epochs=0)],
)
def test_networks_of_other_libraries_come_back_too(repair, kind):
    net = matched(kind, "rate", classes=4)
    sequence = frames(batch=16)
    samples = [(sequence[:, row], row % 4) for row in range(16)]
    fixed = repair.repair(net, samples, seed=0, device="cpu")
    wanted = answers(fixed, sequence)
    assert torch.equal(answers(copy.deepcopy(fixed), sequence), wanted)
    if kind in ("spikingjelly", "sinabs"):  # the others' networks cannot be pickled
        assert torch.equal(answers(saved(fixed), sequence), wanted)
    fresh = matched(kind, "rate", classes=4, seed=9)
    assert torch.equal(answers(by_state_dict(fixed, fresh), sequence), wanted)


@pytest.mark.parametrize("transposed", [False, True])
def test_clp_takes_batch_norms_without_weights(transposed, sequence):
    """Channel 2 has ten times the kernel of the others."""
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    torch.manual_seed(0)
    convolution, norm = kind(1, 8, 3, padding=1), nn.BatchNorm2d(8, affine=False)
    (convolution.weight.data[:, 2] if transposed else convolution.weight.data[2]).mul_(10)
    features = Folded(nn.Flatten(), nn.Linear(8 * 64, 100))
    net = Network([Folded(convolution, norm), sb.LIF(), features, sb.LIF()], (1, 8, 8), 10).eval()
    repair = D.ChannelLipschitz(u=2.0)
    (keep,) = repair.choose(net, None, device="cpu").keep
    assert (~keep).nonzero().tolist() == [[2]]
    fixed = repair.repair(net, None, device="cpu")
    with View(fixed).read(View(fixed).hidden, "current") as currents:
        answers(fixed, sequence)
    assert not currents[0][:, :, 2].any()
    assert bool(currents[0].flatten(3).any(dim=3).any(dim=1).any(dim=0)[keep].all())
    fresh = copy.deepcopy(net)
    assert torch.equal(answers(by_state_dict(fixed, fresh), sequence), answers(fixed, sequence))


def test_clp_names_the_batch_norm_without_statistics():
    norm = nn.BatchNorm2d(8, track_running_stats=False)
    net = Network(
        [
            Folded(nn.Conv2d(1, 8, 3), norm),
            sb.LIF(),
            Folded(nn.Flatten(), nn.Linear(288, 100)),
            sb.LIF(),
        ],
        (1, 8, 8),
        10,
    )
    with pytest.raises(NotVisible, match=r"layers\.0\.1 \(BatchNorm2d\).*track_running_stats"):
        D.ChannelLipschitz().repair(net, None, device="cpu")
