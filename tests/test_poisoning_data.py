"""The attack over the library's own data sets: raw recording to report."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from snnbd_core.data import EVENT_DTYPE, FrameDataset, ImageDataset
from snnbd_core.metrics import Rate, evaluate
from snnbd_core.networks import build
from snnbd_core.poisoning import Triggered, poison
from snnbd_core.triggers import Moving, Static

SENSOR = (34, 34, 2)


class ListedRecordings:
    """Recordings in memory, with the protocol that `FrameDataset` reads from."""

    sensor_size = SENSOR

    def __init__(self, count):
        rng = np.random.default_rng(3)
        self.recordings = []
        for _ in range(count):
            events = np.zeros(1000, dtype=EVENT_DTYPE)
            events["x"], events["y"] = rng.integers(0, 34, (2, 1000))
            events["t"] = np.sort(rng.integers(0, 300_000, 1000))
            events["p"] = rng.integers(0, 2, 1000)
            self.recordings.append(events)
        joined = np.concatenate(self.recordings).tobytes()
        self.key = hashlib.sha256(joined).hexdigest()

    def __len__(self):
        return len(self.recordings)

    def name(self, index):
        return f"recording {index}"

    def read(self, index):
        return self.recordings[index].copy()


@pytest.fixture
def frame_set(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNBD_CACHE", str(tmp_path))
    names = [str(i) for i in range(4)]
    return FrameDataset("listed", "train", ListedRecordings(20), np.arange(20) % 4, names)


@pytest.mark.parametrize(
    "trigger",
    [
        Static(space="events", sensor_size=SENSOR, polarity="both"),
        Static(space="events", sensor_size=SENSOR, polarity="erase"),
        Moving(space="events", sensor_size=SENSOR),
    ],
)
def test_an_events_trigger_goes_through_the_sets_own_binning(frame_set, trigger):
    poisoned = poison(frame_set, trigger, 0.5, target=1)
    for i in poisoned.poisoned_indices:
        expected = frame_set.bin(trigger(frame_set.events(i)))
        assert torch.equal(poisoned[i][0], expected)
        assert float(expected.sum()) == len(poisoned.events(i))  # no event is lost
    clean = np.setdiff1d(np.arange(20), poisoned.poisoned_indices)
    assert torch.equal(poisoned.batch(clean)[0], frame_set.batch(clean)[0])
    assert {kept.dtype for kept in poisoned._stored.values()} == {np.dtype(np.uint8)}


def test_a_frames_trigger_overwrites_what_the_set_binned(frame_set):
    view = Triggered(frame_set, Static(polarity="off"))
    frames, _ = view.batch(range(20))
    clean, _ = frame_set.batch(range(20))
    assert (frames[..., 0, 31:, 31:] == 1).all() and (frames[..., 1, 31:, 31:] == 0).all()
    frames[..., 31:, 31:] = clean[..., 31:, 31:]
    assert torch.equal(frames, clean)


def test_evaluate_reads_frame_and_image_sets(frame_set):
    trigger = Static(space="events", sensor_size=SENSOR, polarity="both", size=0.3)
    net = build("quick-conv", frame_set.input_shape, 4, seed=0)
    report = evaluate(net, frame_set.subset(range(8)), trigger, target=3, clean_net=net)
    assert report.attack_success_rate == report.floor
    assert report.attack_success_rate.total == 6
    assert report.synops_triggered > report.synops_clean

    pixels = np.random.default_rng(0).integers(0, 17, (12, 1, 8, 8)).astype(np.uint8)
    images = ImageDataset("tiny", "test", pixels, np.arange(12) % 4, list("abcd"), white=16)
    report = evaluate(build("quick-conv", (1, 8, 8), 4, seed=0), images, steps=5)
    assert report.clean_accuracy.total == 12
    assert report.attack_success_rate is None


def test_triggering_needs_the_sensor_of_the_set(frame_set):
    with pytest.raises(ValueError, match=r"trigger.sensor_size=\(30, 30, 2\) is not the data set"):
        poison(frame_set, Static(sensor_size=(30, 30, 2)), 0.5, target=0)


def test_a_subset_of_the_poisoned_set_has_its_own_fingerprint(frame_set):
    poisoned = poison(frame_set, Static(), 0.5, target=0)
    prints = {poisoned.fingerprint, poisoned.subset(range(10)).fingerprint, frame_set.fingerprint}
    assert len(prints) == 3
    assert Rate(int((poisoned.labels == 0).sum()), 20).value >= 0.5
