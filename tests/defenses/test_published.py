"""Defences beside their authors' code: numbers that it gave on small inputs are given here too.

``published.json`` holds the numbers and where the code that gave them lies, each at one commit.
The inputs are made here, from seeds. Where the authors' code was run with a setting of its own
changed, so that both do the same, the file says so; where the two differ for good, a test shows
how, and the docstring of the defence says it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnbd_core as sb
from snnbd_core.defenses import (
    AdversarialPruning,
    AttentionDistillation,
    ChannelLipschitz,
    FinePruning,
    PotentialClamps,
    TwoStage,
    UnlearnRecoverPrune,
    unlearning,
)
from snnbd_core.defenses.abl import AntiBackdoorLearning, held_back
from snnbd_core.defenses.detectors import ActivationClustering, NoiseResponse
from snnbd_core.defenses.detectors.beatrix import deviations, gram
from snnbd_core.defenses.detectors.neural_cleanse import anomaly
from snnbd_core.defenses.detectors.spectre import SQUARES, projections, standing_out
from snnbd_core.defenses.detectors.spectre_filter import published_scores, trusted
from snnbd_core.defenses.detectors.stimulation import BrainStimulation
from snnbd_core.defenses.detectors.strip import entropy
from snnbd_core.defenses.detectors.tmpbd import gamma_p_value
from snnbd_core.defenses.detectors.training_set import outlying
from snnbd_core.defenses.nad import apart, attention
from snnbd_core.metrics.margins import margins, slope_of
from snnbd_core.view import View

CLASSES, SAMPLES, SHAPE = 4, 60, (2, 10, 10)
STEPS, WIDTH = 3, 4  # of the network for NDSBM
PUBLISHED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "published.json").read_text(encoding="utf-8")
)


def given(name: str) -> dict[str, Any]:
    """What the authors' code gave."""
    found: dict[str, Any] = PUBLISHED[name]["gave"]
    return found


