"""Detectors: their statistics by other means, what they find where they must, what they refuse."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import TensorDataset

import snnbd_core as sb
from snnbd_core.defenses.bench import frozen
from snnbd_core.defenses.detectors import (
    ActivationClustering,
    Beatrix,
    BrainStimulation,
    HyperParameters,
    NeuralCleanse,
    NoiseResponse,
    PotentialMargins,
    SpectralSignatures,
    Spectre,
    Strip,
    Verdict,
    Voltage,
    card,
    features,
    pooled_scores,
    roc,
)
from snnbd_core.defenses.detectors.features import sharpness
from snnbd_core.defenses.detectors.neural_cleanse import anomaly
from snnbd_core.defenses.detectors.patches import groups, stamped
from snnbd_core.defenses.detectors.stimulation import Candidate, currents, responses
from snnbd_core.defenses.detectors.strip import entropy
from snnbd_core.defenses.detectors.tmpbd import gamma_p_value
from snnbd_core.defenses.detectors.training_set import outlying
from snnbd_core.defenses.detectors.voltage import distances
from snnbd_core.metrics.margins import ascended, margins, per_class
from snnbd_core.networks.layers import Folded
from snnbd_core.poisoning import Triggered
from snnbd_core.triggers import Patch
from snnbd_core.view import NotVisible, View

CPU = torch.device("cpu")
PATCH = Patch(size=0.25)


def inspect(detector, victim, **settings):
    given = {"seed": 0, "device": CPU, "steps": victim.steps} | settings
    return detector.inspect(victim.net, victim.clean, **given)


def test_the_anomaly_index_is_the_distance_in_robust_deviations():
    sizes = [2.0, 10.0, 11.0, 12.0, 13.0]
    index, target = anomaly(sizes)
    spread = stats.median_abs_deviation(sizes, scale="normal")
    assert target == 0
    assert index == pytest.approx((11 - 2) / spread, rel=1e-4)
    assert anomaly([5.0, 5.0, 5.0]) == (0.0, 0)


@pytest.mark.parametrize("masks", [1, 4, 5])
def test_searches_of_which_half_failed_are_no_detection(masks):
    """The median and the deviation are then those of failures."""
    sizes = [900.0, 1000.0, 1010.0, 1020.0, 1100.0][:masks] + [1156.0] * (10 - masks)
    assert anomaly(sizes, full=1156) == (0.0, 0)
    assert anomaly([900.0] + [1156.0] * 9) == (0.0, 0)


def test_an_index_of_searches_of_which_few_failed_is_as_it_was():
    sizes = [2.4, 16.5, 12.1, 17.0, 16.6, 12.9, 20.3, 64.0, 21.0, 21.1]
    spread = stats.median_abs_deviation(sizes, scale="normal")
    assert anomaly(sizes, full=64)[0] == pytest.approx((16.8 - 2.4) / spread, rel=1e-4)


def test_the_published_index_is_infinite_where_all_other_searches_fail():
    assert anomaly([900.0] + [1156.0] * 9, full=1156, published=True) == (np.inf, 0)
    assert anomaly([5.0, 5.0, 5.0], published=True) == (0.0, 0)
    sizes = [2.4, 16.5, 12.1, 17.0, 16.6, 12.9, 20.3, 64.0, 21.0, 21.1]
    assert anomaly(sizes, full=64, published=True) == anomaly(sizes, full=64)
    assert anomaly([1.0, 4.0, 6.0, 9.0], published=True)[0] == pytest.approx(4 / 2.5 / 1.4826)


def test_independent_components_part_a_cluster_that_principal_ones_do_not_show():
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(200, 6)) * [20, 20, 1, 0.05, 0.05, 0.05]
    rows[:20, 2] += 12  # narrow beside two wide directions
    scores = {
        kind: ActivationClustering(components=3, reduction=kind)._judged(rows, 0)
        for kind in ("principal", "independent")
    }
    areas = {kind: roc(some[20:], some[:20]).area for kind, some in scores.items()}
    assert areas["independent"] > areas["principal"]
    flat = np.ones((20, 4)) * np.arange(20)[:, None]  # of one dimension
    assert np.isfinite(ActivationClustering(reduction="independent")._judged(flat, 0)).all()


@pytest.mark.parametrize("first", [[0.5] * 6, [0, 0, 0.25, -0.25, 0, 0]])
def test_independent_components_are_found_beside_a_first_neuron_without_part_in_them(first):
    rows = np.c_[first, [9, 9, 0, 0, 0, 0], np.zeros(6)]
    scores = ActivationClustering(components=1, reduction="independent")._judged(rows, 0)
    assert scores.tolist() == pytest.approx([2 / 3] * 2 + [1 / 3] * 4)


def test_a_network_that_no_patch_moves_is_not_accused(spiking):
    with sb.override(spiking.net, threshold=1e6):
        verdict = inspect(NeuralCleanse(iterations=2), spiking)
    assert verdict == Verdict(False, 0, 0.0, 2.0, values=(64.0,) * 10)


@pytest.mark.parametrize(
    ("detector", "classes", "least"),
    [
        (NeuralCleanse(iterations=1), 2, 3),
        (PotentialMargins(iterations=1), 2, 3),
        (BrainStimulation(iterations=1), 1, 2),
        (NoiseResponse(), 1, 2),
        (Strip(), 1, 2),
    ],
)
def test_statistics_that_compare_classes_need_enough_of_them(detector, classes, least):
    net = sb.networks.build("quick-conv", (1, 8, 8), classes, seed=0)
    data = [(torch.rand(1, 8, 8), number % classes) for number in range(8)]
    given = {"seed": 0, "device": CPU, "steps": 4}
    with pytest.raises(ValueError, match=f"classes={classes}: .* needs at least {least}"):
        if hasattr(detector, "inspect"):
            detector.inspect(net, data, **given)
        else:
            detector.score(net, data, data, **given)


def test_three_classes_are_enough_for_an_index_and_a_p_value():
    assert anomaly([1.0, 5.0, 6.0])[0] == pytest.approx(4 / 1.4826, rel=1e-4)
    assert gamma_p_value([0.0, 1.0, 5.0]) == pytest.approx(0.0756, abs=1e-4)


def test_margins_that_no_distribution_fits_are_refused_and_equal_ones_accuse_nobody():
    assert gamma_p_value([1.0] * 10) == 1.0
    assert gamma_p_value([0.0] * 10) == 1.0
    for values in ([1.0] * 9 + [2.0], [2.0, 2.0 + 1e-9, 9.0], [0.0, 1.0]):
        with pytest.raises(ValueError, match=r"margins=.* allow no distribution"):
            gamma_p_value(values)


def test_clean_samples_without_a_spread_have_no_mahalanobis_distance():
    rows = np.random.default_rng(0).normal(size=(4, 3))
    for known, answers in ((rows, np.arange(4)), (np.ones((4, 3)), np.zeros(4, dtype=int))):
        with pytest.raises(ValueError, match="none of 4 differs from another with the same answer"):
            distances(known, answers, rows, answers)


def test_samples_of_one_class_alone_cannot_show_that_a_patch_leads_to_it(spiking):
    with pytest.raises(ValueError, match="samples=1: all that are drawn are of a suspected"):
        inspect(BrainStimulation(samples=1, candidates=200, iterations=1), spiking)


class Summed(nn.Module):
    """Two spiking outputs, read out as a rate, as a count, or through a linear layer."""

    def __init__(self, readout):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(2), nn.Linear(4, 2), sb.LIF())
        self.last = nn.Linear(2, 2, bias=False) if readout == "linear" else nn.Identity()
        self.readout = readout
        for weight in self.parameters():
            nn.init.constant_(weight, 10.0)

    def forward(self, sequence):
        spikes = self.last(self.net(sequence))
        return spikes.sum(0) if self.readout == "count" else spikes.mean(0)


@pytest.mark.parametrize(("readout", "expected"), [("rate", 10), ("count", 2.5), ("linear", 0.5)])
def test_before_a_softmax_logits_are_brought_to_the_scale_of_votes(readout, expected):
    """All neurons fire in all of four steps."""
    sequence = torch.ones(4, 3, 1, 2, 2)
    assert sharpness(View(Summed(readout), sequence), sequence) == expected


def test_votes_of_relu_are_taken_as_votes(twin):
    sequence = 100 * torch.rand(1, 3, 1, 8, 8)
    assert bool((View(twin.net)(sequence) > 1).any())
    assert sharpness(View(twin.net), sequence) == 10


def test_voters_are_as_many_as_there_are():
    potentials = torch.tensor([[1.0, 3.0, 5.0, 9.0]])
    assert per_class(potentials, 2).tolist() == [[2.0, 7.0]]
    assert per_class(potentials.numpy(), 4).tolist() == [[1.0, 3.0, 5.0, 9.0]]
    with pytest.raises(ValueError, match="4 neurons for 3 classes"):
        per_class(potentials, 3)


def test_neural_cleanse_finds_the_patch_in_the_ann_twin_and_in_spikes(twin, spiking):
    """Over seeds 0..5 the target's mask is 0.25 to 0.58 of the next in size, in both."""
    for victim in (twin, spiking):
        verdict = inspect(NeuralCleanse(), victim)
        assert verdict.target == 0
        assert verdict.values[0] < 0.75 * min(verdict.values[1:])


