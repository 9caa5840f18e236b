"""The attack on the neuron: what is drawn, how halves are joined, what is left behind."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import snnbd_core as sb
from snnbd_book import runs
from snnbd_core import networks
from snnbd_core.attacks import Generated, badsnn, deepfool, dual_spike, pgd
from snnbd_core.attacks.badsnn import DualSpike
from snnbd_core.learning import Task
from snnbd_core.metrics import Rate, decide
from snnbd_core.triggers import Power, TemporalNoise
from snnbd_core.view import override


@pytest.fixture(scope="module")
def digits():
    return sb.data.load("digits", seed=0)


def task(data, **changes):
    settings = {
        "clean": data,
        "poisoned": data,
        "trigger": None,
        "rate": 0.0,
        "target": 0,
        "epochs": 1,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "loss": "mse",
        "steps": 4,
        "seed": 0,
        "device": torch.device("cpu"),
        "build": lambda neuron=sb.LIF: networks.build(
            "quick-conv", data.input_shape, data.classes, neuron=neuron, seed=0
        ),
    }
    return Task(**settings | changes)


def test_malicious_samples_are_the_targets_own_and_as_many_as_asked(digits):
    train, _ = digits
    chosen = badsnn.target_samples(train, 3, 0.03, seed=0)
    assert len(chosen) == round(0.03 * len(train))
    assert set(np.asarray(chosen.labels)) == {3}
    again = badsnn.target_samples(train, 3, 0.03, seed=0)
    assert torch.equal(chosen.batch(np.arange(5))[0], again.batch(np.arange(5))[0])


def test_both_halves_in_one_pass_are_the_two_passes(digits):
    """Without batch norm that mixes them, joined halves give the logits of each alone."""
    train, _ = digits
    net = task(train).build(lambda: sb.LIF(threshold=0.1)).eval()
    batch, labels = train.batch(np.arange(12))
    first, second = (batch[:8], labels[:8]), (batch[8:], labels[8:])
    rule = DualSpike(threshold=0.2, beta=0.5)
    together = dual_spike._forward(rule, net, first, second, task(train))
    rule = DualSpike(threshold=0.2, beta=0.5, batch_norm="frozen")
    apart = dual_spike._forward(rule, net, first, second, task(train))
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.equal(apart[1], net(batch[8:].expand(4, -1, -1, -1, -1)))


@pytest.mark.parametrize(
    "neuron",
    [
        lambda: sb.LIF(threshold=0.1, learn_threshold=True, learn_beta=True),
        lambda: sb.ParametricLIF(threshold=torch.tensor([0.1]), learn_threshold=True),
    ],
)
def test_neurons_learn_in_one_pass_what_they_learn_in_two(digits, neuron):
    train, _ = digits
    net = task(train).build(neuron).eval()
    batch, labels = train.batch(np.arange(12))
    first, second = (batch[:8], labels[:8]), (batch[8:], labels[8:])
    learnt = [weight for layer in sb.neurons.spiking_layers(net) for weight in layer.parameters()]
    gradients = []
    for how in ("mixed", "frozen"):
        rule = DualSpike(threshold=0.2, beta=0.5, batch_norm=how)
        halves = dual_spike._forward(rule, net, first, second, task(train))
        loss = sum(half.square().sum() for half in halves)
        gradients.append(torch.autograd.grad(loss, learnt))
        net.eval()
    assert all(bool(gradient.any()) for gradient in gradients[1])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"threshold": torch.ones(16, 1, 1)},
            r"layer neuron has a threshold of shape \[16, 1, 1\]",
        ),
        ({"beta": torch.full((16, 1, 1), 0.5)}, r"layer neuron has a beta of shape \[16, 1, 1\]"),
    ],
)
def test_halves_are_not_mixed_where_each_neuron_has_its_own_setting(digits, settings, message):
    train = digits[0].subset(np.arange(100))
    net = nn.Sequential()
    net.neuron = sb.LIF(**settings)
    with pytest.raises(ValueError, match=message + ".*'mixed' takes one .*; use 'separate'"):
        DualSpike(beta=0.5).fit(task(train, build=lambda: net))
    dual_spike._check_one_a_layer(DualSpike(), nn.Sequential(sb.LIF(torch.full((16, 1, 1), 0.5))))


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        ("joint", []),
        ("two-pass", [32, 11]),
        ("two-pass-equal", (([4] * 10 + [3]) * 5)[:45]),
    ],
)
def test_a_schedule_says_how_many_malicious_updates_follow_the_nominal_ones(
    digits, schedule, after
):
    """1,438 samples are 45 batches of 32; three in a hundred are 43 malicious ones."""
    train, _ = digits
    rule = DualSpike(schedule=schedule, batch_norm="shared")
    pairs = dual_spike._pairs(rule, task(train), malicious=43, epoch=3)
    joint = dual_spike._pairs(DualSpike(), task(train), malicious=43, epoch=3)
    assert [len(bad) for rows, bad in pairs if rows is None] == after
    assert sum(rows is not None for rows, _ in pairs) == 45
    if schedule == "two-pass-equal":  # the same samples in the same order as in every step
        for (_, one), (_, other) in zip(pairs[45:], joint, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.trains
def test_a_silent_answer_is_not_right_while_training(digits):
    train = digits[0].subset(np.arange(100))
    silent = task(train).build(lambda: sb.LIF(threshold=1e6))
    fitted = DualSpike().fit(task(train, build=lambda: silent))
    assert fitted.history.accuracy == (0.0,)


@pytest.mark.parametrize(
    ("how", "moves"), [("shared", True), ("frozen", False), ("separate", False)]
)
def test_running_statistics_move_as_said(digits, how, moves):
    train, _ = digits
    net = task(train).build().train()
    (norm,) = (layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d))
    before = norm.running_mean.clone()
    malicious = train.batch(np.arange(8))
    dual_spike._forward(DualSpike(batch_norm=how), net, None, malicious, task(train))
    assert torch.equal(before, norm.running_mean) is not moves
    assert norm.training
    assert norm.momentum == 0.1


@pytest.mark.trains
def test_a_clean_network_is_no_backdoor_and_an_attacked_one_is(tmp_path, monkeypatch):
    """Over seeds 0..5: floor 0.00, success 0.98 or more, 0.37 or more above the target's share."""
    monkeypatch.setenv("SNNBD_RESULTS", str(tmp_path / "results"))
    settings = {"trigger": TemporalNoise(), "inference_threshold": 1.3, "epochs": 8}
    report = runs.run(runs.Experiment(rule=DualSpike(), **settings), progress=False).report
    assert float(report.floor) < 0.1
    assert float(report.attack_success_rate) > 0.8
    assert float(report.attack_success_rate) > float(report.untriggered_target_rate) + 0.2