def drawn(seed: int, *shape: int) -> np.ndarray:
    """Normal numbers, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def network(norm: type[nn.Module] = nn.BatchNorm2d) -> nn.Sequential:
    """Two convolutions with batch norm and ReLU and a dense layer, evaluating."""
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(2, 8, 3, padding=1, bias=False),
        norm1=norm(8),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=False),
        norm2=norm(12),
        relu2=nn.ReLU(),
        flat=nn.Flatten(),
        dense=nn.Linear(300, CLASSES),
    )
    net = nn.Sequential(layers)
    draw = np.random.default_rng(5)
    with torch.no_grad():
        for name, value in (*net.named_parameters(), *net.named_buffers()):
            if not name.endswith(("num_batches_tracked", "neuron_mask", "noise", "noise_bias")):
                numbers = draw.normal(size=value.shape) * value[0].numel() ** -0.5
                if "norm" in name and name.endswith(("weight", "var")):
                    numbers = draw.uniform(0.5, 1.5, size=value.shape)
                value.copy_(torch.from_numpy(numbers.astype(np.float32)))
        net.conv1.weight[3] *= 4  # stands out
        net.conv2.weight[7] *= 3
    return net.eval()


def images() -> tuple[Tensor, Tensor]:
    """Images in 0..1 and labels."""
    pixels = np.random.default_rng(6).uniform(size=(SAMPLES, *SHAPE)).astype(np.float32)
    return torch.from_numpy(pixels), torch.arange(SAMPLES) % CLASSES


def features() -> np.ndarray:
    """Rows of twenty rates; the last twelve stand apart in three of them."""
    rows = np.random.default_rng(8).uniform(size=(60, 20))
    rows[-12:, :3] += 1.5
    return rows


def traces() -> tuple[np.ndarray, np.ndarray]:
    """What six channels do at nine places, of known samples and of wilder ones."""
    return np.abs(drawn(13, 31, 6, 9)), np.abs(3 * drawn(14, 31, 6, 9))


def votes() -> Tensor:
    """Logits of six classes."""
    return torch.from_numpy(3 * drawn(9, 25, 6))


def adapted(norm: type[nn.Module] = nn.BatchNorm2d) -> nn.Module:
    """The network as the library takes it: called at each of the time steps, here one."""
    return sb.adapt(network(norm), layout="step", input_shape=SHAPE, classes=CLASSES)


@pytest.fixture
def clean() -> Any:
    pixels, labels = images()
    return sb.data.as_set(torch.utils.data.TensorDataset(pixels, labels))


@pytest.mark.parametrize("u", ["0.5", "1.0", "2.0"])
def test_clp_silences_the_channels_that_the_authors_code_silences(u: str, clean: Any) -> None:
    repair = ChannelLipschitz(u=float(u), deviation="sample")
    choice = repair.choose(adapted(), clean, steps=1, device="cpu")
    silenced = [(~keep).nonzero()[:, 0].tolist() for keep in choice.keep]
    assert silenced == given("clp")["silenced"][u]


def test_clp_bounds_are_the_authors_but_for_batch_norms_eps(clean: Any) -> None:
    choice = ChannelLipschitz().choose(adapted(), clean, steps=1, device="cpu")
    for found, norm, bounds in zip(
        choice.scores, ("norm1", "norm2"), given("clp")["bounds"], strict=True
    ):
        layer = network().get_submodule(norm)
        less = (layer.running_var / (layer.running_var + layer.eps)).sqrt()
        torch.testing.assert_close(found, torch.tensor(bounds) * less, rtol=1e-5, atol=0)


def test_anp_learns_the_masks_that_the_authors_code_learns(clean: Any) -> None:
    repair = AdversarialPruning(eps=0.4, alpha=0.2, iterations=10, learning_rate=0.2)
    choice = repair.choose(adapted(), clean, steps=1, device="cpu")
    for found, masks in zip(choice.scores, given("anp")["masks"], strict=True):
        torch.testing.assert_close(found, torch.tensor(masks), rtol=0, atol=1e-3)


def test_rnp_learns_the_masks_that_the_authors_code_learns(
    clean: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlearning, "unlearnt", lambda bench, rate, epochs: bench.copied())
    repair = UnlearnRecoverPrune(iterations=10, learning_rate=0.2, published=True)
    choice = repair.choose(adapted(), clean, steps=1, device="cpu")
    for found, masks in zip(choice.scores, given("rnp")["masks"], strict=True):
        torch.testing.assert_close(found, torch.tensor(masks), rtol=0, atol=1e-3)


def zeroed(monkeypatch: pytest.MonkeyPatch, clean: Any, neurons: float) -> dict[str, list[int]]:
    """Flat indices of the weights that TSBD sets to zero where unlearning moved them so."""
    changes = [drawn(20, 8, 2, 3, 3), drawn(21, 12, 8, 3, 3)]
    changes[0][3] *= 8
    changes[1][7] *= 3
    found = [torch.from_numpy(change).abs() for change in changes]
    monkeypatch.setattr(TwoStage, "_changes", lambda self, bench: found)
    repair = TwoStage(neurons=neurons, weights=0.7, epochs=0)
    repaired = repair.repair(adapted(), clean, steps=1, device="cpu")
    layers = [layer for layer in repaired.modules() if isinstance(layer, nn.Conv2d)]
    return {
        name: (layer.weight.flatten() == 0).nonzero()[:, 0].tolist()
        for name, layer in zip(("conv1", "conv2"), layers, strict=True)
    }


def test_tsbd_zeroes_the_weights_of_a_neuron_that_the_authors_code_zeroes(
    clean: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = zeroed(monkeypatch, clean, 0.1)  # 1 of 12, none of 8
    assert found == given("tsbd")["zeroed"]["1"]


def test_tsbd_finds_the_authors_neurons_but_each_gives_its_share(
    clean: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theirs are ranked together, and the weights of all that are found cut at one change."""
    found, expected = zeroed(monkeypatch, clean, 0.125), given("tsbd")["zeroed"]["2"]
    for name, size, ours, theirs in (("conv1", 18, 12, 15), ("conv2", 72, 50, 47)):
        neurons = [{index // size for index in of[name]} for of in (found, expected)]
        assert neurons[0] == neurons[1]
        assert [len(of[name]) for of in (found, expected)] == [ours, theirs]


def test_stimulation_suspects_the_authors_channels_where_a_sample_leaves_them_silent() -> None:
    """Theirs is what an answer gains over that with the channel at 0, ours over that as it is."""
    net = network()
    with torch.no_grad():
        for norm in (net.norm1, net.norm2):
            norm.bias.fill_(-8)
    view = sb.view(sb.adapt(net, layout="step", input_shape=SHAPE, classes=CLASSES))
    units = [torch.full((8,), 60.0), torch.ones(12)]
    search = BrainStimulation(levels=(0.5, 1.0, 2.0), candidates=20)
    suspects = search.suspects(view, images()[0][None, :1], units)
    assert len(suspects) == 20
    for one in suspects:
        expected = given("abs")[one.layer]
        assert one.target == expected["class"][one.channel]
        assert one.lead == pytest.approx(expected["lead"][one.channel], rel=1e-4)


def attended(requires_grad: bool = False) -> tuple[Tensor, Tensor]:
    """What a layer of student and teacher gives at one step, of three samples and 16 places."""
    student, teacher = (torch.from_numpy(drawn(seed, 3, 5, 4, 4)) for seed in (10, 11))
    return student[None].requires_grad_(requires_grad), teacher[None]


def test_attention_is_the_authors_and_the_loss_theirs_times_the_places() -> None:
    student, teacher = attended()
    torch.testing.assert_close(
        attention(student),
        torch.tensor(given("nad")["attention"]).flatten(1),
        rtol=1e-5,
        atol=1e-6,
    )
    loss = given("nad")["loss"]
    assert float(apart(student, teacher)) == pytest.approx(loss * 16, rel=1e-5)
    assert float(apart(student, teacher, published=True)) == pytest.approx(loss, rel=1e-5)


def test_nads_published_loss_has_the_gradient_of_the_authors_formula() -> None:
    """Theirs is the mean of (A(student) - A(teacher))^2 over samples and places."""
    student, teacher = attended(requires_grad=True)

    def theirs(fm: Tensor) -> Tensor:
        am = fm.abs().pow(2).sum(1, keepdim=True)
        return am / (am.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-6)

    (expected,) = torch.autograd.grad(
        nn.functional.mse_loss(theirs(student[0]), theirs(teacher[0])), student
    )
    (found,) = torch.autograd.grad(apart(student, teacher, published=True), student)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


def test_nads_published_beta_is_as_strong_as_a_smaller_one_over_the_places(clean: Any) -> None:
    """One hidden layer of 100 places: 1000 as published does what 10 does else."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(400, 4))
    adapted = sb.adapt(net, layout="step", input_shape=SHAPE, classes=CLASSES)

    def weights(beta: float, published: bool) -> Tensor:
        repair = AttentionDistillation(beta=beta, epochs=1, published=published)
        repaired = repair.repair(adapted, clean, steps=1, device="cpu")
        return torch.cat([weight.detach().flatten() for weight in repaired.parameters()])

    plain = weights(10, False)
    torch.testing.assert_close(weights(1000, True), plain, rtol=0, atol=1e-4)
    assert (weights(1000, False) - plain).abs().max() > 1e-3


def test_abl_turns_the_loss_around_as_the_authors_code_does_for_a_single_sample() -> None:
    """Their loss is the cross-entropy and is turned around by whole batches, ours is of votes."""
    for row, expected in enumerate(given("abl")["turned"]):
        logits, truth = votes()[row : row + 1], torch.tensor([row % 6])
        error = (logits - nn.functional.one_hot(truth, 6)).square().mean()
        floor = given("abl")["gamma"]
        ours = held_back(6 * floor)(logits, truth)
        cross = nn.functional.cross_entropy(logits, truth)
        assert float(ours) == pytest.approx(float(torch.sign(error - floor) * error))
        assert expected == pytest.approx(float(torch.sign(cross - floor) * cross), rel=1e-5)


def test_abl_isolates_the_lowest_losses_as_the_authors_code_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses = torch.from_numpy(np.abs(drawn(12, 200)))
    monkeypatch.setattr("snnbd_core.defenses.abl.sample_losses", lambda *_, **__: losses)
    found = AntiBackdoorLearning(isolated=0.05).isolate(
        network(), losses, steps=1, device=torch.device("cpu")
    )
    assert found.tolist() == given("abl")["isolated"]


def test_beatrix_deviations_are_the_authors_but_for_the_entries_they_count() -> None:
    """They divide by half of all C^2 entries, we by those of the triangle."""
    known, asked = traces()
    found = np.mean([deviations(gram(known, p), gram(asked, p), 10.0) for p in range(1, 9)], axis=0)
    expected = np.array(given("beatrix")["deviations"]) * (6 * 6 / 2) / (6 * 7 / 2)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("case", ["nine", "ten", "one-small"])
def test_the_anomaly_index_is_the_authors(case: str) -> None:
    sizes = given("neural-cleanse")[case]["sizes"]
    index, target = anomaly(sizes)
    assert index == pytest.approx(given("neural-cleanse")[case]["index"], rel=1e-6)
    flagged = [target] if index > 2 else []
    assert given("neural-cleanse")[case]["flagged"][:1] == flagged


def test_strips_entropy_is_the_authors_in_nats() -> None:
    bits = given("strip")["entropy"]
    assert float(entropy(votes()).mean()) == pytest.approx(bits * np.log(2), rel=1e-5)


def test_spectral_scores_are_the_authors_of_rows_around_their_mean() -> None:
    """The paper's score is of centred rows, as here; the authors' code projects them as they are,
    and so ranks otherwise.
    """
    rows = features()
    centred, as_they_are = (np.array(given("spectral")[key]) for key in ("centred", "raw"))
    np.testing.assert_allclose(outlying(rows), centred**2, rtol=1e-6, atol=1e-9)
    order = np.argsort(-outlying(rows), kind="stable")
    assert order[:18].tolist() != np.argsort(-as_they_are, kind="stable")[:18].tolist()


def wide() -> np.ndarray:
    """600 rows, wide in three of 120 directions; 60 lie apart in a fourth, 20 are far out."""
    draw = np.random.default_rng(2)
    rows = draw.normal(size=(600, 120)) * np.r_[np.full(3, 6.0), np.full(117, 0.5)]
    rows[-60:, 7] += 5
    rows[:20] *= draw.exponential(3, size=(20, 1)) + 1
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(120, 120)))
    return rows @ turn


@pytest.mark.parametrize("case", given("spectre")["filter"], ids=lambda case: f"k={case['k']}")
def test_spectre_as_published_puts_the_authors_samples_aside(case: dict[str, Any]) -> None:
    share, k = case["share"], case["k"]
    rows = projections(wide())[:, :k]
    if k > 1:  # of one direction the authors' code takes the projections as they are
        left = trusted(rows, share)
        assert sorted(set(range(len(rows))) - set(left.tolist())) == case["aside"]
    highest = np.argsort(-published_scores(rows, share))[: round(1.5 * share * len(rows))]
    assert sorted(highest.tolist()) == case["suspects"]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_spectre_searches_its_dimension_by_the_authors_measure_within_three_percent(
    share: float,
) -> None:
    """Here moments are taken about the trusted samples' mean, there about that of all."""
    rows = projections(wide())
    tried = [
        standing_out(rows, published_scores(rows[:, :k], share), share)
        for k in SQUARES[: len(given("spectre")["search"][str(share)])]
    ]
    theirs = given("spectre")["search"][str(share)]
    np.testing.assert_allclose(tried, theirs, rtol=0.03)
    assert int(np.argmax(tried)) == int(np.argmax(theirs))


def test_clusters_of_activations_are_those_of_another_library() -> None:
    _, side = ActivationClustering().clusters(features(), seed=0)
    assert (side != side[0]).astype(int).tolist() == given("activation-clustering")["principal"]


def voting() -> View:
    """A network of SpikingJelly with four classes of ten voters, as the authors' code takes it."""
    from spikingjelly.activation_based import functional, layer, neuron

    torch.manual_seed(3)
    net = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1),
        neuron.LIFNode(),
        layer.Flatten(),
        layer.Linear(6 * 6 * 6, 10 * CLASSES),
        neuron.LIFNode(),
        layer.VotingLayer(10),
    )
    functional.set_step_mode(net, "m")
    with torch.no_grad():
        for weights in net.parameters():
            weights.mul_(6)
    return sb.view(sb.adapt(net, layout="TBCHW", input_shape=(2, 6, 6), classes=CLASSES))


