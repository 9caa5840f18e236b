"""Damaged, mixed up and unreadable sets give the contract's errors, and leave nothing behind."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import lzma
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snnbd_core.data import CorruptData, DataNotFound, load, splits
from snnbd_core.data.aedat import aedat3
from snnbd_core.data.downloads import SOURCES, Source
from snnbd_core.data.pickles import unpickled
from snnbd_core.data.pictures import decoded
from snnbd_core.data.recordings import CutRecordings
from snnbd_core.data.stores import File, Folder

from .conftest import five_bytes, random_events, write_nmnist
from .layouts import (
    HEAD,
    MADE,
    Layout,
    aedat2,
    below,
    cifar_batch,
    gtsrb_files,
    idx,
    packed,
    polarity,
    sign_table,
    write,
    write_gestures,
    write_pickles,
)


class Program:
    """A pickle that would run a program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("exit 1",)


def nothing_cached(folder: Path) -> bool:
    return not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize("archive", [True, False])
def test_a_pickle_of_another_hash_is_never_opened(
    tmp_path: Path, own_cache: Path, archive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pickle.dumps(Program())
    files = {"cifar-10-batches-py/data_batch_1": data}
    if archive:
        packed(files, tmp_path / "cifar-10-python.tar.gz")
    else:
        write(tmp_path, files)
    monkeypatch.setattr("snnbd_core.data.pickles._Plain", None)  # calling it would raise TypeError
    with pytest.raises(CorruptData, match=r"data_batch_1: its md5 is .* is never opened"):
        load("cifar10", root=tmp_path)
    assert nothing_cached(own_cache)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (Program(), r"posix\.system is no part of an array"),
        ([1, 2], "holds a list; a mapping is needed"),
    ],
)
def test_a_pickle_of_a_known_hash_may_hold_arrays_only(values: Any, message: str) -> None:
    data = pickle.dumps(values)
    with pytest.raises(CorruptData, match=message):
        unpickled(data, hashlib.md5(data).hexdigest(), "a")
    cut = data[:-2]
    with pytest.raises(CorruptData, match="is no pickle of arrays"):
        unpickled(cut, hashlib.md5(cut).hexdigest(), "a")


