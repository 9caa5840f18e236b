"""Beatrix: Gram matrices and deviations by hand, what scale does to them, a patch that is found."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import snnbd_core as sb
from snnbd_core.defenses.bench import frozen
from snnbd_core.defenses.detectors import Beatrix, features, roc
from snnbd_core.defenses.detectors.beatrix import deviations, gram, map_rates
from snnbd_core.networks.layers import Folded
from snnbd_core.poisoning import Triggered
from snnbd_core.triggers import Patch
from snnbd_core.view import View

CPU = torch.device("cpu")


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 1.5, size=shape)


def test_gram_entries_of_two_channels_by_hand() -> None:
    traces = np.array([[[1.0, 2.0], [3.0, 0.0]]])  # two channels at two places
    np.testing.assert_allclose(gram(traces, 1), [[5, 3, 9]])
    np.testing.assert_allclose(gram(traces, 2), [[17**0.5, 3, 9]])
    signed = np.array([[[-1.0], [2.0]]])
    np.testing.assert_allclose(gram(signed, 3), [[1, -2, 4]])
    np.testing.assert_allclose(gram(signed, 2), [[1, 2, 4]])


def test_gram_entries_are_those_of_a_sum_over_places() -> None:
    traces = drawn(3, 4, 7)
    products = torch.einsum("nix,njx->nijx", *[torch.from_numpy(traces)] * 2)
    for order in (1, 2, 5):
        expected = (products**order).sum(dim=3) ** (1 / order)
        upper = expected.numpy()[:, *np.triu_indices(4)]
        np.testing.assert_allclose(gram(traces, order), upper)


def test_at_a_single_place_all_orders_are_one() -> None:
    traces = drawn(3, 4, 1)
    np.testing.assert_allclose(gram(traces, 7), gram(traces, 1))


def test_deviations_of_two_entries_by_hand() -> None:
    known = np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0]])  # bounds 1..3 and 10..10
    asked = np.array([[2.0, 10.0], [5.0, 8.0], [0.25, 10.0]])
    expected = [0, (2 / 3 + 2 / 10) / 2, 0.75 / 2]
    np.testing.assert_allclose(deviations(known, asked, 1.0), expected, rtol=1e-5)


def test_the_bounds_are_ten_median_absolute_deviations_away() -> None:
    known = drawn(20, 1)
    median, spread = np.median(known), stats.median_abs_deviation(known, axis=None)
    bound = median + 10 * spread
    asked = np.array([[bound - 1e-9], [1.5 * bound], [median]])
    np.testing.assert_allclose(deviations(known, asked, 10.0), [0, 0.5, 0], atol=1e-6)


def test_scores_do_not_depend_on_the_scale_of_a_layer() -> None:
    judge = Beatrix(orders=3, width=1.0)
    known, asked = drawn(20, 4, 6), drawn(5, 4, 6, seed=1) ** 2
    found = judge._judged(known, asked)
    assert (found > 0).all()
    np.testing.assert_allclose(judge._judged(9 * known, 9 * asked), found, rtol=1e-4)
    np.testing.assert_allclose(gram(9 * known, 3), 81 * gram(known, 3))


def test_the_median_sample_of_a_class_has_no_score() -> None:
    known = drawn(1, 4, 6) * np.arange(1, 10).reshape(9, 1, 1)
    assert Beatrix()._judged(known, known[4:5]) == 0


def test_the_threshold_is_the_95th_percentile_of_held_out_clean_samples() -> None:
    judge = Beatrix(orders=2, width=1.0)
    known, asked = drawn(10, 3, 5), drawn(4, 3, 5, seed=1) * 2
    held_out, plain = np.zeros(10), np.zeros(4)
    for order in (1, 2):
        entries = gram(known, order)
        plain += deviations(entries, gram(asked, order), 1.0) / 2
        for start in range(0, 10, 2):
            kept = np.r_[0:start, start + 2 : 10]
            fold = entries[start : start + 2]
            held_out[start : start + 2] += deviations(entries[kept], fold, 1.0) / 2
    expected = plain / held_out.max()  # of ten the 95th percentile, rounded up, is the largest
    np.testing.assert_allclose(judge._judged(known, asked), expected, rtol=1e-4)


def scored(net, others, clean, steps: int) -> list[np.ndarray]:
    """Scores of samples as they are and with a patch."""
    given = {"seed": 0, "device": CPU, "steps": steps}
    sets = others, Triggered(others, Patch(size=0.25))
    return [Beatrix().score(net, data, clean, **given) for data in sets]


def test_a_patch_is_found_in_the_ann_twin(twin) -> None:
    """The area is 0.89 to 0.99 over seeds 0..5."""
    rows = np.flatnonzero(np.asarray(twin.test.labels) != 0)[:60]
    plain, lit = scored(twin.net, twin.test.subset(rows), twin.clean, 1)
    assert roc(plain, lit).area > 0.75


def halves(count: int, seed: int) -> sb.data.ImageDataset:
    """Images whose left half is grey in class 0 and whose right half is in class 1."""
    labels = np.arange(count) % 2
    pixels = np.random.default_rng(seed).integers(80, 160, (count, 1, 8, 8)).astype(np.uint8)
    pixels[labels == 0, ..., 4:] = 0
    pixels[labels == 1, ..., :4] = 0
    return sb.data.ImageDataset("halves", "test", pixels, labels, ("left", "right"), white=255)


def test_a_channel_that_fires_at_the_patch_alone_is_found_in_spikes() -> None:
    """Weights by hand: one channel sees grey and votes for its half, one sees white for "left"."""
    convolution, readout = nn.Conv2d(1, 2, 1), nn.Linear(128, 20)
    convolution.weight.data = torch.tensor([2.0, 4.0]).reshape(2, 1, 1, 1)
    convolution.bias.data = torch.tensor([0.0, -3.0])
    readout.bias.data.zero_()
    grey, white = readout.weight.data.zero_().view(2, 10, 2, 8, 8).unbind(dim=2)
    grey[0, ..., :4] = grey[1, ..., 4:] = 0.1
    white[0], white[1] = 1.0, -1.0
    layers = [Folded(convolution), sb.LIF(), Folded(nn.Flatten()), Folded(readout), sb.LIF()]
    net = sb.networks.Network(layers, (1, 8, 8), 2).eval()
    clean, test = halves(40, seed=0), halves(60, seed=1)
    report = sb.evaluate(net, test, Patch(size=0.25), 0, steps=4, device=CPU)
    assert float(report.clean_accuracy) == float(report.attack_success_rate) == 1
    plain, lit = scored(net, test.subset(np.flatnonzero(test.labels == 1)), clean, 4)
    assert not plain.any()
    assert (lit > 1).all()


def test_features_are_rates_of_the_last_layer_with_places(spiking) -> None:
    batch, _ = spiking.test.batch(np.arange(3))
    sequence = batch.expand(4, *batch.shape)
    view = View(spiking.net)
    with torch.no_grad(), view.read(view.hidden, "spikes") as hidden:
        logits = view(sequence)
        votes, rates = map_rates(view, sequence)
    assert [one.dim() for one in hidden] == [5, 3]
    assert torch.equal(rates, hidden[0].mean(dim=0).reshape(3, hidden[0].shape[2], -1))
    assert torch.equal(votes, logits)


def test_features_are_rates_of_the_last_layer_where_none_has_places() -> None:
    net = nn.Sequential(nn.Flatten(2), nn.Linear(4, 3), sb.LIF(), nn.Linear(3, 2), Mean())
    view, sequence = View(net, torch.rand(4, 2, 1, 2, 2)), torch.rand(4, 3, 1, 2, 2)
    with torch.no_grad():
        _, rates = map_rates(view, sequence)
        spikes = net[:3](sequence)
    assert torch.equal(rates, spikes.mean(dim=0)[:, :, None])


class Mean(nn.Module):
    def forward(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.mean(0)


def test_bounds_of_a_single_clean_sample_are_refused(spiking) -> None:
    class OneClass(nn.Module):
        def forward(self, sequence: torch.Tensor) -> torch.Tensor:
            return sequence.mean((0, 2, 3, 4))[:, None]

    images = [(torch.rand(1, 8, 8), 0)]
    with pytest.raises(ValueError, match="clean_samples holds 1 sample"):
        Beatrix().score(OneClass(), images, images, seed=0, device=CPU, steps=4)


def test_traced_potentials_have_the_mean_that_features_have(spiking) -> None:
    batch, _ = spiking.clean.batch(np.arange(len(spiking.clean)))
    with torch.no_grad():
        votes, potential = View(spiking.net).potentials(batch.expand(4, *batch.shape))
    found = features(spiking.net, spiking.clean, device=CPU, steps=4)
    assert potential.shape == (4, len(batch), 100)
    np.testing.assert_allclose(found.potentials, potential.mean(dim=0).numpy(), rtol=1e-6)
    np.testing.assert_allclose(found.votes, votes.numpy(), rtol=1e-6)


@pytest.mark.parametrize("judge", [Beatrix(channels=5), Beatrix(of="potentials", channels=20)])
def test_a_seed_draws_the_channels_and_the_network_is_left(judge, spiking) -> None:
    before = copy.deepcopy(spiking.net.state_dict())
    some = spiking.test.subset(np.arange(20))
    given = {"device": CPU, "steps": 4}
    one, again, other = (
        judge.score(spiking.net, some, spiking.clean, seed=seed, **given) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.isfinite(one).all()
    assert one.shape == (20,)
    assert one.dtype == np.float64
    assert all(torch.equal(before[k], v) for k, v in spiking.net.state_dict().items())


def test_answers_without_clean_samples_of_their_own_are_judged_by_all(spiking) -> None:
    judge, given = Beatrix(), {"seed": 0, "device": CPU, "steps": 4}
    _, one_of_each = np.unique(np.asarray(spiking.clean.labels), return_index=True)
    few = spiking.clean.subset(one_of_each)
    some = spiking.test.subset(np.arange(12))
    with frozen(spiking.net, few, device=CPU, steps=4) as bench, torch.no_grad():
        (known, _), (asked, _) = judge._traces(bench, few), judge._traces(bench, some)
    expected = judge._judged(known, asked)
    np.testing.assert_allclose(judge.score(spiking.net, some, few, **given), expected)