@pytest.mark.parametrize(("steps", "allowed"), [(1, 1e-6), (40, 0.01)])
def test_tmpbds_margins_are_the_authors_at_the_start_and_after_their_ascent(
    steps: int, allowed: float
) -> None:
    """A spike that rounding moves changes a margin by less than what is allowed after 40 steps."""
    pytest.importorskip("spikingjelly")
    view, found = voting(), []
    torch.manual_seed(5)
    for target in range(CLASSES):
        inputs = torch.rand(5, 3, 2, 6, 6)
        for _ in range(steps):
            point = inputs.detach().requires_grad_()
            margin = margins(view, point.clamp(0, 10), target)
            inputs = point + 1e-2 * slope_of(view, margin, point)
        found.append(margin.max().item())
    np.testing.assert_allclose(found, given("tmpbd")["margins"][str(steps)], atol=allowed)


@pytest.mark.parametrize("case", ["ten", "one-large"])
def test_tmpbds_verdicts_are_the_authors_though_their_distribution_begins_elsewhere(
    case: str,
) -> None:
    theirs = given("tmpbd")["p_values"][case]
    ours = gamma_p_value(theirs["margins"])
    assert (ours < 0.05) == (theirs["p"] < 0.05)
    assert ours != pytest.approx(theirs["p"], rel=1e-3)