def blocks():
    """A network whose class k is lit by its own block of 12 + k pixels, and images of blocks."""
    net = sb.networks.Network(
        [Folded(nn.Flatten()), Folded(nn.Linear(169, 100))], (1, 13, 13), 10
    ).eval()
    readout = net.layers[1][0]
    readout.weight.data.zero_()
    readout.bias.data.zero_()
    pixels, start = np.zeros((20, 169), dtype=np.uint8), 0
    for label, size in enumerate(range(12, 22)):
        own = slice(start, start := start + size)
        readout.weight.data[10 * label : 10 * label + 10, own] = 1 / size
        pixels[label::10, own] = 128
    images = pixels.reshape(20, 1, 13, 13)
    names = tuple("0123456789")
    return net, sb.data.ImageDataset("blocks", "test", images, np.arange(20) % 10, names, white=255)


@pytest.mark.parametrize("seed", range(5))
def test_neural_cleanse_accuses_a_class_of_one_pixel_and_no_class_of_a_clean_network(seed):
    """All others take 12 to 21 pixels. The index is 0.9 to 1.7 without it, 3.3 or more with it."""
    net, images = blocks()
    clean = NeuralCleanse().inspect(net, images, seed=seed, device=CPU, steps=1)
    assert not clean.backdoored
    net.layers[1][0].weight.data[30:40, 168] = 3.0  # a pixel of no block shouts "3"
    attacked = NeuralCleanse().inspect(net, images, seed=seed, device=CPU, steps=1)
    assert attacked.backdoored
    assert attacked.target == 3
    assert attacked.values[3] < 1 < min(np.delete(attacked.values, 3))