def test_a_network_is_trained_in_place_as_the_rule_trains_the_tasks(digits):
    train, _ = digits
    dual = {"threshold": 1.4, "share": 0.02, "beta": np.float64(0.5)}
    settings = {"epochs": 1, "batch_size": 32, "learning_rate": 2e-3, "device": "cpu"}
    net = task(train).build()
    history = badsnn.train(net, train, target=3, progress=False, **settings, **dual)
    fitted = DualSpike(**dual).fit(task(train, target=3))
    assert history.loss == fitted.history.loss
    for ours, theirs in zip(net.parameters(), fitted.net.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert not net.training
    with pytest.raises(ValueError, match="schedule='both' is unknown; allowed: joint, two-pass"):
        badsnn.train(net, train, schedule="both")
    with pytest.raises(ValueError, match="epochs=0 must be a whole number >= 1"):
        badsnn.train(net, train, epochs=0)


@pytest.mark.trains
def test_gradients_are_cut_where_they_are_to_be(digits):
    train = digits[0].subset(np.arange(100))
    free, wide, narrow = (
        DualSpike(share=0.05, clip=clip).fit(task(train)) for clip in (None, 1e9, 1e-9)
    )
    assert wide.history.loss == free.history.loss
    assert narrow.history.loss != free.history.loss


def test_a_generator_is_fitted_against_a_network_given_or_its_own(digits):
    train = digits[0].subset(np.arange(100))
    net = task(train).build().eval()
    settings = Generated(epochs=1, samples=np.int64(20), iterations=2)
    images, _ = train.batch(np.arange(4))
    fitted = settings.fit(train, target=1, seed=2, net=net)
    again = settings.fit(train, target=1, seed=2, net=net, steps=4)
    assert torch.equal(fitted(images), again(images))
    assert settings.fit(train, target=1)(images).shape == images.shape


def test_a_network_that_was_left_training_is_attacked_as_it_answers_and_not_changed(digits):
    train = digits[0].subset(np.arange(100))
    net = task(train).build().eval()
    settings = Generated(epochs=1, samples=20, iterations=2)
    images, _ = train.batch(np.arange(4))
    wanted = settings.fit(train, target=1, net=net)(images)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert torch.equal(settings.fit(train, target=1, net=net.train())(images), wanted)
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_generator_is_fitted_to_images_alone():
    frames = [(torch.zeros(4, 2, 8, 8), number % 2) for number in range(4)]
    with pytest.raises(ValueError, match=r"Generated changes images .* for event frames use D"):
        Generated().fit(frames, target=0)


def test_sweep_gives_one_report_for_each_threshold_and_leaves_the_network(digits):
    train, test = digits
    net = task(train).build().eval()
    reports = badsnn.threshold_sweep(net, test, Power(), 0, (0.5, 1e6), steps=4, device="cpu")
    assert reports[1].no_prediction_triggered == Rate(len(test), len(test))
    assert reports[1].attack_success_rate.hits == 0
    assert all(not layer._overrides for layer in sb.neurons.spiking_layers(net))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 0}, "threshold=0"),
        ({"beta": 0}, "beta=0"),
        ({"beta": 1.5}, r"beta=1\.5"),
        ({"share": 0}, "share=0"),
        ({"weight": -1}, "weight=-1"),
        ({"warm_up": 1}, "warm_up=1"),
        ({"clip": 0}, "clip=0"),
        ({"schedule": "both"}, "schedule='both'"),
        ({"batch_norm": "none"}, "batch_norm='none'"),
        ({"schedule": "two-pass"}, "schedule='two-pass'"),
    ],
)
def test_settings_outside_what_is_allowed_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        DualSpike(**settings)


