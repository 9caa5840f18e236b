"""From ANN to SNN: beside SpikingJelly's converter, and on its own promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import ann2snn, functional, neuron
from torch import nn

from snnbd_core import data, evaluate, networks
from snnbd_core.learning import ANN, Conversion, Hybrid, SpikeRepresentation, Task, convert, train
from snnbd_core.learning.ann import QCFS, TimeMean, with_neurons
from snnbd_core.learning.conversion import HalfStart
from snnbd_core.learning.spike_representation import Represented
from snnbd_core.metrics import Rate, Trial
from snnbd_core.metrics.migration_rates import compare, migration_rate
from snnbd_core.networks.layers import Folded
from snnbd_core.neurons import LIF, spiking_layers
from snnbd_core.triggers import Patch


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def ann(digits) -> nn.Module:
    net = networks.build("quick-conv", (1, 8, 8), 10, nn.ReLU, seed=0)
    train(net, digits[0], epochs=6, steps=1, learning_rate=2e-3, device="cpu", progress=False)
    return net


@pytest.mark.parametrize(("normalisation", "mode"), [("max", "Max"), ("percentile", "99.9%")])
def test_spikes_are_those_of_spikingjellys_converted_network(ann, digits, normalisation, mode):
    images, _ = digits[0].batch(np.arange(64))
    plain = nn.Sequential(
        *[
            part
            for layer in ann.layers
            for part in (layer if isinstance(layer, Folded) else [layer])
        ]
    ).eval()
    recipe = ann2snn.RateCodingRecipe(
        dataloader=[(images, None)],
        mode=mode,
        neuron_factory=lambda _: neuron.HalfThresholdIFNode(),
    )
    theirs = ann2snn.Converter(recipe).convert(plain)
    ours = convert(ann, digits[0].subset(np.arange(64)), normalisation=normalisation)
    images, _ = digits[1].batch(np.arange(50))
    steps, total = 20, torch.zeros(50, 100)
    functional.reset_net(theirs)
    with torch.no_grad():
        for _ in range(steps):
            total += theirs(images)
        rates = ours.layers(images.expand(steps, *images.shape)).mean(dim=0)
    *_, last = (m for m in theirs.modules() if isinstance(m, ann2snn.modules.VoltageScaler))
    difference = (rates * steps - total / last.scale).abs()  # theirs gives activations back
    assert (difference > 0.01).float().mean() < 0.005  # a spike moved by rounding, now and then
    assert difference.max() < 1.01


def test_votes_settle_with_time_and_are_right_as_often_as_those_of_the_ann(ann, digits):
    """Over seeds 0..5 the votes at 128 steps are 60 times closer to those at 1024 than at 2.

    The accuracy at 128 steps is the ANN's or up to 0.003 above.
    """
    net = convert(ann, digits[0].subset(np.arange(256)))
    images, _ = digits[1].batch(np.arange(100))
    with torch.no_grad():
        early, late, last = (net(images.expand(s, *images.shape)) for s in (2, 128, 1024))
    assert (late - last).abs().mean() < 0.1 * (early - last).abs().mean()
    accuracy, exact = (
        float(evaluate(one, digits[1], steps=steps, device="cpu").clean_accuracy)
        for one, steps in ((net, 128), (ann, 1))
    )
    assert accuracy >= exact - 0.02


def test_a_converted_layers_rate_is_its_activation_up_to_one_spike(ann, digits):
    net = convert(ann, digits[0], normalisation="max")
    images, _ = digits[1].batch(np.arange(20))
    steps = 50
    with torch.no_grad():
        current = net.layers[0](images.expand(steps, *images.shape))
        rate = net.layers[1](current).mean(dim=0)
    assert (rate - current[0].clamp(0, 1)).abs().max() <= 0.5 / steps + 1e-5


def test_qcfs_is_its_closed_form_with_a_straight_gradient():
    layer = QCFS(levels=4)
    layer.limit.data = torch.tensor(1.5)
    current = torch.linspace(-1, 3, 81).requires_grad_()
    out = layer(current)
    x = current.detach().numpy()
    expected = 1.5 * np.clip(np.floor(x * 4 / 1.5 + 0.5) / 4, 0, 1)
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-6)
    torch.autograd.backward(out.sum())
    inside = (expected > 0) & (expected < 1.5)
    np.testing.assert_allclose(current.grad.numpy()[inside], 1.0, rtol=1e-6)
    assert not current.grad[current < -0.5].any()


def test_a_neuron_of_as_many_steps_as_levels_fires_what_qcfs_says():
    layer, steps = QCFS(levels=8), 8
    layer.limit.data = torch.tensor(1.0)
    current = torch.rand(1, 500, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.3
    with torch.no_grad():
        rate = HalfStart()(current.expand(steps, *current.shape)).mean(dim=0)
        torch.testing.assert_close(rate, layer(current))


@pytest.mark.trains
def test_a_network_trained_with_qcfs_needs_few_steps(digits):
    """Over seeds 0..5: 0.986 or more before conversion, and the same after it."""
    rule = Conversion(activation="qcfs", levels=8)
    ann = ANN(activation="qcfs", levels=8).fit(task(digits, epochs=6)).net
    net = rule.converted(task(digits, source=ann))
    assert not any(isinstance(layer, nn.ReLU) for layer in net.modules())
    exact = float(evaluate(ann, digits[1], steps=1, device="cpu").clean_accuracy)
    few = float(evaluate(net, digits[1], steps=8, device="cpu").clean_accuracy)
    assert exact > 0.9
    assert few >= exact - 0.02


@pytest.mark.parametrize("name", networks.NAMES)
def test_every_network_by_name_is_converted_and_restored(name):
    side = 34 if name == "nmnist-conv" or name == "quick-conv" else 32
    twin = networks.build(name, (2, side, side), 10, nn.ReLU, seed=0).eval()

    class Few:
        input_shape = (2, side, side)

        def __len__(self):
            return 2

        def batch(self, rows):
            draw = torch.Generator().manual_seed(0)
            return torch.rand(len(rows), 2, 2, side, side, generator=draw), torch.zeros(len(rows))

    net = convert(twin, Few())
    assert len(spiking_layers(net)) == sum(isinstance(m, nn.ReLU) for m in twin.modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    empty = Conversion().layout(networks.build(name, (2, side, side), 10, LIF, seed=1))
    empty.load_state_dict(net.state_dict())
    frames, _ = Few().batch([0, 1])
    with torch.no_grad():
        assert torch.equal(empty(frames.transpose(0, 1)), net(frames.transpose(0, 1)))


def test_a_converted_residual_network_fires_at_the_activations_of_its_ann():
    """Shortcuts, with and without weights, are scaled like the branches they join."""
    twin = networks.build("resnet18", (1, 8, 8), 10, nn.ReLU, seed=0).eval()

    class Images:
        input_shape = (1, 8, 8)

        def __len__(self):
            return 4

        def batch(self, rows):
            draw = torch.Generator().manual_seed(0)
            return torch.rand(len(rows), 1, 8, 8, generator=draw), torch.zeros(len(rows))

    net = convert(twin, Images(), normalisation="max")
    images, _ = Images().batch(range(4))
    with torch.no_grad():
        expected = twin(images[None])
        rates = net(images.expand(256, *images.shape))
    share = rates.flatten() @ expected.flatten() / rates.norm() / expected.norm()
    assert float(share) > 0.97


def task(digits, **changes) -> Task:
    settings = {
        "clean": digits[0],
        "poisoned": digits[0],
        "trigger": None,
        "rate": 0.0,
        "target": 0,
        "epochs": 1,
        "batch_size": 64,
        "learning_rate": 2e-3,
        "loss": "mse",
        "steps": 4,
        "seed": 0,
        "device": torch.device("cpu"),
        "build": lambda neuron=LIF: networks.build("quick-conv", (1, 8, 8), 10, neuron, seed=0),
    }
    return Task(**{**settings, **changes})


def test_hybrid_training_changes_the_converted_weights_and_repeats(ann, digits):
    rule = Hybrid(epochs=1)
    one, two = (rule.fit(task(digits, source=ann)).net for _ in range(2))
    start = Conversion().fit(task(digits, source=ann)).net
    for ours, again, before in zip(
        one.parameters(), two.parameters(), start.parameters(), strict=True
    ):
        assert torch.equal(ours, again)
        assert not torch.equal(ours, before)


def test_the_twin_of_the_mean_sees_no_time(digits):
    net = ANN(reads="mean").layout(networks.build("quick-conv", (2, 34, 34), 10, nn.ReLU, seed=0))
    frames = torch.rand(5, 3, 2, 34, 34)
    assert isinstance(net.layers[0], TimeMean)
    net.eval()
    torch.testing.assert_close(net(frames), net(frames.flip(0)))


def test_a_represented_neurons_gradient_is_that_of_its_clipped_rate():
    mean = torch.tensor([[-0.2, 0.3, 0.7, 1.2]])
    current = mean.expand(8, 1, 4).clone().requires_grad_()
    spikes = Represented()(current)
    assert torch.equal(spikes, HalfStart()(mean.expand(8, 1, 4)))
    weights = torch.tensor([1.0, 2.0, 3.0, -4.0])
    (gradient,) = torch.autograd.grad((spikes.mean(dim=0) * weights).sum(), current)
    inside = torch.tensor([0.0, 2.0, 3.0, 0.0]) / 8  # both outer ones point further outside
    torch.testing.assert_close(gradient, inside.expand(8, 1, 4))
    spikes = Represented()(current)
    (gradient,) = torch.autograd.grad((spikes.mean(dim=0) * -weights).sum(), current)
    torch.testing.assert_close(gradient[0, 0] * 8, torch.tensor([-1.0, -2.0, -3.0, 4.0]))


@pytest.mark.trains
def test_training_on_spike_representation_learns(digits):
    """The accuracy is 0.97 or more over seeds 0..5."""
    fitted = SpikeRepresentation().fit(task(digits, epochs=4))
    assert float(evaluate(fitted.net, digits[1], device="cpu").clean_accuracy) > 0.9


def test_migration_counts_samples_and_rates(ann, digits):
    figures = compare(Trial(net=ann, source=ann, test=digits[1], trigger=Patch(size=0.3), steps=1))
    assert figures["agreement"].value == 1
    assert figures["migration_per_sample"].hits == figures["ann_success"].hits
    clean = evaluate(ann, digits[1], Patch(size=0.3), clean_net=ann, steps=1, device="cpu")
    assert np.isnan(migration_rate(clean, clean))

    def report(success: int, floor: int):
        return clean.__class__(
            **{
                **{name: getattr(clean, name) for name in clean.__dataclass_fields__},
                "attack_success_rate": Rate(success, 100),
                "floor": Rate(floor, 100),
            }
        )

    assert migration_rate(report(60, 10), report(90, 10)) == pytest.approx(50 / 80)


def test_what_cannot_be_converted_is_named(ann, digits):
    few = digits[0].subset(np.arange(8))
    with pytest.raises(ValueError, match=r"layer 1 \(LIF\) spikes already"):
        convert(networks.build("quick-conv", (1, 8, 8), 10), few)
    odd = networks.build("quick-conv", (1, 8, 8), 10, nn.ReLU)
    odd.layers[1] = nn.Sigmoid()
    with pytest.raises(ValueError, match=r"layer 1 \(Sigmoid\) cannot be converted"):
        convert(odd, few)
    unseen = with_neurons(ann, nn.ReLU)
    unseen.layers[0][1] = nn.BatchNorm2d(16, track_running_stats=False)
    with pytest.raises(ValueError, match=r"layer 0.1 \(BatchNorm2d\) has no running statistics"):
        convert(unseen, few)
    broken = with_neurons(ann, nn.ReLU)
    with torch.no_grad():
        broken.layers[2][1].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"the weights layers\.2\.1\.weight are not finite"):
        convert(broken, few)
    with pytest.raises(ValueError, match="calibration is empty"):
        convert(ann, digits[0].subset([]))
    with pytest.raises(ValueError, match=r"calibration has samples of shape \(2, 34, 34\)"):
        convert(ann, data.load("digits-events", frames=4)[0].subset([0]))
    with pytest.raises(ValueError, match="ann=Linear must be a Network"):
        convert(nn.Linear(2, 2), few)


@pytest.mark.trains
def test_a_linear_read_out_is_kept_by_the_conversion(digits):
    """At 512 steps the largest difference of logits is 0.04 or less over seeds 0..3."""
    ann = ANN(read_out="linear").fit(task(digits, epochs=2)).net
    assert isinstance(ann.layers[-1], Folded)
    assert isinstance(ann.layers[-1][-1], nn.Linear)
    net = Conversion(read_out="linear").converted(task(digits, source=ann))
    images, _ = digits[1].batch(np.arange(50))
    with torch.no_grad():
        exact = ann(images[None])
        voted = net(images.expand(512, *images.shape))
    assert exact.min() < -0.02  # what a ReLU at the end could not give
    assert (voted - exact).abs().max() < 0.1


def test_an_ann_is_trained_at_its_own_rate(digits):
    """Cosine annealing begins at the rate that is asked for."""
    own = ANN(learning_rate=2e-4).fit(task(digits, epochs=1)).history
    assert own.learning_rate[0] == 2e-4
    assert ANN().fit(task(digits, epochs=1)).history.learning_rate[0] == 2e-3


def test_rules_give_their_ann_its_read_out_and_rate():
    wanted = ANN(reads="mean", read_out="linear", learning_rate=1e-3)
    settings = {"reads": "mean", "read_out": "linear", "ann_learning_rate": 1e-3}
    assert Hybrid(**settings).ann() == wanted
    quantised = Conversion(**settings, activation="qcfs", levels=4).ann()
    assert quantised == replace(wanted, activation="qcfs", levels=4)


@pytest.mark.parametrize("rule", [Conversion(), Hybrid(epochs=1)])
def test_an_ann_that_never_answers_a_class_is_not_converted(ann, digits, rule):
    lost = networks.build("quick-conv", (1, 8, 8), 10, nn.ReLU, seed=0)
    lost.load_state_dict(ann.state_dict())
    with torch.no_grad():
        for name, values in lost.layers[-2].named_parameters():
            values[30:40] = -1.0 if "bias" in name else 0.0  # the voters of class 3
    message = r"none of its \d+ training samples with class 3, .* at a rate below 0.002 \(ann_"
    with pytest.raises(ValueError, match=message):
        rule.fit(task(digits, source=lost))


def test_a_network_that_does_not_end_with_a_neuron_has_no_activation_to_leave_out():
    net = networks.build("quick-conv", (1, 8, 8), 10, nn.ReLU, seed=0)
    with pytest.raises(ValueError, match="read_out='linear': the network ends with Folded"):
        ANN(read_out="linear").layout(ANN(read_out="linear").layout(net))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conversion(normalisation="mean"), "normalisation='mean' is unknown; allowed: max"),
        (lambda: Conversion(percentile=0), r"percentile=0 must be a number in \(0, 100\]"),
        (lambda: Conversion(reads="sum"), "reads='sum' is unknown; allowed: frames, mean"),
        (lambda: ANN(reads="sum"), "reads='sum' is unknown"),
        (lambda: ANN(activation="gelu"), "activation='gelu' is unknown; allowed: relu, qcfs"),
        (lambda: Conversion(activation="qcfs", levels=0), "levels=0 must be a whole number >= 1"),
        (
            lambda: Conversion(read_out="votes"),
            "read_out='votes' is unknown; allowed: relu, linear",
        ),
        (lambda: ANN(learning_rate=0), "learning_rate=0 must be a number > 0"),
        (lambda: Hybrid(ann_learning_rate=-1), "ann_learning_rate=-1 must be a number > 0"),
        (lambda: Hybrid(epochs=0), "epochs=0 must be a whole number >= 1"),
        (lambda: Hybrid(learning_rate=0), "learning_rate=0 must be a number > 0"),
        (lambda: Hybrid(data="test"), "data='test' is unknown; allowed: poisoned, clean"),
    ],
)
def test_settings_that_do_not_fit_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