def test_stimulation_finds_the_channel_that_speaks_for_a_class(innocent):
    """Its lead is 0.85 to 0.86 over seeds 0..4, that of any other channel 0.05 or less."""
    net = copy.deepcopy(innocent.net)
    dense, readout = (layer for layer in net.modules() if isinstance(layer, nn.Linear))
    dense.weight.data[5] = dense.bias.data[5] = 0.0  # unit 5 of the hidden layer is silent
    readout.weight.data[:, 5] = 0.0
    readout.weight.data[70:80, 5] = 4.0  # and shouts "7" when it is driven
    images, _ = innocent.clean.batch(np.arange(20))
    with frozen(net, innocent.clean, device=CPU, steps=4) as bench:
        largest = bench.rates(innocent.clean, largest=True)
        found = BrainStimulation().suspects(bench.view, bench.sequence(images), largest)
    assert (found[0].layer, found[0].channel, found[0].target) == (1, 5, 7)
    assert found[0].lead > 0.5 > 2 * found[1].lead


def test_votes_of_a_driven_channel_are_a_line_in_an_ann_and_a_step_in_spikes(twin, spiking):
    """Without other weights and biases than those of the channel the read-out is known."""
    for victim in (twin, spiking):
        net = copy.deepcopy(victim.net)
        readout = [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1]
        readout.weight.data.zero_()
        readout.bias.data.zero_()
        readout.weight.data[70:80, 5] = 1.5  # unit 5 of the hidden layer says "7"
        batch, _ = victim.clean.batch(np.arange(6))
        largest = torch.full((128,), 2.0)
        with frozen(net, victim.clean, device=CPU, steps=victim.steps) as bench:
            sequence = bench.sequence(batch)
            votes = responses(bench.view, sequence, largest, 1, 5, [0.25, 1.0, 3.0])
        expected = torch.zeros(3, 10)
        line, step = torch.tensor([0.75, 3.0, 9.0]), torch.tensor([0.0, 1.0, 1.0])
        expected[:, 7] = line if victim is twin else step
        torch.testing.assert_close(votes, expected)


