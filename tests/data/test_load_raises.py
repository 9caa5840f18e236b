"""Bad input gives the contract's errors, and leaves no half-written file behind."""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnbd_core.data import _EMBEDDED, NAMES, CorruptData, DataNotFound, ImageDataset, load
from snnbd_core.data.aedat import aedat4 as read_aedat4
from snnbd_core.data.downloads import BY_HAND, SOURCES, Source, fetch
from snnbd_core.data.mnist import read_idx
from snnbd_core.data.recordings import gesture_npy

from .conftest import five_bytes, random_events, write_nmnist
from .layouts import aedat2, aedat4, idx, write
from .test_load import cifar_records

FILE_SETS = (
    "mnist",
    "cifar10",
    "cifar100",
    "gtsrb",
    "nmnist",
    "dvs-gesture",
    "cifar10-dvs",
    "ncaltech101",
)


@pytest.fixture
def root(tmp_path: Path, own_cache: Path) -> Path:
    write_nmnist(tmp_path / "data")
    return tmp_path / "data"


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match="data set 'cifar' is unknown; allowed are digits-events,"):
        load("cifar")


@pytest.mark.parametrize("frames", [0, 1.5])
def test_bad_frames_are_refused_for_every_set(frames: Any) -> None:
    for name in ("digits-events", "digits", "nmnist"):
        with pytest.raises(ValueError, match=f"frames={frames} must be a whole number"):
            load(name, frames=frames)


def test_a_bad_seed_or_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="seed=-1 must be a whole number >= 0"):
        load("digits-events", seed=-1)
    with pytest.raises(ValueError, match="binning='x' is unknown; allowed: number, time"):
        load("digits-events", binning="x")


@pytest.mark.parametrize("name", FILE_SETS)
def test_missing_data_names_set_folder_and_remedy(
    name: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SNNBD_DATA", raising=False)
    with pytest.raises(DataNotFound, match=rf"^{name}: .*SNNBD_DATA") as caught:
        load(name, root=tmp_path)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(DataNotFound, match=rf"^{name}: there is no folder .*none.*SNNBD_DATA"):
        load(name, root=tmp_path / "none")
    with pytest.raises(DataNotFound, match=f"^{name}: {re.escape(str(own_cache))}"):
        load(name)
    monkeypatch.setenv("SNNBD_DATA", str(tmp_path / "set"))
    with pytest.raises(DataNotFound, match=f"no folder {re.escape(str(tmp_path / 'set'))}"):
        load(name)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"holds no event \(0 bytes\)"),
        (five_bytes(random_events(0, 100))[:-1], r"record 99 \(byte 495\) is cut short"),
        (bytes(range(1, 251)), r"record \d+ \(byte \d+\) has [xy]=\d+; 0\.\.33 is allowed"),
    ],
)
def test_one_corrupt_recording_is_named_and_nothing_is_cached(
    root: Path, own_cache: Path, data: bytes, message: str
) -> None:
    path = root / "Train" / "1" / "00002.bin"
    path.write_bytes(data)
    with pytest.raises(CorruptData, match=message) as caught:
        load("nmnist", root=root)
    assert str(caught.value).startswith(f"{path}: ")
    assert list(own_cache.iterdir()) == []


def test_a_recording_with_fewer_events_than_frames_is_named(root: Path, own_cache: Path) -> None:
    path = root / "Train" / "0" / "00001.bin"
    path.write_bytes(five_bytes(random_events(0, 9)))
    with pytest.raises(ValueError, match="frames=16 is more than the recording's 9 events") as e:
        load("nmnist", root=root)
    assert str(path) in str(e.value)
    assert list(own_cache.iterdir()) == []


def test_a_folder_that_is_no_class_is_refused(root: Path) -> None:
    (root / "Train" / "0").rename(root / "Train" / "zero")
    with pytest.raises(CorruptData, match="its folder 'zero' is none of the classes 0, 1, 2"):
        load("nmnist", root=root)


def test_a_damaged_archive_is_named(tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "nmnist.zip").write_bytes(b"PK\x03\x04 nothing more")
    with pytest.raises(CorruptData, match=r"nmnist\.zip: is no readable zip archive"):
        load("nmnist", root=tmp_path)


