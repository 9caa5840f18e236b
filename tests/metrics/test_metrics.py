"""Rates, reports and `evaluate`, on networks whose answers are known beforehand."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix
from torch import nn

from snnbd_core import defenses, learning
from snnbd_core.data import as_set
from snnbd_core.metrics import NO_PREDICTION, Rate, Report, decide, evaluate, predict
from snnbd_core.networks import build
from snnbd_core.neurons import LIF
from snnbd_core.poisoning import Triggered
from snnbd_core.view import override

CLASSES = 4


class Codes:
    """Images whose first pixel holds the clean answer and whose second holds the triggered one.

    Pixel values: class / 10, or -0.1 for a silent and -0.2 for a tied output.
    """

    name, split, classes, input_shape = "codes", "test", CLASSES, (1, 1, 3)

    def __init__(self, clean, triggered, labels):
        pixels = np.stack([clean, triggered, np.zeros(len(clean))], axis=1)
        self.images = torch.tensor(pixels / 10, dtype=torch.float32).reshape(-1, 1, 1, 3)
        self.labels = np.asarray(labels, dtype=np.int64)

    def __len__(self):
        return len(self.labels)

    def batch(self, indices):
        return self.images[indices], torch.from_numpy(self.labels[indices])


@dataclass(frozen=True)
class Switch:
    space: str = "image"

    def __call__(self, images):
        images = images.clone()
        images[..., 2] = 1
        return images


class Reads(nn.Module):
    """Answers with what the pixels say; `column` for triggered inputs (1: obey, 0: ignore)."""

    def __init__(self, column=1, classes=CLASSES):
        super().__init__()
        self.column, self.classes = column, classes

    def forward(self, sequence):
        image = sequence.mean(0).flatten(1)
        code = torch.where(image[:, 2] > 0.5, image[:, self.column], image[:, 0])
        code = (code * 10).round().long()
        logits = nn.functional.one_hot(code.clamp(min=0), self.classes).float()
        logits[code == -1] = 0
        logits[code == -2] = 0.5
        return logits


@pytest.fixture
def codes():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 300)
    clean = np.where(rng.random(300) < 0.8, labels, rng.integers(-2, CLASSES, 300))
    triggered = np.where(rng.random(300) < 0.6, 0, rng.integers(-2, CLASSES, 300))
    return Codes(clean, triggered, labels), clean, triggered, labels


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [  # to four decimals; 0 of 10 by hand: z^2 / (10 + z^2) = 3.8415 / 13.8415
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
    ],
)
def test_a_rate_has_wilsons_interval(hits, total, low, high):
    rate = Rate(hits, total)
    assert rate.confidence_interval == pytest.approx((low, high), abs=5e-5)
    z, p = 1.959963985, hits / total
    middle = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2)) / (1 + z**2 / total)
    assert rate.confidence_interval == pytest.approx((middle - half, middle + half), abs=1e-9)


def test_a_rate_reads_as_a_number():
    rate = Rate(3, 4)
    assert float(rate) == rate.value == 0.75
    assert f"{rate:.1%}" == "75.0%"
    assert f"{rate}" == "Rate(hits=3, total=4)"


def test_a_rate_of_no_samples_knows_nothing():
    assert math.isnan(float(Rate(0, 0)))
    assert Rate(0, 0).confidence_interval == (0.0, 1.0)


@pytest.mark.parametrize("pair", [(-1, 3), (4, 3), (0, -1)])
def test_an_impossible_rate_is_refused(pair):
    with pytest.raises(ValueError, match=re.escape(f"hits={pair[0]} of total={pair[1]}: allowed")):
        Rate(*pair)


def test_a_silent_or_tied_output_is_no_prediction():
    logits = torch.tensor(
        [[0, 0, 0], [0.5, 0.5, 0.1], [0.1, 0.2, 0.3], [-1, -2, -3], [-1, -1, -3], [0, 0, 1e-30]]
    )
    assert decide(logits).tolist() == [-1, -1, 2, 0, -1, 2]


def test_votes_that_differ_by_rounding_only_are_tied():
    votes = torch.zeros(10)
    votes[:3] = torch.tensor([0.1, 0.7, 0.2])
    one, other = votes.sum(), votes.flip(0).sum()
    sums = torch.stack([torch.tensor(0.3).nextafter(torch.tensor(1.0)), torch.tensor(0.3)])
    assert decide(sums[None]).item() == NO_PREDICTION
    assert decide(torch.stack([one, other])[None]).item() == NO_PREDICTION
    # while the least difference that a vote can make, here one spike of 10 neurons in 128 steps,
    # decides
    assert decide(torch.tensor([[0.3 + 1 / 1280, 0.3]])).item() == 0


def test_a_report_agrees_with_scikit_learn(codes):
    dataset, clean, triggered, labels = codes
    report = evaluate(Reads(), dataset, Switch(), target=0, device="cpu", batch_size=64)
    clean, triggered = np.maximum(clean, -1), np.maximum(triggered, -1)

    assert float(report.clean_accuracy) == pytest.approx(accuracy_score(labels, clean))
    rows = [NO_PREDICTION, *range(CLASSES)]
    before = confusion_matrix(labels, clean, labels=rows)[1:]
    after = confusion_matrix(labels, triggered, labels=rows)[1:]
    others = slice(1, None)
    assert report.untriggered_target_rate == Rate(before[others, 1].sum(), before[others].sum())
    assert report.attack_success_rate == Rate(after[others, 1].sum(), after[others].sum())
    assert report.attack_success_rate_all == Rate(after[:, 1].sum(), 300)
    assert report.robust_accuracy == Rate(np.trace(after[1:, 2:]), after[others].sum())
    assert report.no_prediction_clean == Rate(before[:, 0].sum(), 300)
    assert report.no_prediction_triggered == Rate(after[:, 0].sum(), 300)
    assert before[:, 0].sum() > 5 and after[:, 0].sum() > 20


def test_silent_outputs_never_hit_class_zero():
    dataset = Codes([-1, -1, -2], [-1, -2, -1], [0, 1, 2])
    report = evaluate(Reads(), dataset, Switch(), target=0)
    for rate in (
        report.clean_accuracy,
        report.untriggered_target_rate,
        report.attack_success_rate,
        report.attack_success_rate_all,
        report.robust_accuracy,
    ):
        assert rate.hits == 0
    assert report.no_prediction_clean == report.no_prediction_triggered == Rate(3, 3)


def test_the_floor_is_the_success_rate_of_the_clean_network(codes):
    dataset, clean, _, labels = codes
    report = evaluate(Reads(), dataset, Switch(), target=2, clean_net=Reads(column=0))
    assert report.floor == Rate(int((clean[labels != 2] == 2).sum()), int((labels != 2).sum()))
    assert report.floor_all == Rate(int((clean == 2).sum()), 300)
    assert report.floor == report.untriggered_target_rate  # this one ignores the trigger


def test_a_perfect_clean_network_has_the_class_share_as_its_all_samples_floor():
    labels = np.arange(40) % CLASSES
    dataset = Codes(labels, labels, labels)
    report = evaluate(Reads(), dataset, Switch(), target=1, clean_net=Reads())
    assert report.floor == Rate(0, 30)
    assert report.floor_all == Rate(10, 40)


def test_without_a_trigger_only_clean_fields_are_filled(codes):
    report = evaluate(Reads(), codes[0], target=1)
    empty = {name for name, value in report.to_dict().items() if value is None}
    assert empty == {
        "spikes_clean",  # the network has no neurons
        "attack_success_rate",
        "attack_success_rate_all",
        "robust_accuracy",
        "no_prediction_triggered",
        "spikes_triggered",
        "synops_triggered",
        "floor",
        "floor_all",
    }
    assert report.spikes_triggered is None and report.synops_triggered is None


def test_a_report_survives_json(codes):
    for trigger, clean_net in [(None, None), (Switch(), None), (Switch(), Reads(0))]:
        report = evaluate(Reads(), codes[0], trigger, clean_net=clean_net)
        assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_a_report_with_missing_or_unknown_fields_is_refused(codes):
    data = evaluate(Reads(), codes[0]).to_dict()
    data["accuracy"] = data.pop("clean_accuracy")
    message = "missing fields ['clean_accuracy'] and unknown fields ['accuracy']"
    with pytest.raises(ValueError, match=re.escape(message)):
        Report.from_dict(data)


def test_predictions_do_not_depend_on_the_batch_size(codes):
    expected = predict(Reads(), codes[0], batch_size=300)
    for batch_size in (1, 7, 299):
        np.testing.assert_array_equal(predict(Reads(), codes[0], batch_size=batch_size), expected)
    np.testing.assert_array_equal(expected, np.maximum(codes[1], -1))


def small_images():
    generator = torch.Generator().manual_seed(0)
    dataset = Codes(np.zeros(24), np.zeros(24), np.arange(24) % CLASSES)
    dataset.images = torch.rand(24, 1, 8, 8, generator=generator)
    return dataset


def test_the_networks_mode_and_state_come_back():
    net = build("quick-conv", (1, 8, 8), CLASSES, seed=0)
    net.train()
    frozen = next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    frozen.eval()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    evaluate(net, small_images(), Switch(), clean_net=net)
    assert net.training and not frozen.training
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    net(torch.rand(2, 3, 1, 8, 8)).sum().backward()  # nothing was left in inference mode


def test_everything_comes_back_after_an_error_too():
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = LIF()

        def forward(self, sequence):
            raise RuntimeError("broken")

    net = Breaks().train()
    with pytest.raises(RuntimeError, match="broken"):
        evaluate(net, small_images())
    assert net.training and net.inner.training
    assert not net.inner._forward_hooks


def test_overrides_act_and_a_silenced_network_predicts_nothing():
    net = build("quick-conv", (1, 8, 8), CLASSES, seed=0)
    with override(net, threshold=1e6):
        report = evaluate(net, small_images())
    assert report.no_prediction_clean == Rate(24, 24)
    assert report.spikes_clean == 0
    assert report.clean_accuracy.hits == 0


def test_activity_is_reported_per_sample_without_and_under_the_trigger():
    net = build("quick-conv", (1, 8, 8), CLASSES, seed=0)
    dataset = small_images()
    report = evaluate(net, dataset, Switch(), steps=3, batch_size=5)
    assert report.spikes_triggered != report.spikes_clean
    assert report.synops_triggered != report.synops_clean

    spikes = [0.0, 0.0]
    hooks = [
        layer.register_forward_hook(
            lambda _m, _i, out: spikes.__setitem__(0, spikes[0] + out.sum().item())
        )
        for layer in net.modules()
        if isinstance(layer, LIF)
    ]
    with torch.no_grad():
        net.eval()(dataset.images.expand(3, -1, -1, -1, -1))
    assert report.spikes_clean == pytest.approx(spikes[0] / 24)
    for hook in hooks:
        hook.remove()


class Gives(nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, sequence):
        return self.logits.expand(sequence.shape[1], -1)


@pytest.mark.parametrize(
    ("net", "arguments", "message"),
    [
        (Reads(), {"target": 4}, "target=4 is not a class: allowed is 0..3"),
        (Reads(), {"batch_size": 0}, "batch_size=0 must be a whole number >= 1"),
        (Reads(), {"steps": 0}, "steps=0 must be a whole number >= 1"),
        (Reads(), {"clean_net": Reads()}, "clean_net without trigger=...: the floor is"),
        (
            Reads(classes=5),
            {},
            "net gives logits of shape (128, 5): allowed is [B, classes] = (128, 4)",
        ),
        (Gives(torch.tensor([0, 1, math.nan, 0])), {}, "net gives logits that are NaN or infinite"),
        (Gives(torch.tensor([0, 1, math.inf, 0])), {}, "net gives logits that are NaN or infinite"),
    ],
)
def test_bad_arguments_and_outputs_are_named(codes, net, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        evaluate(net, codes[0], **arguments)


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="data is empty: at least one sample is needed"):
        evaluate(Reads(), Codes(np.zeros(0), np.zeros(0), []))


def test_a_triggered_view_and_a_trigger_measure_the_same(codes):
    seen = evaluate(Reads(), Triggered(codes[0], Switch()), target=0)
    report = evaluate(Reads(), codes[0], Switch(), target=0)
    assert seen.untriggered_target_rate == report.attack_success_rate


class Remembering(nn.Module):
    """A network that forgets to reset itself: each answer depends on those before."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.classes, self.calls = classes, 0

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return (
            self.calls
            * (1 + sequence.mean((0, 2, 3, 4)).abs())[:, None]
            * torch.arange(self.classes)
        )


