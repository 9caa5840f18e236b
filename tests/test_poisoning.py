"""Poisoned and triggered data sets, over small sets held in memory."""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass

import numpy as np
import pytest
import tonic
import torch
from tonic.io import events_struct
from torch.utils.data import DataLoader

from snnbd_core.data.batches import shuffled
from snnbd_core.poisoning import PoisonedDataset, Triggered, poison
from snnbd_core.triggers import Moving, Static

SENSOR = (34, 34, 2)
T = 4


class MemoryEvents:
    """Recordings in a list with the protocol of `FrameDataset`; bins by time."""

    name, split, classes, frames, sensor_size = "memory", "train", 5, T, SENSOR
    input_shape = (2, 34, 34)
    fingerprint = "0" * 64

    def __init__(self, recordings, labels):
        self.recordings = recordings
        self.labels = np.asarray(labels, dtype=np.int64)

    def __len__(self):
        return len(self.labels)

    def events(self, index):
        return self.recordings[index].copy()

    def bin(self, events):
        span = int(events["t"][-1] - events["t"][0]) + 1
        step = (events["t"] - events["t"][0]) * T // span
        frames = torch.zeros(T, 2, 34, 34)
        at = [torch.from_numpy(a.astype(np.int64)) for a in (step, events["p"], events["y"])]
        x = torch.from_numpy(events["x"].astype(np.int64))
        return frames.index_put_((*at, x), torch.tensor(1.0), accumulate=True)

    def batch(self, indices):
        samples = torch.stack([self.bin(self.recordings[int(i)]) for i in indices])
        return samples, torch.from_numpy(self.labels[np.asarray(indices)])

    def __getitem__(self, index):
        samples, labels = self.batch([index])
        return samples[0], int(labels[0])

    def subset(self, indices):
        return MemoryEvents([self.recordings[int(i)] for i in indices], self.labels[indices])