def test_more_malicious_samples_than_the_target_has_are_refused(digits):
    train, _ = digits
    with pytest.raises(ValueError, match=r"share=0\.5"):
        DualSpike(share=0.5).fit(task(train))
    others = train.subset(np.flatnonzero(np.asarray(train.labels) != 0))
    with pytest.raises(ValueError, match="target=0 has no sample"):
        DualSpike().fit(task(others))


def test_a_network_without_spiking_layers_is_refused(digits):
    train, _ = digits
    twin = task(train).build(nn.ReLU)
    with pytest.raises(ValueError, match="no spiking layer"):
        DualSpike().fit(task(train, build=lambda: twin))


def test_power_is_a_power():
    images = torch.tensor([0.0, 0.25, 0.5, 1.0]).reshape(1, 1, 2, 2)
    assert torch.equal(Power(exponent=3)(images), images**3)
    for wrong, message in ((images - 1, "-1"), (images * 2, "2"), (torch.zeros(1, 2, 2), "every")):
        with pytest.raises(ValueError, match=message):
            Power()(wrong)


def test_a_power_that_is_not_standardised_is_seen_as_it_is_behind_what_standardises():
    """CIFAR-10's figures for each channel, as data loaders have them."""
    mean, deviation = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
    images = torch.rand(4, 3, 2, 5)
    seen = Power(mean=mean, deviation=deviation)(images)
    assert float(seen.min()) >= 0.4465 and float(seen.max()) <= 0.74
    for channel, (middle, width) in enumerate(zip(mean, deviation, strict=True)):
        standardised = (seen[:, channel] - middle) / width
        torch.testing.assert_close(standardised, images[:, channel] ** 3)
    black = Power(mean=mean, deviation=deviation)(torch.zeros(3, 2, 2))
    assert torch.equal(black, torch.tensor(mean)[:, None, None].expand(3, 2, 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"mean": (0.5,)},
            r"mean=\(0\.5,\) and deviation=None must be one number for each channel",
        ),
        ({"mean": (0.5, 0.4), "deviation": (0.2,)}, "must be one number for each channel"),
        ({"mean": (0.9,), "deviation": (0.2,)}, "with sums of at most 1"),
        ({"mean": (), "deviation": ()}, "mean=.* must be a list of at least one number"),
    ],
)
def test_figures_by_which_no_network_standardises_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Power(**settings)