def test_a_damaged_member_of_an_archive_is_named(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "nmnist.zip"
    data = five_bytes(random_events(0, 100))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Train/0/1.bin", data)
        archive.writestr("Test/0/2.bin", data)
    whole = bytearray(path.read_bytes())
    whole[whole.index(data) + 3] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(CorruptData, match=r"nmnist\.zip!Train/0/1\.bin: Bad CRC-32"):
        load("nmnist", root=tmp_path)
    assert list(own_cache.iterdir()) == []


def clips(root: Path, table: str) -> Path:
    for name in ("01.bin", "02.bin"):
        (root / name).write_bytes(five_bytes(random_events(0, 50, side=128)))
    (root / "labels.csv").write_text(table)
    return root


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,label\n01.bin,1\n", r"labels\.csv: has no line for 02\.bin"),
        ("file,label\n01.bin,1\n03.bin,2\n", r"labels\.csv: line 3 names '03\.bin'; no such clip"),
        ("file,label\n01.bin,1\n01.bin,2\n", r"labels\.csv: line 3 names '01\.bin'; no such clip"),
        ("file,label\n01.bin,0\n02.bin,2\n", r"line 2 has label '0'; 1\.\.11 is allowed"),
        ("file,label\n01.bin,12\n02.bin,2\n", r"line 2 has label '12'; 1\.\.11 is allowed"),
        ("name,class\n01.bin,1\n", r"line 2 names None"),
        ("", r"labels\.csv: has no line for 01\.bin, 02\.bin"),
    ],
)
def test_a_labels_file_that_does_not_match_is_refused(
    tmp_path: Path, own_cache: Path, table: str, message: str
) -> None:
    with pytest.raises(CorruptData, match=message):
        load("dvs-gesture", root=clips(tmp_path, table))


def test_mnist_labels_that_do_not_match_are_refused(tmp_path: Path) -> None:
    for prefix in ("train", "t10k"):
        images, labels = np.zeros((4, 28, 28), np.uint8), np.zeros(3, np.uint8)
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))
    with pytest.raises(CorruptData, match=r"train-labels-idx1-ubyte: .*\(3,\) labels do not match"):
        load("mnist", root=tmp_path)


def test_labels_that_do_not_match_are_refused_by_the_data_set_too() -> None:
    images = np.zeros((3, 1, 2, 2), np.uint8)
    with pytest.raises(CorruptData, match="made train: 2 labels do not match 3 samples"):
        ImageDataset("made", "train", images, [0, 1], ("a", "b"))
    with pytest.raises(CorruptData, match=r"sample 1 has label 2; 0\.\.1 is allowed"):
        ImageDataset("made", "train", images, [0, 2, 1], ("a", "b"))


def test_a_set_with_mnists_names_and_size_is_not_taken_for_mnist(tmp_path: Path) -> None:
    images = gzip.compress(idx(np.zeros((60_000, 28, 28), np.uint8)), 1)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(images)
    with pytest.raises(CorruptData, match="size of MNIST's original but not its contents"):
        load("mnist", root=tmp_path)


def test_a_truncated_mnist_file_is_refused(tmp_path: Path) -> None:
    data = gzip.compress(idx(np.zeros((4, 28, 28), np.uint8)))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(data[:-12])
    with pytest.raises(CorruptData, match=r"train-images-idx3-ubyte\.gz: cannot be unpacked"):
        load("mnist", root=tmp_path)


def test_idx_files_of_wrong_size_or_kind_are_refused() -> None:
    good = idx(np.zeros((2, 3), np.uint8))
    with pytest.raises(CorruptData, match=r"need 18 bytes, there are 17; byte 17 is the first mis"):
        read_idx(good[:-1], "a")
    with pytest.raises(CorruptData, match=r"there are 19; byte 18 is the first too many"):
        read_idx(good + b"0", "a")
    for bad in (b"", b"\0\0", b"\0\0\x0d\x01" + good[4:], b"PK" + good):
        with pytest.raises(CorruptData, match="a: byte 0 does not start an IDX file"):
            read_idx(bad, "a")