def test_the_curve_is_that_of_the_classes_best_suspect_and_leaves_the_network(twin):
    before = copy.deepcopy(twin.net.state_dict())
    given = {"seed": 0, "device": CPU, "steps": 1}
    every = BrainStimulation(candidates=200)
    rows = np.random.default_rng(0).permutation(len(twin.clean))[:32]
    batch = twin.clean.batch(rows)[0][None]
    with frozen(twin.net, twin.clean, device=CPU, steps=1) as bench:
        largest = bench.rates(twin.clean, largest=True)
        found = every.suspects(bench.view, batch, largest)
        plain = twin.net(batch).mean(dim=0)
    for target in {one.target for one in found}:
        best, votes = every.curve(twin.net, twin.clean, target, every.levels, **given)
        assert best == next(one for one in found if one.target == target)
        raised = (votes.amax(dim=0) - plain).topk(2)
        assert int(raised.indices[0]) == target
        assert float(raised.values[0] - raised.values[1]) == pytest.approx(best.lead, abs=1e-6)
    missing = ({*range(10)} - {one.target for one in found} or {10}).pop()
    assert every.curve(twin.net, twin.clean, missing, [1.0], **given)[0] == found[0]
    assert all(torch.equal(before[k], v) for k, v in twin.net.state_dict().items())
    assert not any(layer._forward_pre_hooks for layer in twin.net.modules())
    with pytest.raises(ValueError, match="is empty"):
        every.curve(twin.net, None, 0, [1.0], **given)


def test_stimulation_names_the_target_of_an_attacked_network(twin):
    verdict = inspect(BrainStimulation(), twin)
    assert len(verdict.values) == 10
    assert verdict.score == max(verdict.values)
    assert verdict.target == int(np.argmax(verdict.values))
    again = inspect(BrainStimulation(), twin)
    assert again == verdict
    assert not any(layer._forward_pre_hooks for layer in twin.net.modules())


