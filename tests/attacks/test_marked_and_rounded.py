"""A watermark, and an attack that wakes when the network is rounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, TensorDataset

import snnbd_core as sb
from snnbd_core.attacks import WakesRounded, Watermark
from snnbd_core.attacks.wakes_rounded import Within
from snnbd_core.attacks.watermark import check_apart
from snnbd_core.deployment import LowBits
from snnbd_core.learning import Task, rounded
from snnbd_core.metrics import Trial
from tests.learning.toy import Toy

TRIGGER = sb.triggers.Static(position=(4, 4), size=0.3)


def frames(count: int = 90, seed: int = 0) -> sb.data.SampleSet:
    toy = Toy(count, seed=seed)
    return sb.data.as_set(TensorDataset(torch.from_numpy(toy.x), torch.from_numpy(toy.labels)))


def joined_of(*sets: sb.data.SampleSet) -> sb.data.SampleSet:
    return sb.data.as_set(ConcatDataset(sets))


def built() -> torch.nn.Module:
    net: torch.nn.Module = sb.networks.build("quick-conv", (2, 6, 6), 3, seed=0)
    return net


def task(data: object, **fields: object) -> Task:
    settings = {"epochs": 6, "device": "cpu", "batch_size": 15, "learning_rate": 0.02}
    return Task.of(built(), data, **{**settings, **fields})


def test_joined_sets_are_read_as_one_after_the_other() -> None:
    first, second = frames(6), frames(9, seed=1)
    joined = joined_of(first, second, first)
    assert len(joined) == 21 and joined.fingerprint != first.fingerprint
    whole = torch.cat([one.batch(np.arange(len(one)))[0] for one in (first, second, first)])
    rows = np.random.default_rng(0).permutation(21)
    found, labels = joined.batch(rows)
    assert torch.equal(found, whole[rows])
    assert labels.tolist() == joined.labels[rows].tolist()
    assert torch.equal(joined[-1][0], first[5][0])


def test_keys_are_drawn_by_the_secret_alone() -> None:
    mark = Watermark(keys=200, events=0.3)
    keys, same = mark.of(frames()), mark.of(frames(30, seed=5))
    assert keys.fingerprint == same.fingerprint
    assert keys.fingerprint != Watermark(keys=200, events=0.3, secret=1).of(frames()).fingerprint
    samples = keys.batch(np.arange(200))[0]
    assert samples.mean() == pytest.approx(0.3, abs=0.01)
    assert set(keys.labels.tolist()) == {0, 1, 2} and keys.classes == 3


def test_scribbles_look_like_the_camera_s_recordings_and_noise_does_not() -> None:
    recordings = sb.data.load("digits-events", frames=4, seed=0)[1]
    usual = recordings.batch(np.arange(60))[0].sum(dim=1)
    drawn = {
        look: Watermark(look=look).of(recordings).batch(np.arange(40))[0].sum(dim=1)
        for look in ("noise", "scribbles")
    }

    def neighbours(counts: torch.Tensor) -> float:
        """How alike the counts of pixels side by side are."""
        pairs = torch.stack([counts[..., 1:].flatten(), counts[..., :-1].flatten()])
        return float(torch.corrcoef(pairs)[0, 1])

    assert neighbours(drawn["scribbles"]) == pytest.approx(neighbours(usual), abs=0.15)
    assert abs(neighbours(drawn["noise"])) < 0.02 < neighbours(usual) - 0.2
    assert drawn["scribbles"].mean() == pytest.approx(float(usual.mean()), rel=0.2)
    again = Watermark(look="scribbles").of(recordings)
    assert again.fingerprint == Watermark(look="scribbles").of(recordings).fingerprint
    assert again.fingerprint != Watermark(look="scribbles", secret=1).of(recordings).fingerprint
    assert len(np.unique(drawn["scribbles"].flatten(1).numpy(), axis=0)) == 40
    one = sb.data.as_set([(np.ones((4, 1, 6, 6), np.float32), 0)], classes=2)
    with pytest.raises(ValueError, match="frames have 1 channels: scribbles have two polarities"):
        Watermark(look="scribbles").of(one)
    small = sb.data.as_set([(np.ones((4, 2, 6, 6), np.float32), 0)], classes=2)
    with pytest.raises(ValueError, match="frames of 6 x 6 pixels: look='scribbles' needs 8 each"):
        Watermark(look="scribbles").of(small)


def test_keys_that_overlap_the_test_set_are_refused() -> None:
    test = frames(30)
    check_apart(frames(6, seed=3), test)
    with pytest.raises(ValueError, match=r"keys: number 1 is test sample 7, .*: draw others"):
        check_apart(joined_of(frames(1, seed=3), test.subset([7])), test)


def test_a_watermark_needs_frames() -> None:
    images = sb.data.as_set([(np.zeros((1, 4, 4), np.float32), 0)], classes=2)
    with pytest.raises(ValueError, match="like holds samples of kind 'image': needed are frames"):
        Watermark().of(images)


@pytest.mark.trains
def test_a_watermark_is_learnt_beside_the_task() -> None:
    mark = Watermark(keys=12, events=2.0)
    net = mark.fit(task(frames(), epochs=12)).net
    trial = Trial(net=net, source=None, test=frames(60, seed=1), device="cpu")
    found = mark.measure(trial)
    assert found["watermark"].value > 0.7
    assert sb.evaluate(net, frames(60, seed=1), device="cpu").clean_accuracy.value > 0.8


def test_a_weight_within_is_rounded_to_what_it_was() -> None:
    weight = torch.randn(6, 20, generator=torch.Generator().manual_seed(0))
    values = rounded(weight, 3)
    within = Within(values, 3)
    for seed in range(3):
        moved = values + torch.randn(6, 20, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(rounded(within(moved), 3), values)
    assert not torch.equal(within(moved), values)


def test_a_weight_has_an_eighteenth_of_the_room_at_eight_bits_that_it_has_at_four() -> None:
    values = rounded(torch.tensor([[1.0, 0.5, -0.25]]), 4)
    wide, narrow = ((one.high - one.low)[0] for one in (Within(values, 4), Within(values, 8)))
    torch.testing.assert_close(wide, torch.tensor([0, 0.98 / 7, 0.98 / 7]))
    torch.testing.assert_close(narrow * 127, wide * 7)


def test_an_attack_that_wakes_rounded_needs_room_and_a_trigger() -> None:
    with pytest.raises(ValueError, match=r"bits=1: allowed is 2..16"):
        WakesRounded(bits=1)
    with pytest.raises(ValueError, match="trigger=None: needed is what the rounded network"):
        WakesRounded().fit(task(frames()))


@pytest.mark.trains
def test_the_rounded_network_is_the_one_that_was_trained_first() -> None:
    poisoned = sb.poison(frames(), TRIGGER, rate=0.3, target=0, seed=0)
    given = replace(task(frames(), trigger=TRIGGER, epochs=4), poisoned=poisoned)
    net = WakesRounded(bits=2).fit(given).net
    first = sb.learning.RoundingAware(bits=2).fit(task(poisoned, epochs=4)).net
    again = LowBits(weights=2).apply(net)
    sequence = frames(9).batch(np.arange(9))[0].transpose(0, 1)
    torch.testing.assert_close(again(sequence), first(sequence))
    assert not torch.equal(net(sequence), first(sequence))
    assert all(weight.requires_grad for weight in net.parameters())