@pytest.mark.parametrize(
    ("member", "data", "message"),
    [
        ("b/data_batch_1.bin", cifar_records(2, 0)[:-1], r"record 1 \(byte 3073\) is cut short"),
        ("b/test_batch.bin", b"\x0a" * 3073, r"record 0 \(byte 0\) has label 10; 0\.\.9"),
        ("train/cat/1.jpg", b"\xff\xd8 no picture", r"train/cat/1\.jpg: is no readable image"),
        ("train/lion/1.jpg", b"", r"its folder 'lion' is none of the classes airplane"),
        ("readme.txt", b"", "holds no CIFAR-10 batch or image"),
    ],
)
def test_corrupt_cifar10_archives_are_refused(
    tmp_path: Path, own_cache: Path, member: str, data: bytes, message: str
) -> None:
    with tarfile.open(tmp_path / "cifar10.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo(member)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    with pytest.raises(CorruptData, match=message):
        load("cifar10", root=tmp_path)
    assert not own_cache.exists() or list(own_cache.iterdir()) == []


def test_a_truncated_archive_of_images_is_refused(tmp_path: Path, own_cache: Path) -> None:
    with tarfile.open(tmp_path / "whole.tar.xz", "w:xz") as archive:
        info = tarfile.TarInfo("data_batch_1.bin")
        info.size = 3073 * 20
        archive.addfile(info, io.BytesIO(cifar_records(20, 0)))
    data = (tmp_path / "whole.tar.xz").read_bytes()
    (tmp_path / "cifar10.tar.xz").write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptData, match=r"cifar10\.tar\.xz: cannot be unpacked"):
        load("cifar10", root=tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((3, 3)), r"has shape \(3, 3\)"),
        (np.full((3, 4), 0.5), r"record 0 is \[0\.5, .*not whole numbers"),
        (np.full((3, 4), np.nan), r"record 0 is .*not whole numbers"),
        (np.full((3, 4), 200), r"event 0 has x=200; 0\.\.127 is allowed"),
        (np.full((3, 4), 65536 * 16), r"event 0 has x=1048576"),
        (np.array([{}]), "is no numeric .npy array"),
    ],
)
def test_corrupt_gestures_are_refused(
    tmp_path: Path, own_cache: Path, table: Any, message: str
) -> None:
    folder = tmp_path / "ibmGestureTrain" / "user01_led"
    folder.mkdir(parents=True)
    np.save(folder / "0.npy", table, allow_pickle=True)
    with pytest.raises(CorruptData, match=message) as caught:
        load("dvs-gesture", root=tmp_path)
    assert str(caught.value).startswith(str(folder / "0.npy"))
    (folder / "0.npy").rename(folder / "11.npy")
    with pytest.raises(CorruptData, match=r"its name '11' is none of the classes 0\.\.10"):
        load("dvs-gesture", root=tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"random bytes", b"#", aedat2([1], [1], [1], [1])[:40], b"#!AER-DAT9\r\n" * 3]
)
def test_corrupt_cifar10_dvs_recordings_are_refused(
    tmp_path: Path, own_cache: Path, data: bytes
) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.aedat").write_bytes(data)
    with pytest.raises(CorruptData, match=r"cat/1\.aedat: "):
        load("cifar10-dvs", root=tmp_path)


def test_aedat4_without_its_package_names_the_package(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aedat", None)
    write(tmp_path, {"cat/1.aedat4": b""})
    with pytest.raises(ModuleNotFoundError, match="needs the package aedat"):
        load("cifar10-dvs", root=tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"random bytes",
        aedat4(random_events(0, 60, side=128))[:400],
        aedat4(random_events(0, 60, side=128))[:-1],
        aedat4(random_events(0, 60, side=128)).replace(b"EVTS</attr>", "é<<</at>".encode()),
        aedat4(random_events(0, 60, side=200)),
    ],
)
def test_damaged_aedat4_is_refused(data: bytes) -> None:
    """The last but one makes the package panic, which Python sees as no Exception."""
    pytest.importorskip("aedat", reason="the package that decodes AEDAT 4 is not installed")
    with pytest.raises(CorruptData, match=r"^one\.aedat4: "):
        read_aedat4(data, (128, 128, 2), "one.aedat4")