def test_side_by_side_each_patch_is_found_as_it_is_alone(twin):
    batch, _ = twin.clean.batch(np.arange(12))
    cleanse = NeuralCleanse(iterations=40)
    with frozen(twin.net, twin.clean, device=CPU, steps=1):
        torch.manual_seed(3)
        masks, patterns = cleanse.search(twin.net, batch, range(3), 1)
        for target in range(3):
            torch.manual_seed(3)
            for _ in range(target):  # the patterns begin where draws one after the other put them
                torch.randn(batch.shape[1:])
            mask, pattern = cleanse.search(twin.net, batch, [target], 1)
            torch.testing.assert_close(masks[target], mask[0], rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(patterns[target], pattern[0], rtol=1e-3, atol=1e-3)
    assert all(mask.sum() < 40 for mask in masks)  # of 64 pixels: all three were found


def test_a_patch_replaces_what_its_mask_covers_in_every_frame():
    batch, masks = torch.rand(5, 3, 2, 4, 4), torch.zeros(2, 4, 4)
    masks[1, 0, 0] = 0.25
    patterns = torch.rand(2, 2, 4, 4)
    out = stamped(batch, masks, patterns).view(2, *batch.shape)
    assert torch.equal(out[0], batch)
    blended = 0.75 * batch[:, :, :, 0, 0] + 0.25 * patterns[1, :, 0, 0]
    torch.testing.assert_close(out[1, :, :, :, 0, 0], blended)
    assert torch.equal(out[1, ..., 1:, :], batch[..., 1:, :])


def test_patches_run_together_as_far_as_their_frames_allow():
    images, frames = torch.zeros(32, 1, 8, 8), torch.zeros(32, 8, 2, 34, 34)
    assert list(groups(10, images, 4)) == [slice(0, 10)]
    assert list(groups(10, frames, 4)) == [slice(0, 5), slice(5, 10)]
    assert list(groups(2, torch.zeros(999, 8, 2, 1, 1), 4)) == [slice(0, 1), slice(1, 2)]


def test_a_stimulated_channels_current_is_read_from_the_samples_of_its_patch(spiking):
    images, _ = spiking.clean.batch(np.arange(6))
    found = [Candidate(1, 7, 0, 0.0), Candidate(0, 3, 1, 0.0), Candidate(1, 2, 4, 0.0)]
    inputs, net = {}, copy.deepcopy(spiking.net)
    with (
        frozen(net, spiking.clean, device=CPU, steps=4) as bench,
        currents(bench.view, found) as read,
    ):
        for number, layer in enumerate(bench.view.hidden):
            layer.module.register_forward_pre_hook(
                lambda _, given, number=number: inputs.update({number: given[0]})
            )
        bench(images)
        of_patches = read()
    for row, one in enumerate(found):
        mine = inputs[one.layer][:, 2 * row : 2 * row + 2, one.channel]
        expected = mine.transpose(0, 1).flatten(1).mean(dim=1)
        torch.testing.assert_close(of_patches[row], expected)


def test_strip_tells_inputs_with_a_patch_in_the_ann_twin_and_in_spikes(twin, spiking):
    """The area is 0.999 or more over seeds 0..5."""
    for victim in (twin, spiking):
        some = victim.test.subset(np.arange(100))
        given = {"seed": 0, "device": CPU, "steps": victim.steps}
        clean, patched = (
            Strip().score(victim.net, data, victim.clean, **given)
            for data in (some, Triggered(some, PATCH))
        )
        assert roc(clean, patched).area > 0.95
    mixed = Strip()._mixed(torch.tensor(0.75).view(1, 1, 1, 1), torch.full((2, 1, 1, 1), 0.5))
    assert mixed.flatten().tolist() == [1.0, 1.0]


def test_potentials_that_overflow_are_an_error_and_no_acquittal(spiking, monkeypatch):
    margins = [1.0] * 9 + [float("nan")]
    monkeypatch.setattr(PotentialMargins, "_largest", lambda *given: margins)
    with pytest.raises(ValueError, match=r"margins=.* are not all finite"):
        inspect(PotentialMargins(), spiking)


def test_the_p_value_is_that_of_a_fitted_gamma_distribution():
    values = [*np.random.default_rng(0).gamma(3.0, 2.0, 9), 40.0]
    rest = sorted(values)[:-1]
    shape, _, scale = stats.gamma.fit(np.asarray(rest) + 1e-9, floc=0)
    expected = 1 - stats.gamma.cdf(40.0 + 1e-9, shape, scale=scale) ** 10
    assert gamma_p_value(values) == pytest.approx(expected, abs=1e-9)
    assert gamma_p_value(values) < 0.01
    assert gamma_p_value([*rest, max(rest)]) > 0.05


def test_margins_are_of_the_pooled_potentials_of_the_read_out(spiking):
    batch, _ = spiking.clean.batch(np.arange(6))
    sequence = batch.expand(4, *batch.shape)
    layers = list(spiking.net.layers)
    with torch.no_grad():
        current = sequence
        for layer in layers[:-1]:
            current = layer(current)
        _, potential = layers[-1](current, return_potential=True)
        pooled = potential.mean(dim=0).reshape(6, 10, 10).mean(dim=2)
        found = margins(View(spiking.net), sequence, 2)
    best = torch.cat((pooled[:, :2], pooled[:, 3:]), dim=1).max(dim=1).values
    torch.testing.assert_close(found, pooled[:, 2] - best)


def test_in_one_batch_each_class_climbs_as_it_does_alone(spiking):
    detector = PotentialMargins(high=1.0, frames=4, iterations=3, inputs=2)
    found = inspect(detector, spiking).values
    for target in (0, 4, 9):
        draw = torch.Generator().manual_seed(target)  # of seed 0
        inputs = torch.rand((2, 4, *spiking.net.input_shape), generator=draw)
        alone = []
        for _ in range(3):
            margin, inputs = ascended(View(spiking.net), inputs, target, 1.0, 1.0)
            alone.append(float(margin.max()))
        assert found[target] == pytest.approx(max(alone), rel=1e-4)


def test_potential_margins_repeat_and_leave_the_network(spiking):
    before = copy.deepcopy(spiking.net.state_dict())
    detector = PotentialMargins(high=1.0, frames=4, iterations=5)
    one, two = inspect(detector, spiking), inspect(detector, spiking)
    assert one == two
    assert len(one.values) == 10
    assert all(torch.equal(before[k], v) for k, v in spiking.net.state_dict().items())
    assert all(weight.requires_grad for weight in spiking.net.parameters())


def test_noise_goes_to_the_target_of_an_attacked_network_only(spiking, innocent):
    """Over seeds 0..5 the score is 0.97 or more with the attack, 0.77 or less without it."""
    attacked, clean = (inspect(NoiseResponse(frames=4), one) for one in (spiking, innocent))
    assert attacked.score > clean.score
    assert attacked.target == 0


def test_shares_of_noise_are_counted_level_by_level(twin):
    """A read-out of nothing but biases gives all noise to one class; two equal ones, to none."""
    net = copy.deepcopy(twin.net)
    readout = [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1]
    readout.weight.data.zero_()
    readout.bias.data.zero_()
    readout.bias.data[30:40] = 1.0
    judge = NoiseResponse(levels=(0.5, 1.0, 4.0), inputs=8, frames=1)
    expected = torch.zeros(3, 10)
    expected[:, 3] = 1.0
    assert torch.equal(judge.shares(net, seed=0, device=CPU), expected)
    readout.bias.data[60:70] = 1.0
    assert not judge.shares(net, seed=0, device=CPU).any()


@pytest.mark.parametrize("samples", ["images", "nothing"])
@pytest.mark.parametrize("judge", [NoiseResponse(inputs=40), PotentialMargins(iterations=2)])
def test_a_network_of_images_is_shown_one_image_in_all_steps(judge, samples, spiking):
    seen = []
    hook = spiking.net.register_forward_pre_hook(lambda net, given: seen.append(given[0]))
    clean = spiking.clean if samples == "images" else None
    judge.inspect(spiking.net, clean, device=CPU, steps=4)
    hook.remove()
    seen = [sequence for sequence in seen if sequence.shape[1] == 40]
    assert len(seen) == (4 if isinstance(judge, NoiseResponse) else 2)
    for sequence in seen:
        assert len(sequence) == 4
        assert torch.equal(sequence, sequence[:1].expand_as(sequence))
        assert sequence[0].std() > 0.05


def test_the_verdict_on_noise_is_the_largest_share(spiking):
    judge = NoiseResponse(frames=4)
    shares = judge.shares(spiking.net, seed=0, device=CPU)
    assert inspect(judge, spiking).values == tuple(shares.amax(dim=0).tolist())
    assert (shares.sum(dim=1) <= 1 + 1e-6).all()


def test_a_silent_network_has_no_favourite_class(spiking):
    with sb.override(spiking.net, threshold=1e6):
        verdict = inspect(NoiseResponse(frames=4), spiking)
    assert verdict.score == 0
    assert not verdict.backdoored


def test_entropy_of_equal_votes_is_that_of_all_classes():
    assert float(entropy(torch.full((1, 10), 3.0))[0]) == pytest.approx(np.log(10))
    assert float(entropy(torch.tensor([[100.0, 0.0]]))[0]) == pytest.approx(0, abs=1e-6)


def test_inputs_with_the_trigger_score_higher(spiking):
    """Over seeds 0..5 the area is 0.99 or more for STRIP, 0.69 to 0.84 for voltages."""
    rows = np.flatnonzero(np.asarray(spiking.test.labels) != 0)[:60]
    others = spiking.test.subset(rows)
    for judge in (Strip(overlays=5), Voltage()):
        plain, lit = (
            judge.score(spiking.net, data, spiking.clean, seed=0, device=CPU, steps=4)
            for data in (others, Triggered(others, PATCH))
        )
        assert roc(plain, lit).area > (0.9 if isinstance(judge, Strip) else 0.55)


def test_voltage_distances_are_mahalanobis():
    draw = np.random.default_rng(0)
    known = draw.normal(size=(4000, 3)) * [1.0, 2.0, 3.0]
    answers = np.zeros(4000, dtype=int)
    asked = np.array([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 6.0]])
    found = distances(known, answers, asked, np.zeros(3, dtype=int))
    np.testing.assert_allclose(found, [1, 1, 2], rtol=0.08)