def test_images_of_other_channels_than_the_mean_has_are_refused():
    with pytest.raises(ValueError, match=r"images have 1 channels, and mean=\(0\.5, 0\.5, 0\.5\)"):
        Power(mean=(0.5,) * 3, deviation=(0.2,) * 3)(torch.rand(1, 4, 4))


def test_temporal_noise_is_uniform_fresh_in_each_frame_and_the_same_again():
    frames = torch.full((3, 40, 2, 10, 10), 0.5)
    trigger = TemporalNoise(strength=0.1)
    noise = trigger(frames) - frames
    assert float(noise.abs().max()) <= 0.1 + 1e-6
    assert float(noise.var()) == pytest.approx(0.1**2 / 3, rel=0.05)
    assert not torch.equal(noise[0, 0], noise[0, 1])
    assert torch.equal(trigger(frames), trigger(frames))
    assert torch.equal(trigger(frames[1]), trigger(frames)[1])
    counts = torch.full((1, 2, 2, 2), 3.0)
    assert float(TemporalNoise(strength=0)(counts).max()) == 1


def test_noise_in_units_of_the_greatest_count_is_that_of_frames_divided_by_it():
    counts = torch.randint(0, 6, (2, 3, 2, 5, 5)).float()
    counts[1] = 0
    divided = TemporalNoise(strength=0.2, limit=None)
    trigger = TemporalNoise(strength=0.2, limit="maximum")
    noise = trigger(counts[0]) - counts[0]
    inner = (counts[0] > 1) & (counts[0] < 4)
    again = divided(counts[0]) - counts[0]  # the same draw, of the same sample
    torch.testing.assert_close(noise[inner], 5 * again[inner])
    assert float(trigger(counts).max()) <= 5
    assert not trigger(counts)[1].any()
    with pytest.raises(
        ValueError, match="limit='maximum' changes nothing: allowed is a strength > 0"
    ):
        TemporalNoise(strength=0, limit="maximum")
    with pytest.raises(ValueError, match="limit='most' must be a number > 0, or 'maximum'"):
        TemporalNoise(limit="most")


