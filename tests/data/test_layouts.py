"""The papers' sets in the layouts in which people have them, in files of the true formats."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snnbd_core.data import DataNotFound, count, load, splits, stores
from snnbd_core.data.aedat import aedat3
from snnbd_core.data.cifar import CIFAR100_CLASSES
from snnbd_core.data.event_sets import CIFAR10_CLASSES
from snnbd_core.data.gtsrb import GTSRB_CLASSES
from snnbd_core.data.samples import stratified

from .conftest import random_events
from .layouts import (
    HEAD,
    MADE,
    aedat2,
    cifar_batch,
    gtsrb_files,
    packed,
    packet,
    polarity,
    resized,
    write,
    write_gestures,
    write_pickles,
)


def pixels(part: Any) -> np.ndarray[Any, Any]:
    """All images of a set as bytes [N, 3, 32, 32]."""
    return (part.batch(range(len(part)))[0].numpy() * 255).round().astype(np.uint8)


@pytest.mark.parametrize("archive", [True, False])
def test_cifar10_pickles_of_known_hash_are_read(
    tmp_path: Path, own_cache: Path, archive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("data_batch_1", "data_batch_2", "test_batch")
    batches = {name: cifar_batch(3, seed, 10, "labels") for seed, name in enumerate(names)}
    folder = tmp_path / "data" / "cifar-10-batches-py"
    write_pickles(folder, batches, monkeypatch)
    if archive:
        files = {f"cifar-10-batches-py/{name}": (folder / name).read_bytes() for name in names}
        packed(files, tmp_path / "packed" / "cifar-10-python.tar.gz")
    train, test = load("cifar10", root=tmp_path / ("packed" if archive else "data"))
    first, second, third = batches.values()
    assert train.labels.tolist() == first["labels"] + second["labels"]
    data = np.concatenate([first["data"], second["data"]]).reshape(6, 3, 32, 32)
    np.testing.assert_array_equal(pixels(train), data)
    np.testing.assert_array_equal(pixels(test), third["data"].reshape(3, 3, 32, 32))


def test_cifar100_has_its_fine_labels_in_all_three_versions(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = {
        name: cifar_batch(4, i, 100, "fine_labels") for i, name in enumerate(("train", "test"))
    }
    for batch in batches.values():
        batch["coarse_labels"] = [0] * 4
    write_pickles(tmp_path / "a" / "cifar-100-python", batches, monkeypatch, "_HUNDRED")
    files = {}
    for name, batch in batches.items():
        rows = [
            bytes([19, k]) + row.tobytes()
            for k, row in zip(batch["fine_labels"], batch["data"], strict=True)
        ]
        files[f"cifar-100-binary/{name}.bin"] = b"".join(rows)
    packed(files, tmp_path / "b" / "cifar-100-binary.tar.gz")
    write(tmp_path / "c", files)
    for name, batch in batches.items():
        for i, (label, row) in enumerate(zip(batch["fine_labels"], batch["data"], strict=True)):
            path = tmp_path / "d" / name / CIFAR100_CLASSES[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(row.reshape(3, 32, 32).transpose(1, 2, 0)).save(path)
    for place in "abcd":
        train, test = load("cifar100", root=tmp_path / place)
        assert train.classes == 100 and train.class_names[19] == "cattle"
        order = np.argsort(batches["train"]["fine_labels"]) if place == "d" else slice(None)
        expected = batches["train"]["data"].reshape(4, 3, 32, 32)[order]
        np.testing.assert_array_equal(pixels(train), expected)
        assert sorted(test.labels.tolist()) == sorted(batches["test"]["fine_labels"])


@pytest.mark.parametrize(
    ("layout", "whole"),
    [
        ("mnist", 70_000),
        ("cifar10, pictures", 60_000),
        ("gtsrb, torchvision's", 39_270),
        ("nmnist, zips", 70_000),
        ("dvs-gesture, tonic's", 1_341),
        ("dvs-gesture, original", 1_464),
        ("cifar10-dvs, original", 10_000),
        ("ncaltech101", 8_709),
    ],
)
def test_samples_are_counted_without_binning(
    tmp_path: Path, own_cache: Path, layout: str, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MADE[layout]
    made.make(tmp_path / "data", monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("snnbd_core.data.datasets.bin_events", None)  # calling it would raise
        found = count(made.name, root=tmp_path / "data")
    train, test = made.load(tmp_path / "data")
    assert found == (len(train) + len(test), whole) and train.whole == whole


def test_sets_that_are_made_here_are_whole(tmp_path: Path, own_cache: Path) -> None:
    assert count("digits") == count("digits-events", root=tmp_path) == (1_797, 1_797)
    assert count("gestures-events") == (880, 880)
    assert not own_cache.exists()
    with pytest.raises(ValueError, match="data set 'cifar' is unknown; allowed are digits-events,"):
        count("cifar")
    with pytest.raises(DataNotFound, match="nmnist: there is no folder"):
        count("nmnist", root=tmp_path / "none")


def test_the_classes_are_as_many_as_the_sets_have() -> None:
    assert len(CIFAR100_CLASSES) == 100 and list(CIFAR100_CLASSES) == sorted(CIFAR100_CLASSES)
    assert len(set(GTSRB_CLASSES)) == 43 and GTSRB_CLASSES[14] == "stop"


@pytest.mark.parametrize("layout", ["official", "torchvision", "zips", "a csv beside the images"])
def test_gtsrb_is_read_in_its_layouts(
    tmp_path: Path, own_cache: Path, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = gtsrb_files("Training" if layout == "torchvision" else "Final_Training/Images")
    if layout == "zips":
        train = {name: data for name, data in files.items() if "Training" in name}
        packed(train, tmp_path / "GTSRB_Final_Training_Images.zip")
        tests = {name: data for name, data in files.items() if "Final_Test" in name}
        packed(tests, tmp_path / "GTSRB_Final_Test_Images.zip")
        told = {"GT-final_test.csv": files["GT-final_test.csv"]}
        packed(told, tmp_path / "GTSRB_Final_Test_GT.zip")
    elif layout == "torchvision":
        write(tmp_path / "gtsrb", files)
    else:
        if layout == "a csv beside the images":
            told = files.pop("GT-final_test.csv")
            files["GTSRB/Final_Test/Images/GT-final_test.csv"] = told
        write(tmp_path, files)
        write(tmp_path, {"GTSRB/Final_Test/Images/._00000.ppm": bytes(100)})
    with caplog.at_level(logging.INFO):
        train, test = load("gtsrb", root=tmp_path)
    assert train.labels.tolist() == [0, 0, 7, 7, 42, 42] and test.labels.tolist() == [42, 0, 7]
    assert train.classes == 43 and train.input_shape == (3, 32, 32)
    ours = [resized(data) for name, data in files.items() if "Training" in name and "ppm" in name]
    np.testing.assert_array_equal(pixels(train), np.stack(ours))
    whole = 39270 if layout == "torchvision" else 51839
    assert "gtsrb: 6 + 3 samples" in caplog.text and f"of {whole} in the whole set" in caplog.text
    assert train.subset([0]).whole == test.whole == whole
    assert "no train sample of class 30 km/h, 50 km/h, 60 km/h" in caplog.text


def test_gtsrb_is_read_from_arrays(tmp_path: Path, own_cache: Path) -> None:
    draw = np.random.default_rng(0)
    held = {}
    for split, many in (("train", 5), ("test", 3)):
        held[f"x_{split}"] = draw.integers(0, 256, (many, 32, 32, 3), dtype=np.uint8)
        held[f"y_{split}"] = draw.integers(0, 43, many)
    np.savez(tmp_path / "gtsrb32.npz", **held)
    train, test = load("gtsrb", root=tmp_path)
    np.testing.assert_array_equal(pixels(train), held["x_train"].transpose(0, 3, 1, 2))
    assert test.labels.tolist() == held["y_test"].tolist()


def test_the_original_gestures_are_cut_by_their_tables(
    tmp_path: Path, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = write_gestures(tmp_path / "DvsGesture")
    (tmp_path / "DvsGesture" / "._user01_led.aedat").write_bytes(bytes(64))
    train, test = load("dvs-gesture", root=tmp_path)
    assert "dvs-gesture: 6 + 3 samples" in caplog.text and "of 1464 in the whole" in caplog.text
    assert train.whole == 1464
    assert train.labels.tolist() == [0, 10, 4, 0, 10, 4] and test.labels.tolist() == [0, 10, 4]
    for part, row, name in ((train, 1, "user01_led"), (test, 1, "user24_led")):
        expected = made[name][310:591].copy()
        expected["t"] -= expected["t"][0]
        np.testing.assert_array_equal(part.events(row), expected)


def test_the_time_of_aedat_3_goes_on_after_31_bits() -> None:
    events = random_events(0, 20, side=128)
    later = events.copy()
    later["t"] += 1 << 31
    data = HEAD + polarity(events) + polarity(later, overflow=1)
    np.testing.assert_array_equal(aedat3(data, (128, 128, 2), "a"), np.concatenate([events, later]))


def test_room_that_a_packet_does_not_use_is_passed_over() -> None:
    events = random_events(0, 20, side=128)
    body = polarity(events)[28:] + bytes(5 * 8)
    data = HEAD + packet(1, body, 8, 25) + polarity(events[-1:])
    assert len(aedat3(data, (128, 128, 2), "a")) == 21


def test_the_split_of_cifar10_dvs_is_committed_and_the_one_that_a_seed_gave() -> None:
    listed = splits.numbers("cifar10-dvs")
    assert {name: len(some) for name, some in listed.items()} == dict.fromkeys(CIFAR10_CLASSES, 100)
    names = sorted(
        f"{name}/cifar10_{name}_{i}.aedat" for name in CIFAR10_CLASSES for i in range(1000)
    )
    labels = np.array([CIFAR10_CLASSES.index(name.partition("/")[0]) for name in names])
    drawn = {names[row] for row in stratified(labels, 0.1)[1]}
    assert drawn == {f"{c}/cifar10_{c}_{i}.aedat" for c, some in listed.items() for i in some}


def test_a_part_of_cifar10_dvs_is_split_as_the_whole(tmp_path: Path, own_cache: Path) -> None:
    events = random_events(0, 60, side=128)
    data = aedat2(events["x"], events["y"], events["t"], events["p"])
    tested = sorted(splits.numbers("cifar10-dvs")["frog"])[:2]
    numbers = [
        *tested,
        next(i for i in range(1000) if i not in splits.numbers("cifar10-dvs")["frog"]),
    ]
    write(tmp_path, {f"frog/cifar10_frog_{i}.aedat": data for i in numbers})
    train, test = load("cifar10-dvs", root=tmp_path)
    assert (len(train), len(test)) == (1, 2)


def test_an_image_set_is_decoded_once(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, gtsrb_files())
    first, _ = load("gtsrb", root=tmp_path)
    monkeypatch.setattr("snnbd_core.data.gtsrb.decoded", None)
    again, _ = load("gtsrb", root=tmp_path)
    assert again.fingerprint == first.fingerprint
    assert (
        hashlib.sha256(pixels(again).tobytes()).digest()
        == hashlib.sha256(pixels(first).tobytes()).digest()
    )


def test_the_gtsrb_arrays_at_hand_are_loaded(data_root: Path) -> None:
    if not (data_root / "gtsrb32_subset.npz").is_file():
        pytest.skip("no gtsrb32_subset.npz in $SNNBD_DATA")
    train, test = load("gtsrb", root=data_root)
    assert np.bincount(train.labels).tolist() == [60] * 43
    assert np.bincount(test.labels).tolist() == [30] * 43


def test_two_stars_stand_for_any_number_of_folders(tmp_path: Path) -> None:
    for name in ("a.bin", "x/b.bin", "x/y/c.bin", "x/.hidden/d.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert stores.Folder(tmp_path).matching("**/*.bin") == ["a.bin", "x/b.bin", "x/y/c.bin"]
    assert stores.Folder(tmp_path).matching("*/*.bin") == ["x/b.bin"]