class MemoryImages:
    """Images in one tensor; `batch` hands out its own memory for a full batch."""

    name, split, classes, input_shape, fingerprint = "images", "train", 5, (1, 8, 8), "1" * 64

    def __init__(self, images, labels):
        self.images = images
        self.labels = np.asarray(labels, dtype=np.int64)

    def __len__(self):
        return len(self.labels)

    def batch(self, indices):
        indices = np.asarray(indices)
        whole = np.array_equal(indices, np.arange(len(self)))
        return (self.images if whole else self.images[indices.astype(int)]), torch.from_numpy(
            self.labels[indices.astype(int)]
        )

    def subset(self, indices):
        return MemoryImages(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class WhiteCorner:
    space: str = "image"

    def __call__(self, images):
        images = images.clone()
        images[..., -2:, -2:] = 1
        return images


@pytest.fixture
def events_set():
    rng = np.random.default_rng(0)
    recordings = []
    for _ in range(50):
        events = np.zeros(400, dtype=events_struct)
        events["x"], events["y"] = rng.integers(0, 34, (2, 400))
        events["t"] = np.sort(rng.integers(0, 300_000, 400))
        events["p"] = rng.integers(0, 2, 400)
        recordings.append(events)
    return MemoryEvents(recordings, np.arange(50) % 5)


@pytest.fixture
def images_set():
    return MemoryImages(torch.rand(20, 1, 8, 8), np.arange(20) % 5)


def everything(dataset):
    return dataset.batch(np.arange(len(dataset)))


@pytest.mark.parametrize(("rate", "count"), [(0.02, 1), (0.1, 5), (0.29, 14), (0.5, 25), (1, 50)])
def test_floor_of_rate_times_n_samples_are_replaced_in_place(events_set, rate, count):
    trigger = Static()
    clean, clean_labels = everything(events_set)
    poisoned = poison(events_set, trigger, rate, target=3, seed=1)
    frames, labels = everything(poisoned)
    changed = poisoned.poisoned_indices
    rest = np.setdiff1d(np.arange(50), changed)

    assert len(changed) == len(set(changed.tolist())) == count
    assert (np.diff(changed) > 0).all()
    assert torch.equal(frames[changed], trigger(clean[changed]))
    assert (labels[changed] == 3).all()
    assert torch.equal(frames[rest], clean[rest])
    assert torch.equal(labels[rest], clean_labels[rest])
    np.testing.assert_array_equal(poisoned.labels, labels.numpy())
    np.testing.assert_array_equal(poisoned.clean_labels, clean_labels.numpy())


def test_rates_are_not_lost_to_binary_rounding():
    dataset = MemoryImages(torch.zeros(100, 1, 8, 8), np.zeros(100))
    assert int(0.29 * 100) == 28  # what it guards against
    assert len(poison(dataset, WhiteCorner(), 0.29, 0).poisoned_indices) == 29
    for count in range(1, 1500, 7):
        dataset = MemoryImages(torch.zeros(count, 1, 4, 4), np.zeros(count))
        assert len(poison(dataset, WhiteCorner(), 1 / count, 0).poisoned_indices) == 1


@pytest.mark.parametrize("rate", [0.29, 0.57, 0.1, 0.07, 1 / 3, 1 / 7, 1 / 11, 2 / 3, 1])
@pytest.mark.parametrize("count", [100, 231, 1100])
def test_a_rate_of_any_precision_poisons_as_many(rate, count):
    dataset = MemoryImages(torch.zeros(count, 1, 2, 2), np.zeros(count))
    expected = int(rate * count + 1e-9)
    for kind in (float, np.float64, np.float32, torch.tensor):
        assert len(poison(dataset, WhiteCorner(), kind(rate), 0).poisoned_indices) == expected


def test_targets_and_seeds_of_numpy_and_torch_are_numbers(events_set):
    expected = poison(events_set, Static(), 0.2, 3, seed=1)
    for number in (np.int64, np.uint8, torch.tensor):
        same = poison(events_set, Static(), 0.2, number(3), seed=number(1))
        assert same.fingerprint == expected.fingerprint and type(same.target) is int


def test_triggers_that_print_alike_give_other_fingerprints(events_set):
    @dataclass(frozen=True)
    class Picture:
        pattern: np.ndarray
        space: str = "frames"

        def __call__(self, frames):
            return torch.maximum(frames, torch.from_numpy(self.pattern).to(frames))

    patterns = np.zeros((2, 34, 34), np.float32)
    patterns[0, 10:20, 10:20] = patterns[1, 5:9, 20:30] = 1
    first, second, again = (Picture(p) for p in (*patterns, patterns[0].copy()))
    assert repr(first) == repr(second)
    prints = [poison(events_set, t, 0.3, 0).fingerprint for t in (first, second, again)]
    assert prints[0] == prints[2] != prints[1]


def test_a_set_without_a_fingerprint_is_known_by_its_contents(events_set):
    class Own:
        classes, labels, changed = 5, events_set.labels, 0

        def __len__(self):
            return 50

        def batch(self, indices):
            frames, labels = events_set.batch(indices)
            return frames.to(torch.uint8) + self.changed, labels

    other = Own()
    other.changed = 1
    corners = [Static(position="top-left"), Static()]
    prints = [poison(Own(), corner, 0.3, 0).fingerprint for corner in corners]
    prints += [poison(other, corners[0], 0.3, 0).fingerprint]
    assert len(set(prints)) == 3
    assert poison(Own(), corners[0], 0.3, 0).fingerprint == prints[0]


def test_rate_zero_changes_nothing(events_set):
    poisoned = poison(events_set, Static(), 0, target=0)
    assert len(poisoned.poisoned_indices) == 0
    assert torch.equal(everything(poisoned)[0], everything(events_set)[0])
    np.testing.assert_array_equal(poisoned.labels, events_set.labels)


@pytest.mark.parametrize("space", ["frames", "events"])
def test_the_wrapped_set_is_never_changed(events_set, space):
    recordings = [events.copy() for events in events_set.recordings]
    labels = events_set.labels.copy()
    everything(poison(events_set, Moving(space=space, sensor_size=SENSOR), 1, target=0))
    for before, after in zip(recordings, events_set.recordings, strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(events_set.labels, labels)


def test_a_set_that_hands_out_its_own_memory_is_never_changed(images_set):
    before = images_set.images.clone()
    images, _ = everything(poison(images_set, WhiteCorner(), 0.5, target=0))
    assert torch.equal(images_set.images, before)
    assert not torch.equal(images, before)


def test_the_target_class_is_drawn_from_or_left_out_by_argument(events_set):
    without = poison(events_set, Static(), 0.8, target=2, include_target=False)
    assert len(without.poisoned_indices) == 40
    assert set(without.clean_labels[without.poisoned_indices]) == {0, 1, 3, 4}
    including = poison(events_set, Static(), 1, target=2)
    assert len(including.poisoned_indices) == 50


def test_the_seed_draws_the_samples_and_smaller_rates_are_nested(events_set):
    drawn = [
        set(poison(events_set, Static(), rate, 0, seed).poisoned_indices.tolist())
        for rate, seed in [(0.1, 0), (0.1, 0), (0.4, 0), (0.1, 1)]
    ]
    assert drawn[0] == drawn[1] < drawn[2]
    assert drawn[0] != drawn[3]


def test_an_events_trigger_changes_the_recording_that_is_then_binned(events_set):
    trigger = Static(space="events", sensor_size=SENSOR, polarity="both")
    poisoned = poison(events_set, trigger, 0.1, target=1)
    for i in range(50):
        events = events_set.events(i)
        if i in poisoned.poisoned_indices:
            events = trigger(events)
        np.testing.assert_array_equal(poisoned.events(i), events)
        frames, label = poisoned[i]
        assert torch.equal(frames, events_set.bin(events))
        assert label == poisoned.labels[i]


@pytest.mark.parametrize(
    ("strength", "dtype"), [(1, np.uint8), (300, np.uint16), (0.5, np.float32), (1e6, np.float32)]
)
def test_poisoned_samples_are_computed_once_and_stored_compactly(events_set, strength, dtype):
    poisoned = poison(events_set, Static(strength=strength), 0.1, target=0)
    assert len(poisoned._stored) == 1  # only the first, to see that the trigger fits
    first, _ = everything(poisoned)
    assert {kept.dtype for kept in poisoned._stored.values()} == {np.dtype(dtype)}
    assert len(poisoned._stored) == 5
    assert torch.equal(first, everything(poisoned)[0])
    assert first.dtype == torch.float32
    assert first.max() == strength if strength > 1 else True


def test_a_batch_is_a_fresh_copy(events_set):
    poisoned = poison(events_set, Static(), 1, target=0)
    everything(poisoned)[0].fill_(-1)
    assert everything(poisoned)[0].min() == 0


def test_subsets_keep_what_was_poisoned_in_the_order_given(events_set):
    poisoned = poison(events_set, Static(), 0.3, target=4, seed=2)
    order = np.random.default_rng(0).permutation(50)[:30]
    subset = poisoned.subset(order)
    frames, labels = poisoned.batch(order)
    assert torch.equal(everything(subset)[0], frames)
    np.testing.assert_array_equal(subset.labels, labels)
    np.testing.assert_array_equal(
        order[subset.poisoned_indices],
        [i for i in order if i in poisoned.poisoned_indices],
    )


def test_indices_may_be_lists_arrays_tensors_and_negative(events_set):
    poisoned = poison(events_set, Static(), 0.5, target=0)
    expected, _ = poisoned.batch([48, 49])
    for indices in (np.array([48, 49]), torch.tensor([48, 49]), [-2, -1], (48, 49)):
        assert torch.equal(poisoned.batch(indices)[0], expected)
    assert torch.equal(poisoned[-1][0], expected[1])
    with pytest.raises(IndexError, match="index 50 is outside a data set of 50 samples"):
        poisoned[50]
    assert len(list(poisoned)) == 50


def test_what_the_views_do_not_define_comes_from_the_wrapped_set(events_set, images_set):
    for view in (poison(events_set, Static(), 0.1, 0), Triggered(events_set, Static())):
        assert (view.kind, view.spaces) == ("frames", ("frames", "events"))
        assert (view.input_shape, view.classes, view.frames) == ((2, 34, 34), 5, T)
        assert view.sensor_size == SENSOR
        assert torch.equal(view.bin(events_set.events(0)), events_set[0][0])
    assert poison(images_set, WhiteCorner(), 0.5, 0).spaces == ("image",)


def test_views_work_in_a_data_loader_and_survive_pickling(events_set):
    poisoned = poison(events_set, Static(), 0.5, target=0)
    loaded = torch.cat([frames for frames, _ in DataLoader(poisoned, batch_size=16)])
    assert torch.equal(loaded, everything(poisoned)[0])
    again = pickle.loads(pickle.dumps(poisoned))
    assert torch.equal(everything(again)[0], loaded)


def test_the_fingerprint_tells_every_change_apart(events_set):
    prints = [
        poison(events_set, Static(), 0.1, 0).fingerprint,
        poison(events_set, Static(), 0.2, 0).fingerprint,
        poison(events_set, Static(), 0.1, 0, seed=1).fingerprint,
        poison(events_set, Static(), 0.1, 1).fingerprint,
        poison(events_set, Moving(), 0.1, 0).fingerprint,
        Triggered(events_set, Static()).fingerprint,
        events_set.fingerprint,
    ]
    assert len(set(prints)) == 7
    assert poison(events_set, Static(), 0.1, 0).fingerprint == prints[0]


def test_triggered_marks_every_sample_and_keeps_labels(events_set, images_set):
    frames, labels = everything(Triggered(events_set, Moving()))
    assert torch.equal(frames, Moving()(everything(events_set)[0]))
    np.testing.assert_array_equal(labels, events_set.labels)

    recording = Static(space="events", sensor_size=SENSOR)
    view = Triggered(events_set, recording).subset([7, 3])
    assert torch.equal(view[1][0], events_set.bin(recording(events_set.events(3))))
    assert view.labels.tolist() == [2, 3]

    images, _ = everything(Triggered(images_set, WhiteCorner()))
    assert (images[..., -2:, -2:] == 1).all()
    assert Triggered(images_set, WhiteCorner()).batch([])[0].shape == (0, 1, 8, 8)


def test_a_poisoned_set_can_be_poisoned_again(events_set):
    once = poison(events_set, Static(position="top-left"), 1, target=1)
    twice = poison(once, Static(position="bottom-right"), 1, target=2)
    frames, labels = everything(twice)
    assert (frames[:, :, 1, :3, :3] == 1).all() and (frames[:, :, 1, -3:, -3:] == 1).all()
    assert (labels == 2).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": -0.1}, "rate=-0.1 is not a share of the data set: allowed is 0..1"),
        ({"rate": 1.5}, "rate=1.5 is not a share"),
        ({"rate": float("nan")}, "rate=nan is not a share"),
        ({"rate": True}, "rate=True is not a share"),
        (
            {"rate": 0.01},
            "rate=0.01 poisons none of 50 samples: the smallest usable rate is 1/50 = 0.02",
        ),
        ({"target": 5}, "target=5 is not a class: allowed is 0..4"),
        ({"target": -1}, "target=-1 is not a class"),
        ({"target": 1.0}, "target=1.0 is not a class"),
        ({"seed": -1}, "seed=-1 must be a whole number >= 0"),
        *(
            (
                {"generator": wrong},
                f"generator={wrong!r} must be one of NumPy, as numpy.random.default_rng(0), or N",
            )
            for wrong in (0, "seed", np.random.RandomState(0), torch.Generator())
        ),
        (
            {"rate": 0.9, "include_target": False},
            "rate=0.9 wants 45 samples, but only 40 lie outside class 0: allowed is at most 0.8",
        ),
        (
            {"trigger": WhiteCorner()},
            "works in space 'image': allowed for this data set is 'frames' or 'events'",
        ),
        ({"trigger": Static(size=1, position=(1, 1))}, "position=(1, 1) puts a 34x34 patch"),
        (
            {"trigger": Static(space="events", sensor_size=(128, 128, 2))},
            "trigger.sensor_size=(128, 128, 2) is not the data set's: allowed is (34, 34, 2)",
        ),
        ({"trigger": None}, "trigger=None does not say in which space it works"),
        (
            {"rate": 0.9, "only_target": True},
            "rate=0.9 wants 45 samples, but only 10 lie in class 0: allowed is at most 0.2",
        ),
    ],
)
def test_bad_arguments_are_named_at_once(events_set, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        poison(
            **({"dataset": events_set, "trigger": Static(), "rate": 0.1, "target": 0} | arguments)
        )


def test_a_clean_label_attack_changes_samples_of_the_target_and_no_label(events_set):
    poisoned = poison(events_set, Static(), 0.1, 2, only_target=True)
    assert len(poisoned.poisoned_indices) == 5
    assert set(events_set.labels[poisoned.poisoned_indices]) == {2}
    assert (poisoned.labels == events_set.labels).all()


def test_a_compose_is_a_trigger_once_it_has_a_space(events_set):
    light = Static(space="events", sensor_size=(34, 34, 2))
    both = tonic.transforms.Compose([light])
    with pytest.raises(ValueError, match="a Compose can be given one"):
        poison(events_set, both, 0.1, 0)
    both.space = "events"
    ours, alone = (poison(events_set, one, np.float32(0.1), 0) for one in (both, light))
    assert torch.equal(ours.batch(range(50))[0], alone.batch(range(50))[0])


def test_sets_that_do_not_fit_are_named(events_set, images_set):
    with pytest.raises(ValueError, match="space 'frames': allowed for this data set is 'image'"):
        poison(images_set, Static(), 0.5, 0)
    without = torch.utils.data.Subset(events_set, [0, 1])
    light = Static(space="events", sensor_size=SENSOR)
    with pytest.raises(ValueError, match=r"is 'frames', since it has no raw recordings"):
        poison(without, light, 0.5, 0)
    with pytest.raises(ValueError, match="data is empty: at least one sample is needed"):
        poison(MemoryEvents([], []), Static(), 0.5, 0)
    with pytest.raises(ValueError, match=r"space='frames' changes|changes binned data, so sample"):
        poison(events_set, Static(), 1, 0).events(3)
    with pytest.raises(ValueError, match=r"indices=\[0\.5\] must be a flat row of whole numbers"):
        poison(events_set, Static(), 1, 0).batch([0.5])


def test_a_trigger_that_changes_the_shape_is_refused(images_set):
    @dataclass(frozen=True)
    class Crop:
        space: str = "image"

        def __call__(self, images):
            return images[..., 1:]

    with pytest.raises(ValueError, match=re.escape("gives samples of shape (1, 8, 7)")):
        PoisonedDataset(images_set, Crop(), 0, [1])


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_poisoned_samples_are_spread_over_each_epoch_of_a_training_with_the_same_seed(seed):
    """Drawn by the numbers that order the first epoch they would all come first in it."""
    data = MemoryImages(torch.zeros(2000, 1, 8, 8), np.arange(2000) % 5)
    chosen = poison(data, WhiteCorner(), 0.1, target=0, seed=seed).poisoned_indices
    for epoch in range(6):
        order = np.concatenate(list(shuffled(len(data), 32, seed, epoch)))
        places = np.flatnonzero(np.isin(order, chosen))
        # 200 of 2,000 places at random: their mean is 1,000 with a deviation of 39
        assert abs(places.mean() - 1000) < 4 * 39
        assert places[:20].max() > 60


def test_a_generator_draws_in_place_of_the_seed():
    data = MemoryImages(torch.zeros(50, 1, 8, 8), np.arange(50) % 5)
    drawn = poison(data, WhiteCorner(), 0.2, 0, generator=np.random.default_rng(3))
    expected = np.random.default_rng(3).permutation(50)[:10]
    np.testing.assert_array_equal(drawn.poisoned_indices, np.sort(expected))