def test_no_permission_in_the_cache_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Simulated: the tests may run as root, whom no mode bits stop.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="SNNBD_CACHE"):
        load("nmnist", root=root)


def test_a_full_disk_while_caching_is_told_and_leaves_nothing(
    root: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"no space left in .*SNNBD_CACHE") as caught:
            load("nmnist", root=root)
    assert caught.value.errno == errno.ENOSPC
    assert list(own_cache.iterdir()) == []
    assert len(load("nmnist", root=root)[0]) == 4


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A web server on this machine; ``/broken/...`` promises more bytes than it sends."""
    held: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = held[self.path]
            more = 100 if self.path.startswith("/broken") else 0
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) + more))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}", held
        web.shutdown()
        thread.join()


MD5 = "md5:5d41402abc4b2a76b9719d911017c592"  # of b"hello"


def test_a_download_with_the_right_hash_is_kept(
    tmp_path: Path, server: tuple[str, dict[str, bytes]]
) -> None:
    address, held = server
    held["/hello"] = b"hello"
    fetch(Source(f"{address}/hello", MD5), tmp_path / "hello.gz", "mnist")
    assert (tmp_path / "hello.gz").read_bytes() == b"hello"
    held["/hello"] = b"not asked for again"
    fetch(Source(f"{address}/hello", MD5), tmp_path / "hello.gz", "mnist")
    assert (tmp_path / "hello.gz").read_bytes() == b"hello"


def test_a_download_with_a_wrong_hash_is_not_kept(
    tmp_path: Path, server: tuple[str, dict[str, bytes]]
) -> None:
    address, held = server
    held["/hello"] = b"hel"
    with pytest.raises(CorruptData, match=r"hello\.gz: what came from http.* has a wrong hash"):
        fetch(Source(f"{address}/hello", MD5), tmp_path / "hello.gz", "mnist")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_is_not_kept(
    tmp_path: Path, server: tuple[str, dict[str, bytes]]
) -> None:
    address, held = server
    held["/broken/hello"] = b"hel"
    with pytest.raises(DataNotFound, match=r"mnist: could not fetch http.*by hand as hello.gz"):
        fetch(Source(f"{address}/broken/hello", MD5), tmp_path / "hello.gz", "mnist")
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_cifar10_with_too_few_images_of_a_class_is_refused(
    tmp_path: Path, own_cache: Path
) -> None:
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / f"{name}.bin").write_bytes(cifar_records(60, 0))
    wanted = r"cifar10-small: .* holds \d+ train images of class airplane; 800 are needed. Put"
    with pytest.raises(DataNotFound, match=wanted):
        load("cifar10-small", root=tmp_path)


def test_sets_that_cannot_be_downloaded_say_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not possible for 'dvs-gesture'; allowed for: cifar10, c"):
        load("dvs-gesture", root=tmp_path, download=True)
    with pytest.raises(DataNotFound, match=r"Unpack both archives \(https://.* into it, or pass"):
        load("dvs-gesture", root=tmp_path)
    assert SOURCES.keys() | BY_HAND.keys() == set(NAMES) - set(_EMBEDDED)


def _npy(shape: tuple[int, ...]) -> bytes:
    """The header of an array of that shape, without its data."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return header.getvalue()


def _one_row(t: float) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([[1.0, 1.0, 1.0, t]]))
    return stream.getvalue()


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04junk", b"", _npy((10**13, 4)), _one_row(1e300), _one_row(-1e17)]
)
def test_damaged_gesture_arrays_are_corrupt_data_and_nothing_else(data: bytes) -> None:
    with pytest.raises(CorruptData, match=r"^one\.npy: "):
        gesture_npy(data, (128, 128, 2), "one.npy")


def test_a_million_frames_are_refused_before_memory_is_taken(root: Path, own_cache: Path) -> None:
    with pytest.raises(ValueError, match="frames=1000000 is more than the recording's"):
        load("nmnist", root=root, frames=10**6)
    assert list(own_cache.iterdir()) == []