def test_pickled_labels_that_do_not_match_are_refused(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = cifar_batch(3, 0, 10, "labels")
    batch["labels"].pop()
    write_pickles(tmp_path / "cifar-10-batches-py", {"test_batch": batch}, monkeypatch)
    with pytest.raises(CorruptData, match=r"test_batch: \(2,\) labels do not match data of \(3, "):
        load("cifar10", root=tmp_path)


TABLE = "GTSRB/Final_Training/Images/00007/GT-00007.csv"
TRUTH = "GT-final_test.csv"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {TRUTH: None},
            DataNotFound,
            r"but not GT-final_test\.csv \(from GTSRB_Final_Test_GT\.zip",
        ),
        (
            {f"GTSRB/Final_Test/Images/{i:05d}.ppm": None for i in range(3)},
            DataNotFound,
            r"but not Final_Test/Images/\*\.ppm",
        ),
        (
            {TRUTH: b"Filename;Width\r\n00000.ppm;3\r\n"},
            CorruptData,
            "line 2 has no Filename or no",
        ),
        (
            {TRUTH: sign_table([("00000.ppm", 1)]).encode()},
            CorruptData,
            r"GT-final_test\.csv: has no line for 00001\.ppm",
        ),
        (
            {TRUTH: sign_table([("00009.ppm", 1)]).encode()},
            CorruptData,
            r"line 2 names '00009\.ppm', which is not there",
        ),
        (
            {TRUTH: sign_table([("00000.ppm", 43)]).encode()},
            CorruptData,
            r"line 2: '43' is no class; 0\.\.42 is allowed",
        ),
        ({TRUTH: b"\xff\xfe\x00"}, CorruptData, "is no table of text"),
        (
            {TABLE: sign_table([(f"00000_0000{i}.ppm", 8) for i in range(2)]).encode()},
            CorruptData,
            r"GT-00007\.csv: says class 8 of 00000_00000\.ppm, which lies in the folder of class 7",
        ),
        (
            {"GTSRB/Final_Training/Images/00007/00000_00000.ppm": b"P6\n40 30\n255\n"},
            CorruptData,
            r"00000_00000\.ppm: is no readable image",
        ),
        (
            {"GTSRB/Final_Training/Images/00007/00000_00000.ppm": b"P6\n2x 30\n255\n"},
            CorruptData,
            r"00000_00000\.ppm: is no readable image",
        ),
        (
            {TRUTH: sign_table([("00000.ppm", 1), ("00000.ppm", 3)]).encode()},
            CorruptData,
            r"line 3 names '00000\.ppm' again",
        ),
        (
            {"GTSRB/Final_Training/Images/cat/1.ppm": b""},
            CorruptData,
            r"'cat' is no class; 0\.\.42 is allowed",
        ),
    ],
)
def test_damaged_gtsrb_is_named_and_nothing_is_cached(
    tmp_path: Path, own_cache: Path, change: dict[str, Any], error: Any, message: str
) -> None:
    files = gtsrb_files() | change
    write(tmp_path, {name: data for name, data in files.items() if data is not None})
    with pytest.raises(error, match=message):
        load("gtsrb", root=tmp_path)
    assert nothing_cached(own_cache)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_test": None}, "holds no y_test; needed: x_train"),
        ({"y_test": np.zeros(4, int)}, r"x_test of uint8 .* and y_test of \(4,\) do not match"),
        ({"x_train": np.zeros((2, 32, 32, 3))}, "x_train of float64"),
        ({"y_train": np.array([0, 43])}, r"y_train\[1\]: '43' is no class"),
        ({"y_train": np.array([0.5, 1])}, r"y_train\[0\]: '0\.5' is no class"),
        ({"x_test": np.array([{}])}, r"is no \.npz of numbers"),
        ({"y_train": np.array(3)}, r"y_train of \(\) do not match"),
    ],
)
def test_damaged_arrays_of_gtsrb_are_refused(
    tmp_path: Path, own_cache: Path, change: dict[str, Any], message: str
) -> None:
    held: dict[str, Any] = {}
    for split in ("train", "test"):
        held |= {f"x_{split}": np.zeros((2, 32, 32, 3), np.uint8), f"y_{split}": np.zeros(2, int)}
    held |= change
    path = tmp_path / "gtsrb.npz"
    np.savez(path, **{name: value for name, value in held.items() if value is not None})
    with pytest.raises(CorruptData, match=message) as caught:
        load("gtsrb", root=tmp_path)
    assert str(caught.value).startswith(str(path)) and nothing_cached(own_cache)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptData, match=r"is no \.npz of numbers"):
        load("gtsrb", root=tmp_path)


@pytest.mark.parametrize("kind", ["npy", "text"])
def test_what_is_no_archive_is_no_npz(tmp_path: Path, own_cache: Path, kind: str) -> None:
    path = tmp_path / "gtsrb.npz"
    if kind == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.write_text("not found")
    with pytest.raises(CorruptData, match=r"gtsrb\.npz: is no \.npz of numbers \(no zip archive\)"):
        load("gtsrb", root=tmp_path)


def test_an_npz_of_something_else_is_refused(tmp_path: Path, own_cache: Path) -> None:
    packed({name: b"text" for name in ("x_train", "y_train", "x_test")}, tmp_path / "gtsrb.npz")
    with pytest.raises(CorruptData, match=r"gtsrb\.npz: holds no x_train; needed"):
        load("gtsrb", root=tmp_path)


def test_an_archive_that_holds_a_set_twice_is_refused(tmp_path: Path, own_cache: Path) -> None:
    write_nmnist(tmp_path / "made")
    files = {name: (tmp_path / "made" / name).read_bytes() for name in below(tmp_path / "made")}
    twice = {f"{folder}/{name}": data for folder in ("a", "b") for name, data in files.items()}
    packed(twice, tmp_path / "whole" / "nmnist.zip")
    with pytest.raises(CorruptData, match=r"nmnist\.zip: holds Tr.* below 'a' and below 'b'; keep"):
        load("nmnist", root=tmp_path / "whole")
    assert nothing_cached(own_cache)


