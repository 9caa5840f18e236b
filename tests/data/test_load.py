"""Every data set by name: embedded ones, real files where there are any, made ones elsewhere."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tonic
import torch
from PIL import Image
from sklearn.datasets import load_digits

import snnbd_core
from snnbd_core.data import EVENT_DTYPE, NAMES, FrameDataset, cifar, load
from snnbd_core.data.event_sets import CIFAR10_CLASSES
from snnbd_core.data.gestures import GESTURE_CLASSES

from .conftest import five_bytes, random_events
from .layouts import aedat2, aedat4, idx, write


def test_the_names_are_the_contract() -> None:
    assert set(NAMES) == {
        *("digits-events", "digits", "mnist", "cifar10", "cifar10-small", "cifar100", "gtsrb"),
        *("nmnist", "dvs-gesture", "cifar10-dvs", "ncaltech101"),
        *("cifar10-events", "gestures-events"),
    }


def test_digits_are_scikit_learns_split_80_to_20_by_class() -> None:
    train, test = load("digits")
    bunch = load_digits()
    assert (len(train), len(test)) == (1438, 359) and train.input_shape == (1, 8, 8)
    shares = np.bincount(test.labels) / np.bincount(bunch.target)
    assert shares.min() > 0.195 and shares.max() < 0.205
    images = torch.cat([train.batch(range(1438))[0], test.batch(range(359))[0]])
    ours = {image.tobytes() for image in (images * 16).numpy().astype(np.uint8)}
    theirs = {image.tobytes() for image in bunch.images.astype(np.uint8)}
    assert ours == theirs


def test_digits_events_are_close_to_n_mnist(
    digits_events: tuple[FrameDataset, FrameDataset],
) -> None:
    train, test = digits_events
    assert (len(train), len(test)) == (1438, 359)
    assert train.sensor_size == (34, 34, 2) and train.classes == 10
    counts = train.batch(range(1438))[0].sum(dim=(1, 2, 3, 4))
    # Of 801 real N-MNIST recordings: 4,144 on average, 1,112 to 7,152.
    assert 3800 < counts.mean() < 4400 and counts.min() > 1112 and counts.max() < 7152
    on = train.batch(range(1438))[0][:, :, 1].sum() / counts.sum()
    assert 0.45 < on < 0.55
    # Every corner pixel block of 3x3, where triggers sit, is almost silent.
    assert train.batch(range(200))[0][..., -3:, -3:].mean() < 0.01


def test_digits_and_digits_events_share_their_split(
    digits_events: tuple[FrameDataset, FrameDataset],
) -> None:
    for part, images in zip(digits_events, load("digits"), strict=True):
        np.testing.assert_array_equal(part.labels, images.labels)


def test_the_seed_changes_the_camera_but_not_the_split(
    digits_events: tuple[FrameDataset, FrameDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    again = load("digits-events", seed=0)
    other = load("digits-events", seed=1)
    for first, same, changed in zip(digits_events, again, other, strict=True):
        np.testing.assert_array_equal(first.labels, changed.labels)
        np.testing.assert_array_equal(first.events(3), same.events(3))
        assert first.fingerprint == same.fingerprint != changed.fingerprint
        assert not np.array_equal(first.events(3), changed.events(3))


def test_digits_events_frames_are_their_events(
    digits_events: tuple[FrameDataset, FrameDataset],
) -> None:
    train, _ = digits_events
    for i in (0, 700, -1):
        assert torch.equal(train.bin(train.events(i)), train[i][0])
    timed, _ = load("digits-events", frames=4, binning="time")
    assert timed[0][0].sum() == len(train.events(0)) and timed[0][0].shape[0] == 4


def test_real_n_mnist_recordings_are_loaded_from_their_archive(data_root: Path) -> None:
    if not (data_root / "nmnist_sample.zip").is_file():
        pytest.skip("no nmnist_sample.zip in $SNNBD_DATA")
    train, test = load("nmnist", root=data_root)
    assert len(train) + len(test) == 801 and set(train.labels) == set(range(10))
    frames, _ = test.batch(range(len(test)))
    assert [int(f.sum()) for f in frames[:20]] == [len(test.events(i)) for i in range(20)]


def test_real_gesture_clips_come_as_the_test_part(
    data_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if not (data_root / "dvs_gesture_clips.zip").is_file():
        pytest.skip("no dvs_gesture_clips.zip in $SNNBD_DATA")
    with caplog.at_level(logging.WARNING):
        train, test = load("dvs-gesture", root=data_root)
    assert "dvs-gesture: 0 + 10 samples" in caplog.text
    assert len(train) == 0 and test.labels.tolist() == list(range(10))
    assert test.class_names[0] == "Hand clapping" and test.class_names[9] == "Air guitar"
    assert test.input_shape == (2, 128, 128) and test.batch([0])[0].sum() == len(test.events(0))


def test_real_mnist_is_loaded(data_root: Path) -> None:
    if not (data_root / "MNIST").is_dir():
        pytest.skip("no MNIST in $SNNBD_DATA")
    train, test = load("mnist", root=data_root)
    assert (len(train), len(test)) == (60_000, 10_000)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    # The mean and deviation that every tutorial normalises MNIST by.
    pixels = train.batch(range(60_000))[0].double()
    assert round(float(pixels.mean()), 4) == 0.1307 and round(float(pixels.std()), 4) == 0.3081


@pytest.mark.slow
def test_real_cifar10_is_loaded_from_its_archive_of_images(data_root: Path) -> None:
    if not (data_root / "cifar10_jpeg.tar.xz").is_file():
        pytest.skip("no cifar10_jpeg.tar.xz in $SNNBD_DATA")
    train, test = load("cifar10", root=data_root)
    assert np.bincount(train.labels).tolist() == [5000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    exact = np.load(data_root / "cifar10_train_first4000.npz", allow_pickle=False)
    # Known means per channel of the lossless set, in every tutorial.
    means = train.batch(range(0, 50_000, 10))[0].mean(dim=(0, 2, 3))
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=0.005)
    assert tuple(exact["names"]) == train.class_names


def test_a_part_of_mnist_is_used_as_it_is(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    held = {}
    for prefix, count in (("train", 5), ("t10k", 3)):
        images = draw.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = draw.integers(0, 10, count, dtype=np.uint8)
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))
        held[prefix] = (images, labels)
    for part, prefix in zip(load("mnist", root=tmp_path), held, strict=True):
        images, labels = held[prefix]
        np.testing.assert_allclose(part.batch(range(len(part)))[0][:, 0], images / 255, atol=1e-7)
        np.testing.assert_array_equal(part.labels, labels)


def cifar_records(count: int, seed: int) -> bytes:
    table = np.random.default_rng(seed).integers(0, 256, (count, 3073), dtype=np.uint8)
    table[:, 0] %= 10
    return table.tobytes()


@pytest.mark.parametrize("packed", [True, False])
def test_cifar10_binary_batches_are_read(tmp_path: Path, own_cache: Path, packed: bool) -> None:
    batches = {"data_batch_1": 4, "data_batch_2": 3, "test_batch": 2}
    contents = {name: cifar_records(count, count) for name, count in batches.items()}
    root = tmp_path / "data"
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name, data in contents.items():
        (folder / f"{name}.bin").write_bytes(data)
    if packed:
        with tarfile.open(root / "cifar-10-binary.tar.gz", "w:gz") as archive:
            archive.add(folder, folder.name)
        for path in folder.iterdir():
            path.unlink()
    train, test = load("cifar10", root=root)
    table = np.frombuffer(contents["data_batch_1"] + contents["data_batch_2"], np.uint8)
    table = table.reshape(7, 3073)
    assert train.labels.tolist() == table[:, 0].tolist() and len(test) == 2
    pixels = (train.batch(range(7))[0] * 255).round().numpy().reshape(7, -1)
    np.testing.assert_array_equal(pixels, table[:, 1:])


def test_cifar10_small_is_the_first_images_of_each_class_whatever_the_layout(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, count in (("train", 4), ("test", 2)):
        monkeypatch.setitem(cifar._SMALL, split, count)
    for name, count in (("data_batch_1", 120), ("test_batch", 90)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / f"{name}.bin").write_bytes(cifar_records(count, count))
    whole = load("cifar10", root=tmp_path / "bin")
    for part in whole:
        for label, name in enumerate(part.class_names):
            folder = tmp_path / "png" / part.split / name
            folder.mkdir(parents=True)
            for number, row in enumerate(np.flatnonzero(part.labels == label)):
                pixels = (part[int(row)][0].numpy() * 255).round().astype(np.uint8)
                Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{number:04d}.png")
    found, again = (load("cifar10-small", root=tmp_path / layout) for layout in ("bin", "png"))
    for part, same, all_images in zip(found, again, whole, strict=True):
        count = cifar._SMALL[part.split]
        assert part.fingerprint == same.fingerprint
        assert part.labels.tolist() == np.repeat(np.arange(10), count).tolist()
        first = np.flatnonzero(all_images.labels == 3)[:count]
        np.testing.assert_array_equal(
            part.batch(np.arange(3 * count, 4 * count))[0], all_images.batch(first)[0]
        )


@pytest.mark.parametrize("packed", [True, False])
def test_cifar10_image_files_are_read(tmp_path: Path, own_cache: Path, packed: bool) -> None:
    draw = np.random.default_rng(0)
    root = tmp_path / "data"
    pixels = {}
    for split, label in (("train", "cat"), ("train", "ship"), ("test", "dog")):
        folder = root / split / label
        folder.mkdir(parents=True)
        pixels[split, label] = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels[split, label]).save(folder / "0000.png")
    if packed:
        with tarfile.open(tmp_path / "cifar10_png.tar.xz", "w:xz") as archive:
            archive.add(root / "train", "train")
            archive.add(root / "test", "test")
            fork = tarfile.TarInfo("train/cat/._0000.png")  # as a Mac packs it
            fork.size = 120
            archive.addfile(fork, io.BytesIO(bytes(120)))
        (tmp_path / "._cifar10_png.tar.xz").write_bytes(bytes(120))
        root = tmp_path
    else:
        (root / "train" / "cat" / "._0000.png").write_bytes(bytes(120))
    train, test = load("cifar10", root=root)
    assert [train.class_names[label] for label in train.labels] == ["cat", "ship"]
    ours = (train[1][0] * 255).round().numpy().transpose(1, 2, 0)
    np.testing.assert_array_equal(ours, pixels["train", "ship"])
    assert test.labels.tolist() == [5]


def test_gestures_as_tonic_publishes_them(tmp_path: Path, own_cache: Path) -> None:
    events = random_events(0, 300, side=128)
    events["t"] = np.sort(events["t"] // 1000) * 1000
    table = np.stack([events["x"], events["y"], events["p"], events["t"] // 1000], axis=1)
    for split in ("ibmGestureTrain", "ibmGestureTest"):
        folder = tmp_path / "DVSGesture" / split / "user01_led"
        folder.mkdir(parents=True)
        np.save(folder / "10.npy", table.astype(np.float64))
        np.save(folder / "3.npy", table)
    train, test = load("dvs-gesture", root=tmp_path)
    assert train.labels.tolist() == [10, 3] and len(test) == 2 and train.classes == 11
    for i in (0, 1):
        np.testing.assert_array_equal(train.events(i), events)


def test_n_caltech101_is_split_by_class(tmp_path: Path, own_cache: Path) -> None:
    with zipfile.ZipFile(tmp_path / "Caltech101.zip", "w") as archive:
        for k, name in enumerate(("ant", "BACKGROUND_Google", "yin_yang")):
            for i in range(1, 6):
                events = random_events(10 * k + i, 50, side=170)
                archive.writestr(f"Caltech101/{name}/image_{i:04d}.bin", five_bytes(events))
    train, test = load("ncaltech101", root=tmp_path)
    names = [train.class_names[label] for label in test.labels]
    assert names == ["BACKGROUND_Google", "ant", "yin_yang"] and train.classes == 101
    assert np.bincount(train.labels)[[0, 7, 100]].tolist() == [4, 4, 4] and len(train) == 12
    assert train.input_shape == (2, 180, 240)


def test_other_recordings_of_n_caltech101_decide_nothing_about_one(
    tmp_path: Path, own_cache: Path
) -> None:
    def made_of(place: str, numbers: Sequence[int]) -> dict[str, set[bytes]]:
        for i in numbers:
            data = {f"Caltech101/{name}/image_{i:04d}.bin": held[name, i] for name in names}
            write(tmp_path / place, data)
        parts = load("ncaltech101", root=tmp_path / place, frames=1)
        return {part.split: {part.events(i).tobytes() for i in range(len(part))} for part in parts}

    names = ("ant", "yin_yang")
    held = {
        (name, i): five_bytes(random_events(100 * k + i, 50, side=170))
        for k, name in enumerate(names)
        for i in range(1, 31)
    }
    whole = made_of("whole", range(1, 31))
    assert {split: len(some) for split, some in whole.items()} == {"train": 48, "test": 12}
    for place, numbers in (("odd", range(1, 31, 2)), ("late", range(13, 31)), ("one", [4])):
        part = made_of(place, numbers)
        assert all(part[split] <= whole[split] for split in whole)
        assert sum(map(len, part.values())) == 2 * len(numbers)


def test_cifar10_dvs_originals_are_turned_as_in_spikingjelly(
    tmp_path: Path, own_cache: Path
) -> None:
    """x and y both counted from the other side, polarity inverted (its _load_origin_data)."""
    events = random_events(0, 60, side=128)
    data = aedat2(127 - events["x"], 127 - events["y"], events["t"], 1 - events["p"])
    for name in CIFAR10_CLASSES:
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"cifar10_{name}_{i}.aedat").write_bytes(data)
    train, test = load("cifar10-dvs", root=tmp_path)
    assert len(train) + len(test) == 30
    np.testing.assert_array_equal(train.events(5), events)


def test_special_events_of_a_camera_are_no_pixels(tmp_path: Path, own_cache: Path) -> None:
    """jAER sets bit 15 of a DVS128's address for a signal on its cable."""
    events = random_events(0, 60, side=128)
    data = aedat2(127 - events["x"], 127 - events["y"], events["t"], 1 - events["p"])
    head, words = data[: -60 * 8], np.frombuffer(data[-60 * 8 :], ">u4").reshape(-1, 2)
    special = words[[10, 30]] | np.array([0x8000, 0], ">u4")
    mixed = np.concatenate([words[:11], special[:1], words[11:31], special[1:], words[31:]])
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.aedat").write_bytes(head + mixed.astype(">u4").tobytes())
    train, _ = load("cifar10-dvs", root=tmp_path)
    np.testing.assert_array_equal(train.events(0), events)