def lit() -> Any:
    """Recordings of twenty lights that change place."""
    draw = np.random.default_rng(22)
    light = draw.exponential(size=(20, STEPS, 2, 4, 4)).repeat(8, 3).repeat(8, 4)
    frames = torch.from_numpy(draw.poisson(light).astype(np.float32))
    return sb.data.as_set(torch.utils.data.TensorDataset(frames, torch.arange(20) % CLASSES))


def sequence() -> Tensor:
    """All recordings as a network reads them."""
    frames: Tensor = lit().batch(np.arange(20))[0].transpose(0, 1)
    return frames


def blocks() -> nn.Sequential:
    """The authors' network for CIFAR10-DVS, small: four convolutions, four classes."""
    from spikingjelly.activation_based import functional, layer, neuron

    convolutions = [
        part
        for channels in (2, WIDTH, WIDTH, WIDTH)
        for part in (
            layer.Conv2d(channels, WIDTH, 3, padding=1, bias=False),
            layer.BatchNorm2d(WIDTH, momentum=1.0),
            neuron.LIFNode(detach_reset=True),
            layer.MaxPool2d(2, 2),
        )
    ]
    net = nn.Sequential(
        *convolutions,
        layer.Flatten(),
        layer.Dropout(0.5),
        layer.Linear(4 * WIDTH, 12),
        neuron.LIFNode(detach_reset=True),
        layer.Dropout(0.5),
        layer.Linear(12, 10 * CLASSES),
        neuron.LIFNode(detach_reset=True),
        layer.VotingLayer(10),
    )
    functional.set_step_mode(net, "m")
    with torch.no_grad():
        for seed, weights in enumerate(net.parameters(), 30):
            numbers = torch.from_numpy(drawn(seed, *weights.shape))
            spread = 4 * weights[0].numel() ** -0.5 if weights.dim() > 1 else 0.4
            weights.copy_(spread * numbers + float(weights.dim() == 1))
        net(sequence())  # batch norm takes over what it sees
    functional.reset_net(net)
    return net.eval()