def test_spectral_scores_are_projections_on_the_first_direction():
    rows = np.random.default_rng(0).normal(size=(30, 5))
    centred = rows - rows.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    expected = (centred @ vectors[:, values.argmax()]) ** 2
    np.testing.assert_allclose(outlying(rows), expected)


def test_clusters_are_those_of_two_clouds_in_the_direction_between_them():
    draw = np.random.default_rng(0)
    far = np.arange(30) >= 24
    rows = draw.normal(scale=0.1, size=(30, 6)) + 5.0 * far[:, None] * np.eye(6)[2]
    places, side = ActivationClustering(components=3).clusters(rows, seed=0)
    assert places.shape == (30, 3)
    assert len(set(side[far])) == len(set(side[~far])) == 1 and side[0] != side[-1]
    between = places[far, 0].mean() - places[~far, 0].mean()
    assert abs(between) == pytest.approx(5.0, abs=0.3)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-12)


def test_training_set_detectors_find_a_minority_of_poisoned_samples(spiking):
    """The areas are 0.96 or more over seeds 0..5."""
    train, _ = sb.data.load("digits", seed=0)
    data = sb.poison(train, PATCH, rate=0.02, target=0, generator=np.random.default_rng(0))
    poisoned = np.isin(np.arange(len(data)), data.poisoned_indices)
    target = np.asarray(data.labels) == 0
    for judge in (SpectralSignatures(), ActivationClustering(), Spectre()):
        found = judge.score(spiking.net, data, seed=0, device=CPU, steps=4)
        curve = roc(found[target & ~poisoned], found[target & poisoned])
        assert curve.area > 0.8