def test_names_and_types_written_out_are_tonics() -> None:
    assert tuple(tonic.datasets.DVSGesture.classes) == GESTURE_CLASSES
    assert tuple(tonic.datasets.CIFAR10DVS.classes) == CIFAR10_CLASSES
    assert tonic.io.events_struct == EVENT_DTYPE


def test_loading_the_library_brings_no_slow_library() -> None:
    """A second each: scipy.stats, scikit-learn, tonic; pooch and PIL are needed by few."""
    slow = ("tonic", "sklearn", "skimage", "scipy", "pandas", "pooch", "requests", "PIL")
    code = (
        "import sys, types; room = types.ModuleType('snnbd_core');"
        f"room.__path__ = {list(snnbd_core.__path__)!r}; sys.modules['snnbd_core'] = room;"
        "import snnbd_core.data, snnbd_core.triggers, snnbd_core.poisoning;"
        f"print([name for name in {slow!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cifar10_dvs_of_tonic_goes_through_the_package_aedat(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the package: only our side of it is tested."""
    events = random_events(0, 60, side=128)
    packet = np.empty(60, [("t", "u8"), ("x", "u2"), ("y", "u2"), ("on", "?")])
    for theirs, ours in zip(packet.dtype.names or (), "txyp", strict=True):
        packet[theirs] = events[ours]

    class Decoder:
        def __init__(self, path: str) -> None:
            assert Path(path).read_bytes() == b"packed"

        def id_to_stream(self) -> dict[int, dict[str, str]]:
            return {0: {"type": "events"}}

        def __iter__(self) -> Any:
            return iter([{"stream_id": 0, "events": part} for part in (packet[:30], packet[30:])])

    package = ModuleType("aedat")
    package.Decoder = Decoder  # type: ignore[attr-defined]  # a stub
    package.__spec__ = io.__spec__
    monkeypatch.setitem(sys.modules, "aedat", package)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.aedat4").write_bytes(b"packed")
    train, test = load("cifar10-dvs", root=tmp_path)
    assert train.labels.tolist() == [3] and len(test) == 0
    np.testing.assert_array_equal(train.events(0), events)


def test_a_true_aedat4_file_is_read_by_the_package_aedat(tmp_path: Path, own_cache: Path) -> None:
    pytest.importorskip("aedat", reason="the package that decodes AEDAT 4 is not installed")
    events = random_events(0, 60, side=128)
    write(tmp_path, {"cat/1.aedat4": aedat4(events)})
    train, _ = load("cifar10-dvs", root=tmp_path)
    np.testing.assert_array_equal(train.events(0), events)