def test_a_picture_of_more_than_8_bits_is_refused() -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((32, 32), 30_000, np.uint16)).save(file, "PNG")
    grey = b"P5\n32 32\n65535\n" + bytes(2 * 32 * 32)
    for data in (file.getvalue(), grey):
        with pytest.raises(CorruptData, match=r"^a\.png: has more than 8 bits a colour"):
            decoded(data, "a.png")


def test_what_is_no_picture_is_told_without_an_address() -> None:
    with pytest.raises(CorruptData, match=r"^a\.png: is no readable image \(no JPEG, PNG or PP"):
        decoded(b"text", "a.png")


def test_a_recording_that_was_replaced_is_read_anew(tmp_path: Path, own_cache: Path) -> None:
    for seed in (5, 6):
        events = random_events(seed, 900, side=128)
        (tmp_path / "a.aedat").write_bytes(HEAD + polarity(events))
        last = int(events["t"][-1]) + 1
        cuts = CutRecordings(
            [File(Folder(tmp_path), "a.aedat")], [(0, 0, last)], aedat3, (128, 128, 2), 2**20
        )
        assert np.array_equal(cuts.read(0), events)


def removed(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def put(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def put_bytes(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(b"user\xff\xfe")


def cut(folder: Path) -> None:
    path = folder / "user02_lab.aedat"
    path.write_bytes(path.read_bytes()[:-20])


COLUMNS = "class,startTime_usec,endTime_usec\n"


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (removed("trials_to_test.txt"), DataNotFound, r"has no trials_to_test\.txt beside it"),
        (
            removed("user01_led_labels.csv"),
            DataNotFound,
            r"user01_led\.aedat has no table of labels",
        ),
        (put("trials_to_test.txt", ""), CorruptData, r"user24_led\.aedat: is named in neither of"),
        (
            put("trials_to_test.txt", "user24_led.aedat\nuser01_led.aedat\n"),
            CorruptData,
            r"trials_to_train\.txt: user01_led\.aedat is named twice, in trials_to_train\.txt and "
            r"trials_to_test\.txt; a recording belongs to one part",
        ),
        (
            put("trials_to_train.txt", "user01_led.aedat\n" * 2),
            CorruptData,
            r"user01_led\.aedat is named twice, in trials_to_train\.txt; a recording",
        ),
        (
            put_bytes("trials_to_train.txt"),
            CorruptData,
            r"trials_to_train\.txt: is no text \(.*utf",
        ),
        (put_bytes("user01_led_labels.csv"), CorruptData, r"user01_led_labels\.csv: is no text"),
        (put("user01_led_labels.csv", "a,b\n1,2\n"), CorruptData, "has no column class; needed"),
        (put("user01_led_labels.csv", ""), CorruptData, "has no column class; needed"),
        (put("user01_led_labels.csv", "a,b\n"), CorruptData, "has no column class; needed"),
        (put("user01_led_labels.csv", COLUMNS), CorruptData, "has no line below its header"),
        (
            put("user01_led_labels.csv", COLUMNS + "12,0,9\n"),
            CorruptData,
            r"label '12'; 1\.\.11 is",
        ),
        (
            put("user01_led_labels.csv", COLUMNS + "1,9,9\n"),
            CorruptData,
            "line 2 ends at 9 us, befo",
        ),
        (put("user01_led_labels.csv", COLUMNS + "1,x,9\n"), CorruptData, "line 2 holds 1, x, 9"),
        (
            put("user01_led_labels.csv", COLUMNS + "1,99999999,999999999\n"),
            CorruptData,
            r"user01_led\.aedat, 99999999\.\.999999999 us: holds no event",
        ),
        (cut, CorruptData, r"user02_lab\.aedat: byte \d+: cut short within"),
    ],
)
def test_damaged_gestures_of_the_original_are_named(
    tmp_path: Path, own_cache: Path, damage: Callable[[Path], object], error: Any, message: str
) -> None:
    write_gestures(tmp_path)
    damage(tmp_path)
    with pytest.raises(error, match=message):
        load("dvs-gesture", root=tmp_path)
    assert nothing_cached(own_cache)


def test_a_gesture_recording_that_is_listed_and_absent_is_named(
    tmp_path: Path, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_gestures(tmp_path)
    (tmp_path / "user02_lab.aedat").unlink()
    train, test = load("dvs-gesture", root=tmp_path, frames=1)
    assert (len(train), len(test)) == (3, 3)
    warned = [line.message for line in caplog.records if line.levelname == "WARNING"]
    told = "dvs-gesture: {} names user02_lab.aedat, which is not there"
    assert told.format(tmp_path / "trials_to_train.txt") in warned


EVENTS = random_events(0, 20, side=128)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "byte 0: does not begin with #!AER-DAT3"),
        (b"#!AER-DAT2.0\r\n", "byte 0: does not begin with #!AER-DAT3"),
        (b"#!AER-DAT3.1", "byte 0: this line of the header has no end"),
        (HEAD, "one event or more is needed"),
        (HEAD + bytes(12), "cut short within the header of a packet"),
        (HEAD + b"\xff" * 28, f"byte {len(HEAD)}: begins no packet of AEDAT 3.1"),
        (HEAD + polarity(EVENTS)[:-4], "cut short within the packet that begins at byte"),
        (HEAD + polarity(EVENTS[::-1]), "times never fall"),
        (HEAD + polarity(random_events(0, 20, side=200)), r"has [xy]=\d+; 0\.\.127 is allowed"),
    ],
)
def test_damaged_aedat_3_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(CorruptData, match=message) as caught:
        aedat3(data, (128, 128, 2), "some.aedat")
    assert str(caught.value).startswith("some.aedat: ")