def test_features_are_the_networks_own_votes(spiking):
    found = features(spiking.net, spiking.clean, device=CPU, steps=4)
    batch, _ = spiking.clean.batch(np.arange(len(spiking.clean)))
    with torch.no_grad():
        votes = spiking.net(batch.expand(4, *batch.shape))
    np.testing.assert_allclose(found.votes, votes.numpy(), rtol=1e-6)
    assert found.hidden.shape == (len(batch), 128)
    assert found.potentials.shape == (len(batch), 100)


def test_a_changed_threshold_is_seen_against_the_card(spiking):
    published = card(spiking.net)
    assert not HyperParameters(expected=published).inspect(spiking.net).backdoored
    with sb.override(spiking.net, threshold=1.2):
        verdict = HyperParameters(expected=published).inspect(spiking.net)
    assert verdict.backdoored
    assert verdict.score == pytest.approx(0.2)
    assert not HyperParameters().inspect(spiking.net).backdoored


def test_areas_are_those_of_scikit_learn_and_the_interval_is_hanley_and_mcneils():
    draw = np.random.default_rng(0)
    clean, attacked = draw.normal(size=40), draw.normal(1.0, size=50)
    curve = roc(clean, attacked)
    truth = np.r_[np.zeros(40), np.ones(50)]
    assert curve.area == pytest.approx(roc_auc_score(truth, np.r_[clean, attacked]))
    a = curve.area
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + 49 * (q1 - a * a) + 39 * (q2 - a * a)) / (40 * 50))
    assert curve.interval[0] == pytest.approx(a - 1.96 * error)
    with pytest.raises(ValueError, match="0 clean"):
        roc([], [1.0])


def test_scores_of_reports_are_joined_in_their_order():
    found = [
        {"clean_scores": [0.0, 1.0], "attacked_scores": [5.0]},
        {"clean_scores": [2.0], "attacked_scores": [4.0, 3.0]},
    ]
    clean, attacked = pooled_scores(found)
    assert (clean.tolist(), attacked.tolist()) == ([0.0, 1.0, 2.0], [5.0, 4.0, 3.0])


def with_nan(net):
    out = copy.deepcopy(net)
    out.layers[0][0].weight.data[0, 0, 0, 0] = float("nan")
    return out


def with_broken_buffer(net):
    out = copy.deepcopy(net)
    out.layers[0][1].running_mean[0] = float("nan")
    return out


@pytest.mark.parametrize(
    "detector",
    [
        NeuralCleanse(iterations=5),
        BrainStimulation(iterations=5),
        PotentialMargins(high=1.0, frames=4, iterations=5),
        NoiseResponse(frames=4),
        HyperParameters(),
    ],
)
def test_an_untrained_network_is_accused_of_nothing_and_gets_finite_scores(detector, spiking):
    """Its answers are silent or tied: they are no class's, and not those of class 0."""
    net = sb.networks.build("quick-conv", (1, 8, 8), 10, seed=0)
    verdict = inspect(detector, replace(spiking, net=net))
    assert not verdict.backdoored
    assert np.isfinite(verdict.score)
    assert np.isfinite(verdict.values).all()


def test_silence_reaches_no_class(spiking):
    images, _ = spiking.clean.batch(np.arange(8))
    given = {"device": CPU, "steps": 4}
    with sb.override(spiking.net, threshold=1e6), frozen(spiking.net, None, **given):
        masks, _ = NeuralCleanse(iterations=5).search(spiking.net, images, range(2), 4)
    assert torch.equal(masks, torch.ones(2, 8, 8))  # nothing smaller was found


@pytest.mark.parametrize(
    "detector", [NeuralCleanse(), BrainStimulation(), Beatrix(), Strip(), Voltage()]
)
def test_samples_that_no_detector_can_work_with_are_named(detector, spiking):
    def asked(victim, data=spiking.test):
        if hasattr(detector, "inspect"):
            return inspect(detector, victim)
        given = {"seed": 0, "device": CPU, "steps": 4}
        return detector.score(victim.net, data, victim.clean, **given)

    labels = np.asarray(spiking.clean.labels)
    other = sb.data.load("digits-events", seed=0, frames=4)[1]
    rows = [int(np.flatnonzero(np.asarray(other.labels) == label)[0]) for label in range(10)]
    larger = other.subset(np.array(rows))
    for clean, message in (
        (None, "is empty"),
        (spiking.clean.subset(np.arange(0)), "is empty"),
        (spiking.clean.subset(np.flatnonzero(labels != 3)), "none of class 3"),
        (larger, "the network reads"),
    ):
        with pytest.raises(ValueError, match=message):
            asked(replace(spiking, clean=clean))
    with pytest.raises(ValueError, match="not finite"):
        asked(replace(spiking, net=with_nan(spiking.net)))
    if hasattr(detector, "score"):
        with pytest.raises(ValueError, match=r"34, 34"):
            asked(spiking, larger)