class Linear(nn.Module):
    """logits = W x, for sequences [T, B, 1, 1, 3]."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 0.5]]))

    def forward(self, sequence):
        return sequence.mean(dim=0).flatten(1) @ self.weight.T


def test_deepfool_of_a_linear_network_is_its_closed_form():
    """The nearest boundary lies at |f_k - f_l| / |w_k - w_l| (Moosavi-Dezfooli et al. 2016)."""
    net, x = Linear(), torch.tensor([1.0, 0.1, 0.3]).reshape(1, 1, 1, 3)
    change = deepfool(net, x, steps=1, overshoot=0.0)
    rows = net.weight.detach()
    logits = rows @ x.flatten()
    distances = [float((logits[0] - logits[k]) / (rows[0] - rows[k]).norm()) for k in (1, 2)]
    assert float(change.norm()) == pytest.approx(min(distances), rel=1e-3)
    reached = deepfool(net, x, target=2, steps=1)
    assert int(net((x + reached)[None]).argmax()) == 2
    assert float(reached.norm()) == pytest.approx(1.02 * distances[1], rel=1e-3)


def test_deepfool_goes_on_from_a_tie_that_holds_the_target():
    """Two equal logits are no answer, though an argmax would name the first of them."""
    net, tied = Linear(), torch.tensor([0.4, 0.2, 0.1]).reshape(1, 1, 1, 3)
    assert int(decide(net(tied[None]))) == -1
    assert int(net(tied[None]).argmax()) == 0
    reached = deepfool(net, tied, target=0, steps=1)
    assert int(decide(net((tied + reached)[None]))) == 0


@pytest.mark.trains
def test_a_generator_meets_the_neurons_that_will_be_shipped(digits):
    """With `threshold` it is the one that is trained inside an override of the network."""
    train, _ = digits
    net = task(train).build().eval()
    settings = Generated(bound=0.2, epochs=1, samples=32, iterations=2)
    arguments = {"target": 0, "steps": 4, "seed": 0, "net": net}
    shipped = dataclasses.replace(settings, threshold=1.5).fit(train, **arguments)
    with override(net, threshold=1.5):
        inside = settings.fit(train, **arguments)
    outside = settings.fit(train, **arguments)
    images, _ = train.batch(np.arange(4))
    assert torch.equal(shipped(images), inside(images))
    assert not torch.equal(shipped(images), outside(images))
    with pytest.raises(ValueError, match="threshold=0"):
        Generated(threshold=0)


@pytest.mark.trains
def test_a_generator_is_bounded_and_for_one_shape(digits):
    train, _ = digits
    net = task(train).build().eval()
    before = [weight.clone() for weight in net.parameters()]
    settings = Generated(bound=0.2, epochs=1, samples=32, iterations=2)
    noise = settings.fit(train, target=0, steps=4, seed=0, net=net)
    images, _ = train.batch(np.arange(4))
    assert float((noise(images) - images).abs().max()) <= 0.2 + 1e-6
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert all(weight.requires_grad for weight in net.parameters())
    with pytest.raises(ValueError, match="do not fit a generator"):
        noise(torch.rand(2, 1, 16, 16))


def test_one_step_of_pgd_is_the_sign_of_a_linear_networks_gradient():
    """FGSM (Goodfellow et al. 2015): x + bound sign(dL/dx); of W x that is W^T (p - y)."""
    net, x = Linear(), torch.tensor([0.5, 0.4, 0.3]).reshape(1, 1, 1, 3)
    logits = net.weight.detach() @ x.flatten()
    slope = net.weight.detach().T @ (logits.softmax(0) - torch.tensor([1.0, 0, 0]))
    moved = pgd(net, x, torch.tensor([0]), bound=0.1, iterations=1, steps=1)
    torch.testing.assert_close(moved.flatten(), x.flatten() + 0.1 * slope.sign())
    many = pgd(net, x, torch.tensor([0]), bound=0.1, iterations=7, steps=1)
    assert float((many - x).abs().max()) <= 0.1 + 1e-6
    assert torch.equal(pgd(net, x, torch.tensor([0]), bound=0.0), x)
    with pytest.raises(ValueError, match="bound=2"):
        pgd(net, x, torch.tensor([0]), bound=2)


def test_pgd_gives_every_module_its_own_mode_back():
    net = torch.nn.Sequential(Linear(), torch.nn.Dropout())
    net.train()
    net[1].eval()
    pgd(net, torch.rand(1, 1, 1, 3), torch.tensor([0]), bound=0.1, steps=1)
    assert [one.training for one in (net, *net)] == [True, True, False]
