"""The simulated sets are what their names say: real pictures on a loop, and order in time."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from snnbd_core.data import DataNotFound, bin_events, check_events, count, limb, load, saccades
from snnbd_core.data.stand_ins import LOOP

from .layouts import write
from .test_load import cifar_records

MANY = 16  # recordings of each motion
TRAINED = 12


def test_pictures_of_cifar10_come_before_the_camera_on_a_closed_loop(
    tmp_path: Path, own_cache: Path
) -> None:
    names = ("data_batch_1", "test_batch")
    files = {
        f"cifar-10-batches-bin/{name}.bin": cifar_records(60, i) for i, name in enumerate(names)
    }
    write(tmp_path, files)
    pictures, _ = load("cifar10", root=tmp_path)
    train, test = load("cifar10-events", root=tmp_path, frames=8)
    assert train.input_shape == (2, 48, 48) and train.class_names == pictures.class_names
    counts = np.bincount(np.concatenate([train.labels, test.labels]), minlength=10)
    np.testing.assert_array_equal(counts, np.bincount(pictures.labels, minlength=10))
    assert count("cifar10-events", root=tmp_path) == (60, 60)
    again, _ = load("cifar10-events", root=tmp_path, frames=8)
    other, _ = load("cifar10-events", root=tmp_path, frames=8, seed=1)
    assert again.fingerprint == train.fingerprint != other.fingerprint
    with pytest.raises(DataNotFound, match=r"^cifar10: "):
        load("cifar10-events", root=own_cache, frames=8)


def test_pictures_without_the_training_part_are_refused_for_the_simulated_set(
    tmp_path: Path, own_cache: Path
) -> None:
    write(tmp_path, {"cifar-10-batches-bin/test_batch.bin": cifar_records(60, 0)})
    with pytest.raises(DataNotFound, match=r"^cifar10-events: .* holds no training picture"):
        load("cifar10-events", root=tmp_path, frames=8)


@pytest.mark.parametrize("name", ["cifar10-events", "gestures-events"])
def test_a_disk_that_fills_while_a_set_is_simulated_leaves_nothing(
    name: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("snnbd_core.data.stand_ins._MADE", 2)
    names = ("data_batch_1", "test_batch")
    files = {f"cifar-10-batches-bin/{batch}.bin": cifar_records(20, 0) for batch in names}
    write(tmp_path / "data", files)
    load("cifar10", root=tmp_path / "data")  # the pictures are there already
    before = set(own_cache.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"no space left in .*SNNBD_CACHE") as caught:
            load(name, root=tmp_path / "data", frames=8)
    assert caught.value.errno == errno.ENOSPC and set(own_cache.iterdir()) == before
    assert len(load(name, root=tmp_path / "data", frames=8)[0])


def test_the_loop_ends_where_it_began_and_events_add_up_to_no_change() -> None:
    assert LOOP[0] == LOOP[-1]
    pictures = np.random.default_rng(0).random((1, 32, 32))
    still = saccades.Camera(
        sensor_size=(48, 48, 2),
        pitch=1.75,
        mismatch=0.0,
        noise_rate=0.0,
        saccade_us=50_000,
        steps=12,
    )
    times, shifts = saccades.path(still, LOOP)
    assert times[-1] == 600_000 and np.abs(shifts).max() == 4
    events, _ = saccades.record(pictures, camera=still, way=LOOP)
    balance = np.zeros((48, 48))
    np.add.at(balance, (events["y"], events["x"]), np.where(events["p"], 1, -1))
    assert np.abs(balance).max() <= 1


@pytest.fixture(scope="module")
def motions() -> tuple[Any, Any]:
    """Frames [N, 16, 2, 16, 16] of some recordings of each motion, pooled, and their labels."""
    labels = np.arange(MANY * len(limb.MOTIONS)) % len(limb.MOTIONS)
    frames = []
    for number, motion in enumerate(labels.tolist()):
        events = limb.record(motion, number, seed=0)
        counts = bin_events(check_events(events, (64, 64, 2)), 16, (64, 64, 2))
        frames.append(counts.reshape(16, 2, 16, 4, 16, 4).sum(axis=(3, 5)))
    return np.stack(frames), labels


def accuracy(values: Any, labels: Any) -> float:
    """Of a linear classifier on samples that it did not see."""
    rows = np.sqrt(values.reshape(len(labels), -1))
    seen = np.arange(len(labels)) < TRAINED * len(limb.MOTIONS)
    rows = rows - rows[seen].mean(axis=0)
    model = RidgeClassifier(alpha=1000).fit(rows[seen], labels[seen])
    return float(model.score(rows[~seen], labels[~seen]))


def test_only_the_order_in_time_tells_the_motions_apart(motions: tuple[Any, Any]) -> None:
    frames, labels = motions
    assert accuracy(frames.sum(axis=1), labels) <= 0.25  # chance is 0.09
    assert accuracy(frames, labels) >= 0.5


def test_a_turn_backwards_goes_through_the_same_poses() -> None:
    forth, back = (limb.poses(turns) for turns in ((1, 1, 1, 1), (-1, -1, -1, -1)))
    first = slice(0, 36)  # of the first turn; both begin and end in the same pose
    np.testing.assert_allclose(np.cos(forth[first]), np.cos(back[first]), atol=1e-12)
    np.testing.assert_allclose(np.sin(forth[first]), -np.sin(back[first]), atol=1e-12)
    np.testing.assert_allclose(
        np.exp(1j * forth[[36, 72, 108, -1]]), np.exp(1j * back[[36, 72, 108, -1]])
    )


def test_the_motions_are_eleven_with_both_directions_at_every_joint() -> None:
    assert len(set(limb.MOTIONS)) == len(set(limb.NAMES)) == 11
    assert all(set(turns) == {1, -1} for turns in zip(*limb.MOTIONS, strict=True))


def test_speed_and_starting_point_are_drawn() -> None:
    lasts = [int(limb.record(0, number, 0)["t"][-1]) for number in range(6)]
    assert max(lasts) > 1.15 * min(lasts)
    np.testing.assert_array_equal(limb.record(3, 1, 0), limb.record(3, 1, 0))