@pytest.mark.parametrize("detector", [Beatrix(), Strip(), Voltage()])
@pytest.mark.parametrize(
    ("given", "clean", "words"),
    [
        (6, 4, r"data holds frames, T=6, \[1, 8, 8\], clean_samples frames, T=4, \[1, 8, 8\]"),
        (None, 4, r"data holds image, \[1, 8, 8\], clean_samples frames, T=4, \[1, 8, 8\]"),
        (4, None, r"data holds frames, T=4, \[1, 8, 8\], clean_samples image, \[1, 8, 8\]"),
    ],
)
def test_inputs_of_another_kind_or_length_than_the_clean_samples_are_named(
    detector, given, clean, words, spiking
):
    images, labels = spiking.clean.batch(np.arange(len(spiking.clean)))

    def samples(steps):
        frames = images if steps is None else images[:, None].repeat(1, steps, 1, 1, 1)
        return TensorDataset(frames, labels)

    with pytest.raises(ValueError, match=words):
        detector.score(spiking.net, samples(given), samples(clean), device=CPU)
    assert len(detector.score(spiking.net, samples(clean), samples(clean), device=CPU)) == 100


def test_networks_that_no_detector_can_work_with_are_named(spiking, twin):
    for detector in (PotentialMargins(), NoiseResponse()):
        with pytest.raises(ValueError, match="not finite"):
            inspect(detector, replace(spiking, net=with_nan(spiking.net)))
        with pytest.raises(ValueError, match="running_mean are not finite"):
            inspect(detector, replace(spiking, net=with_broken_buffer(spiking.net)))
    given = {"seed": 0, "device": CPU, "steps": 1}
    for asked in (
        lambda: inspect(PotentialMargins(), twin),
        lambda: Voltage().score(twin.net, twin.test, twin.clean, **given),
        lambda: Beatrix(of="potentials").score(twin.net, twin.test, twin.clean, **given),
        lambda: Spectre(of="potentials").score(twin.net, twin.test, **given),
    ):
        with pytest.raises(NotVisible, match="does not show a membrane potential"):
            asked()
    with pytest.raises(ValueError, match="not finite"):
        Spectre().score(with_nan(spiking.net), spiking.test, **given)
    with pytest.raises(NotVisible, match="does not show a threshold"):
        card(twin.net)
    with pytest.raises(ValueError, match="static images have none"):
        Strip(along="time").score(
            spiking.net, spiking.test, spiking.clean, seed=0, device=CPU, steps=4
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NeuralCleanse(iterations=0), "iterations=0"),
        (lambda: NeuralCleanse(weight=0), "weight=0"),
        (lambda: BrainStimulation(size=1.0), r"size=1\.0"),
        (lambda: BrainStimulation(levels=(0,)), "levels=0"),
        (lambda: Strip(overlays=0), "overlays=0"),
        (lambda: Strip(along="depth"), "along='depth'"),
        (lambda: Beatrix(of="spikes"), "of='spikes' is unknown; allowed: rates, potentials"),
        (lambda: Beatrix(orders=0), "orders=0"),
        (lambda: Beatrix(width=0), "width=0"),
        (lambda: Beatrix(channels=0), "channels=0"),
        (lambda: Spectre(of="spikes"), "of='spikes' is unknown; allowed: rates, potentials"),
        (lambda: Spectre(components=0), "components=0"),
        (lambda: Spectre(share=0), r"share=0 must be a number in \(0, 0\.5\)"),
        (lambda: Spectre(share=0.5), r"share=0\.5 must be a number in \(0, 0\.5\)"),
        (lambda: PotentialMargins(inputs=0), "inputs=0"),
        (lambda: NoiseResponse(levels=(0.0,)), r"levels=0\.0"),
        (lambda: ActivationClustering(components=0), "components=0"),
        (lambda: HyperParameters(tolerance=2), "tolerance=2"),
    ],
)
def test_settings_outside_what_is_allowed_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