def voters() -> nn.Module:
    """The network as the library takes it."""
    return sb.adapt(blocks(), layout="TBCHW", input_shape=(2, 32, 32), classes=CLASSES)


def bounds() -> list[Tensor]:
    """Tight ones for the convolutions, and one for the dense layer that it never reaches."""
    tight = [torch.from_numpy(1.5 + np.abs(drawn(seed, STEPS, WIDTH))) for seed in range(23, 27)]
    return [*tight, torch.full((STEPS, 12), 1e6)]


def felt(upper: list[Tensor], lower: Sequence[Tensor] = ()) -> Tensor:
    """What clamps do to the mean potential."""
    view = sb.view(voters())
    wanted = view.potentials(sequence())[1].mean(dim=0).detach()
    with view.bounded(upper, lower):
        return (view.potentials(sequence())[1].mean(dim=0) - wanted).square().mean()


def test_ndsbm_goes_down_the_authors_loss_where_they_clamp_from_above_only() -> None:
    """Their own setting is a lower clamp beside the upper one, which gives another loss."""
    pytest.importorskip("spikingjelly")
    tight = [bound.requires_grad_() for bound in bounds()]
    loss = felt(tight)
    slopes = torch.autograd.grad(loss, tight)
    assert loss.item() == pytest.approx(given("ndsbm")["loss"], rel=1e-5)
    for found, expected in zip(slopes[:4], given("ndsbm")["slopes"], strict=True):
        torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-3, atol=1e-6)
    assert loss.item() != pytest.approx(given("ndsbm")["both"]["loss"], rel=0.05)