def test_a_recording_of_cifar10_dvs_without_a_number_is_refused(
    tmp_path: Path, own_cache: Path
) -> None:
    write(tmp_path, {"frog/first.aedat": aedat2([1], [1], [1], [1])})
    with pytest.raises(CorruptData, match=r"first\.aedat: its name ends in no number"):
        load("cifar10-dvs", root=tmp_path)


def test_a_recording_in_a_folder_that_a_split_does_not_list_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"newt/newt_1.aedat": b""})
    file = File(Folder(tmp_path), "newt/newt_1.aedat")
    with pytest.raises(
        CorruptData, match=r"newt_1\.aedat: the set has no folder 'newt'; allowed: air"
    ):
        splits.listed("cifar10-dvs", [file])


def test_an_edited_list_of_a_split_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(splits.SHA256, "cifar10-dvs", "0" * 64)
    with pytest.raises(CorruptData, match=r"cifar10-dvs\.txt: is not the list that was published"):
        splits.numbers("cifar10-dvs")


@pytest.mark.parametrize(
    "name",
    [
        "nmnist, zips",
        "cifar10, binary tar",
        "cifar100, binary tar",
        "gtsrb, zips",
        "nmnist, one zip",
        "cifar10, pictures tar",
    ],
)
def test_an_archive_with_the_name_but_not_the_hash_of_a_published_one_is_told(
    name: str,
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its samples are there all the same; archives of other names are nobody's but the user's."""
    root, layout = tmp_path / "data", MADE[name]
    layout.make(root, monkeypatch)
    layout.load(root)
    published = {Path(place).name for place in SOURCES[layout.name]}
    paths = sorted(path for path in root.iterdir() if path.name in published)
    told = [line for line in caplog.messages if "has the name of the published file" in line]
    assert len(told) == len(paths) == len(layout.archives) * (published >= set(layout.archives))
    for path, line in zip(paths, sorted(told), strict=True):
        assert line.startswith(f"{layout.name}: {path} has the name of the published file")
    known = {
        place: Source("", f"md5:{hashlib.md5((root / Path(place).name).read_bytes()).hexdigest()}")
        for place in SOURCES[layout.name]
        if paths
    }
    monkeypatch.setitem(SOURCES, layout.name, known)
    caplog.clear()
    layout.load(root)
    assert "has the name" not in caplog.text


def test_more_images_than_mnist_has_are_another_set(tmp_path: Path) -> None:
    data = gzip.compress(idx(np.zeros((60_001, 1, 1), np.uint8)), 1)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(data)
    with pytest.raises(CorruptData, match=r"ubyte\.gz: holds 60001 samples, MNIST 60000; EMNIST"):
        load("mnist", root=tmp_path)


def test_a_damaged_archive_beside_half_a_set_is_not_passed_over(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MADE["nmnist, zips"].make(tmp_path / "data", monkeypatch)
    path = tmp_path / "data" / "test.zip"
    path.write_bytes(path.read_bytes()[:-40])
    told = (
        r"test\.zip: is no readable zip archive .*; Test/\*/\*\.bin was found nowhere else and may"
    )
    with pytest.raises(CorruptData, match=told):
        load("nmnist", root=tmp_path / "data", frames=1)


def test_a_damaged_archive_of_another_set_does_not_matter(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = MADE["gtsrb, pictures"]
    layout.make(tmp_path / "data", monkeypatch)
    write(tmp_path / "data", {"other.zip": b"PK no more", "folder.zip/a": b""})
    assert len(layout.load(tmp_path / "data")[0])


@pytest.fixture(params=MADE)
def layout(request: pytest.FixtureRequest) -> Layout:
    """Each of the layouts that can be read here."""
    found = MADE[request.param]
    if found.package is not None:
        pytest.importorskip(found.package, reason=f"{request.param} needs this package")
    return found


def test_the_folder_of_another_set_is_not_taken(
    layout: Layout, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.make(tmp_path / "data", monkeypatch)
    for name in {other.name for other in MADE.values()} - {layout.name}:
        with pytest.raises(DataNotFound, match=f"^{name}: "):
            load(name, root=tmp_path / "data")


def test_a_class_that_is_absent_is_named_and_moves_no_label(
    layout: Layout,
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gone = len(layout.classes) // 2
    labels = layout.make(tmp_path / "data", monkeypatch, absent=[gone])
    _, test = layout.load(tmp_path / "data")
    assert sorted(set(test.labels.tolist())) == labels
    told = f"{layout.name}: no test sample of class {layout.classes[gone]}"
    assert ("WARNING", told) in [(line.levelname, line.message) for line in caplog.records]


@pytest.mark.parametrize("version", ["binary", "pickles", "archive"])
def test_an_official_batch_that_is_absent_is_named_each_time(
    version: str,
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    root = tmp_path / "data"
    MADE["cifar10, pickles" if version == "pickles" else "cifar10, binary"].make(root, monkeypatch)
    for path in [*root.rglob("data_batch_[24]*")]:
        path.unlink()
    if version == "archive":
        packed({f"b/{p.name}": p.read_bytes() for p in root.rglob("*.bin")}, root / "cifar10.tar")
        shutil.rmtree(root / "cifar-10-batches-bin")
    for _ in range(2):
        caplog.clear()
        load("cifar10", root=root)
        assert caplog.messages[-1].endswith("holds no data_batch_2, data_batch_4")


def test_a_folder_that_is_no_class_of_caltech101_is_refused(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MADE["ncaltech101"].make(tmp_path / "data", monkeypatch)
    write(tmp_path / "data", {"Caltech101/Faces/image_0001.bin": five_bytes(EVENTS)})
    with pytest.raises(CorruptData, match="its folder 'Faces' is none of the classes BACKGROUND_G"):
        load("ncaltech101", root=tmp_path / "data")


def test_companions_that_a_mac_adds_are_no_samples(
    layout: Layout, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.make(tmp_path / "alone", monkeypatch)
    layout.make(tmp_path / "both", monkeypatch, companions=True)
    alone, both = (
        [part.fingerprint for part in layout.load(tmp_path / name)] for name in ("alone", "both")
    )
    assert both == alone


@pytest.mark.parametrize("gone", ["train", "test"])
def test_a_part_that_is_absent_is_told(
    layout: Layout,
    gone: str,
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is refused by the set's name, or the part is empty and the log warns of it by name."""
    layout.make(tmp_path / "data", monkeypatch, without=gone)
    try:
        train, test = layout.load(tmp_path / "data")
    except (DataNotFound, CorruptData) as error:
        assert layout.name in str(error)
        return
    assert {"train": len(train), "test": len(test)}[gone] == 0 < len(train) + len(test)
    warned = [line.message for line in caplog.records if line.levelname == "WARNING"]
    assert any(line.endswith(f"; the {gone} part is empty") for line in warned)


def test_a_file_that_is_cut_short_is_named(
    layout: Layout, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.make(tmp_path / "data", monkeypatch)
    files = [path for path in sorted((tmp_path / "data").rglob("*")) if path.is_file()]
    longest = max(files, key=lambda path: path.stat().st_size)
    longest.write_bytes(longest.read_bytes()[:-41])
    with pytest.raises(CorruptData) as caught:
        layout.load(tmp_path / "data")
    assert longest.name in str(caught.value)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz"])
@pytest.mark.parametrize("damage", ["a header", "the end", "a picture"])
def test_a_damaged_archive_of_pictures_is_refused(
    suffix: str, damage: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tarfile takes a damaged header for the end; a plain .tar has no checksum of its contents."""
    MADE["cifar10, pictures"].make(tmp_path / "made", monkeypatch)
    files = {
        f"{name}": (tmp_path / "made" / name).read_bytes() for name in below(tmp_path / "made")
    }
    path = tmp_path / "data" / f"cifar10.{suffix}"
    packed(files, tmp_path / "whole.tar")
    data = bytearray((tmp_path / "whole.tar").read_bytes())
    place = data.index(b"train/ship/0.png")
    if damage == "a header":
        data[place + 3] ^= 1
    elif damage == "the end":
        del data[place:]
    else:
        data[data.index(b"IDAT", place) + 100] ^= 1
    path.parent.mkdir()
    pack = {"tar": bytes, "tar.gz": gzip.compress, "tar.xz": lzma.compress}[suffix]
    path.write_bytes(pack(bytes(data)))
    with pytest.raises(CorruptData, match=rf"cifar10\.{suffix}") as caught:
        load("cifar10", root=path.parent)
    assert ("is no readable image" in str(caught.value)) is (damage == "a picture")
    assert nothing_cached(own_cache)


def test_a_packed_archive_is_read_to_its_checksum(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pixels of a binary batch have no checksum of their own."""
    MADE["cifar10, binary tar"].make(tmp_path / "data", monkeypatch)
    (path,) = (tmp_path / "data").iterdir()
    data = bytearray(path.read_bytes())
    data[-8] ^= 1  # the checksum of all that is packed; then follows its length
    path.write_bytes(data)
    with pytest.raises(CorruptData, match=r"cifar-10-binary\.tar\.gz: cannot be unpacked .*CRC"):
        load("cifar10", root=tmp_path / "data")
    assert nothing_cached(own_cache)


def test_a_file_that_may_not_be_read_is_named_with_the_remedy(
    layout: Layout, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: the tests may run as root, whom no mode bits stop."""
    layout.make(tmp_path / "data", monkeypatch)
    opened = io.open

    def refused(path: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(path, str | Path) and tmp_path / "data" in Path(path).parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *rest, **more)

    monkeypatch.setattr(io, "open", refused)  # which pathlib and zipfile look up there
    with pytest.raises(
        PermissionError, match=r"this user may not read it\. Change its mode"
    ) as caught:
        layout.load(tmp_path / "data")
    assert str(tmp_path / "data") in str(caught.value) and nothing_cached(own_cache)


def test_a_folder_that_may_not_be_read_is_not_passed_over(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_nmnist(tmp_path)
    scanned = os.scandir

    def refused(path: Any) -> Any:
        if Path(path).name == "1":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scanned(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError, match=r"Train/1: this user may not read it"):
        load("nmnist", root=tmp_path)


def test_a_disk_that_fills_during_conversion_leaves_nothing(
    layout: Layout, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MNIST is read as it is: nothing is converted, and a full disk does not matter."""

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    layout.make(tmp_path / "data", monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        if layout.name == "mnist":
            assert len(layout.load(tmp_path / "data")[1])
            return
        with pytest.raises(OSError, match=r"no space left in .*SNNBD_CACHE") as caught:
            layout.load(tmp_path / "data")
    assert caught.value.errno == errno.ENOSPC and nothing_cached(own_cache)
    assert len(layout.load(tmp_path / "data")[1])