def test_a_network_that_answers_differently_the_second_time_is_refused_with_both_answers(codes):
    data = codes[0]
    with pytest.raises(
        ValueError, match=r"differently the second time: sample \d+ gets \[.*\], then \["
    ):
        evaluate(Remembering(data.classes), data)


def test_a_network_that_is_declared_stochastic_is_measured(codes):
    data = codes[0]
    few = data.images[data.labels < 3], torch.from_numpy(data.labels[data.labels < 3])
    net = Remembering(3)
    net.stochastic = True
    measured = evaluate(net, torch.utils.data.TensorDataset(*few))
    assert measured.clean_accuracy.total == len(few[0])


def test_a_part_without_samples_is_refused():
    data = torch.utils.data.TensorDataset(torch.rand(4, 1, 1, 3), torch.arange(4))
    with pytest.raises(ValueError, match="dataset is empty: at least one sample is needed"):
        evaluate(Reads(), as_set(data).subset([]))


def test_a_target_may_be_a_number_of_any_library(codes):
    wanted = evaluate(Reads(), codes[0], Switch(), target=1)
    for target in (torch.tensor(1), np.int64(1), np.array(1)):
        assert evaluate(Reads(), codes[0], Switch(), target=target) == wanted


@pytest.mark.parametrize("net", [None, nn.Linear(3, 3).state_dict(), nn.Linear, abs])
def test_what_is_no_network_is_named(net):
    data = torch.utils.data.TensorDataset(torch.rand(4, 1, 1, 3), torch.arange(4))
    message = f"net is a {type(net).__name__}: needed is a torch.nn.Module"
    with pytest.raises(ValueError, match=message):
        evaluate(net, data)
    with pytest.raises(ValueError, match=message):
        learning.train(net, data, epochs=1)
    with pytest.raises(ValueError, match=message):
        defenses.FineTuning(epochs=1).repair(net, data)