def test_ndsbm_goes_down_the_authors_loss_where_both_clamp_from_both_sides() -> None:
    pytest.importorskip("spikingjelly")
    upper = [bound.requires_grad_() for bound in bounds()]
    lower = [(-0.3 * bound).detach().requires_grad_() for bound in bounds()]
    loss, expected = felt(upper, lower), given("ndsbm")["both"]
    slopes = torch.autograd.grad(loss, [*upper[:4], *lower[:4]])
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-5)
    assert all(slope.any() for slope in slopes)
    theirs = [*expected["slopes above"], *expected["slopes below"]]
    for found, slope in zip(slopes, theirs, strict=True):
        torch.testing.assert_close(found, torch.tensor(slope), rtol=1e-3, atol=1e-6)


def test_ndsbm_learns_the_authors_bounds_where_both_start_alike_and_weigh_the_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Theirs start at one large number, and their weight is of Euclidean norms."""
    pytest.importorskip("spikingjelly")
    start = [torch.full_like(bound, 1.5) for bound in bounds()[:4]] + bounds()[4:]
    monkeypatch.setattr("snnbd_core.defenses.clamps.largest_currents", lambda *_: start)
    weight = 1e-3 * 1.5 * 5 * STEPS * WIDTH  # theirs is of the sum over currents, not of shares
    repair = PotentialClamps(weight=weight, iterations=6, learning_rate=0.1 / 1.5)
    found = repair.bounds(voters(), lit(), device="cpu", steps=STEPS)
    for bound, expected in zip(found[:4], given("ndsbm")["learnt"], strict=True):
        torch.testing.assert_close(bound, torch.tensor(expected), rtol=0, atol=1e-3)
    euclidean = torch.tensor(given("ndsbm")["last layer by the norm"])
    assert (found[3] - euclidean).abs().max() > 0.05


def test_ndsbm_learns_the_authors_bounds_from_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weight is of each side as theirs is: two sums, not the mean of both."""
    pytest.importorskip("spikingjelly")
    start = [torch.full_like(bound, 1.5) for bound in bounds()[:4]] + bounds()[4:]
    clamps = "snnbd_core.defenses.clamps"
    monkeypatch.setattr(f"{clamps}.largest_currents", lambda *_: start)
    monkeypatch.setattr(f"{clamps}.smallest_currents", lambda *_: [-bound for bound in start])
    weight = 1e-5 * 1.5 * 5 * STEPS * WIDTH
    repair = PotentialClamps(sides="both", weight=weight, iterations=6, learning_rate=0.1 / 1.5)
    found, both = repair.bounds(voters(), lit(), device="cpu", steps=STEPS), given("ndsbm")["both"]
    expected = [*both["learnt above"], *both["learnt below"]]
    for bound, theirs in zip([*found[:4], *found[5:9]], expected, strict=True):
        torch.testing.assert_close(bound, torch.tensor(theirs), rtol=0, atol=2e-3)
    above = replace(repair, sides="above").bounds(voters(), lit(), device="cpu", steps=STEPS)
    assert (found[0] - above[0]).abs().max() > 0.05  # they learn together


def test_ndsbm_starts_both_runs_afresh_where_the_authors_goes_on_from_the_first() -> None:
    """Their clamped run begins in the state that the unclamped one has left."""
    pytest.importorskip("spikingjelly")
    view, twice = sb.view(voters()), torch.cat([sequence(), sequence()])
    potential = view.potentials(twice)[1]
    first, second = potential[:STEPS].mean(dim=0), potential[STEPS:].mean(dim=0)
    apart = (second - first).square().mean().item()
    assert apart == pytest.approx(given("ndsbm")["unclamped"], rel=1e-5)
    fresh = view.potentials(sequence())[1].mean(dim=0)
    torch.testing.assert_close(fresh, first)


@pytest.mark.parametrize("target", [0, 1])
def test_ndsbm_answers_a_class_again_as_the_authors_code_does_but_for_ties(
    target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of classes that share the most votes the first is theirs; here that is no answer."""
    pytest.importorskip("spikingjelly")
    monkeypatch.setattr(PotentialClamps, "_learnt", lambda self, bench: bounds())
    repair = PotentialClamps(suspected=target)
    repaired = repair.repair(voters(), lit(), device="cpu", steps=STEPS)
    with torch.no_grad():
        before, after = voters()(sequence()), repaired(sequence())
    alone = (before.topk(2).values.diff() < -1e-6)[:, 0]
    expected = torch.tensor(given("ndsbm")["answers"][str(target)])
    assert (~alone).any()
    assert (expected != before.argmax(dim=1))[alone].any()
    assert after.argmax(dim=1)[alone].tolist() == expected[alone].tolist()
    torch.testing.assert_close(after[~alone], before[~alone])


def test_fine_pruning_takes_the_authors_channels_and_leaves_what_theirs_leaves(clean: Any) -> None:
    """Their network has no batch norm, so that a channel without weights is silent."""
    repair, given_once = FinePruning(share=0.8, epochs=0), {"steps": 1, "device": "cpu"}
    choice = repair.choose(adapted(nn.Identity), clean, **given_once)
    order = choice.scores[-1].argsort(stable=True)
    assert order.tolist() == given("fine-pruning")["order"]
    silenced = (~choice.keep[-1]).nonzero()[:, 0]
    assert sorted(order[:9].tolist()) == silenced.tolist()
    repaired = repair.repair(adapted(nn.Identity), clean, **given_once)
    with torch.no_grad():
        logits = repaired(images()[0][None, :3])
    torch.testing.assert_close(
        logits, torch.tensor(given("fine-pruning")["logits"]), rtol=1e-4, atol=1e-4
    )


def test_fine_pruning_ranks_before_pooling_where_the_authors_code_ranks_after_it(
    clean: Any,
) -> None:
    """The means of places and of the largest of each four put some channels in another order."""
    repair = FinePruning(share=0.8)
    choice = repair.choose(adapted(nn.Identity), clean, steps=1, device="cpu")
    behind = given("fine-pruning")["order behind pooling"]
    assert choice.scores[-1].argsort(stable=True).tolist() != behind


def test_fine_pruning_looks_at_the_last_hidden_layer_where_the_authors_take_a_convolution() -> None:
    pytest.importorskip("spikingjelly")
    choice = FinePruning(share=0.5).choose(voters(), lit(), steps=STEPS, device="cpu")
    assert [int((~keep).sum()) for keep in choice.keep] == [0, 0, 0, 0, 6]  # of the dense layer


def test_noise_response_gives_a_class_the_share_that_the_authors_code_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here noise is uniform and every answer counts; there it is normal, and those that are
    confident count of the answers that noise has changed.
    """
    drawn_otherwise, shape = torch.rand, (50, *SHAPE)
    noise = torch.from_numpy(np.random.RandomState(0).standard_normal(shape)).float()

    def drawn_so(*size: Any, **settings: Any) -> Tensor:
        return noise if size == (shape,) else drawn_otherwise(*size, **settings)

    monkeypatch.setattr("torch.rand", drawn_so)
    levels = tuple(float(level) for level in given("noise-response")["changed"])
    shares = NoiseResponse(levels=levels, inputs=50).shares(adapted(), steps=1, device="cpu")
    changed = torch.tensor(list(given("noise-response")["changed"].values()))
    torch.testing.assert_close(shares, 1 - changed / 50)
    assert all(
        confident < among
        for confident, among in zip(
            given("noise-response")["confident"], changed[:, 0].tolist(), strict=True
        )
    )
