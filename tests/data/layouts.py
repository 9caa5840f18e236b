"""Files in the true formats of the published sets, written from their descriptions."""

from __future__ import annotations

import csv
import io
import pickle
import re
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snnbd_core.data import cifar, load, splits
from snnbd_core.data.event_sets import CALTECH_CLASSES, CIFAR10_CLASSES, NMNIST_CLASSES
from snnbd_core.data.gestures import GESTURE_CLASSES
from snnbd_core.data.gtsrb import GTSRB_CLASSES
from snnbd_core.data.pickles import Published

from .conftest import five_bytes, random_events


def cifar_batch(count: int, seed: int, classes: int, field: str) -> dict[str, Any]:
    """What a pickled batch of CIFAR holds."""
    draw = np.random.default_rng(seed)
    data = draw.integers(0, 256, (count, 3072), dtype=np.uint8)
    labels = draw.integers(0, classes, count).tolist()
    return {"batch_label": "training batch 1 of 5", "data": data, field: labels}


def write_pickles(
    folder: Path, batches: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, kind: str = "_TEN"
) -> None:
    """Pickles as torchvision's, made known as the published ones."""
    import hashlib

    folder.mkdir(parents=True)
    known = dict(getattr(cifar, kind).pickles)
    for name, values in batches.items():
        data = pickle.dumps(values, protocol=2)
        (folder / name).write_bytes(data)
        known[name] = Published(known[name].split, hashlib.md5(data).hexdigest())
    for name, found in known.items():
        monkeypatch.setitem(getattr(cifar, kind).pickles, name, found)


def ppm(seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    """A photograph as GTSRB has them: binary PPM of any size."""
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return b"P6\n%d %d\n255\n" % size + pixels.tobytes()


def sign_table(rows: list[tuple[str, int]]) -> str:
    """A ``GT-*.csv`` with its columns, sizes and boxes made up."""
    out = io.StringIO()
    table = csv.writer(out, delimiter=";", lineterminator="\r\n")
    table.writerow(
        ["Filename", "Width", "Height", "Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "ClassId"]
    )
    for name, label in rows:
        table.writerow([name, 40, 30, 5, 5, 35, 25, label])
    return out.getvalue()


def gtsrb_files(
    training: str = "Final_Training/Images", labels: Sequence[int] = (0, 7, 42)
) -> dict[str, bytes]:
    """Path -> contents of a small GTSRB: two of each class for training, one for testing."""
    files: dict[str, bytes] = {}
    for label in labels:
        names = [f"00000_{i:05d}.ppm" for i in range(2)]
        for i, name in enumerate(names):
            files[f"GTSRB/{training}/{label:05d}/{name}"] = ppm(10 * label + i, (25 + label, 32))
        table = sign_table([(name, label) for name in names])
        files[f"GTSRB/{training}/{label:05d}/GT-{label:05d}.csv"] = table.encode()
    for i in range(len(labels)):
        files[f"GTSRB/Final_Test/Images/{i:05d}.ppm"] = ppm(1000 + i)
    turned = [*labels[-1:], *labels[:-1]]
    told = sign_table([(f"{i:05d}.ppm", label) for i, label in enumerate(turned)])
    files["GT-final_test.csv"] = told.encode()
    return files


def write(root: Path, files: Mapping[str, bytes]) -> None:
    """The files below a folder."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def resized(data: bytes) -> np.ndarray[Any, Any]:
    """A picture as PIL resizes it, [3, 32, 32]."""
    image = Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1)


def idx(array: Any) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def aedat2(x: Any, y: Any, t: Any, p: Any) -> bytes:
    address = (np.asarray(x) << 8) | (np.asarray(y) << 1) | np.asarray(p)
    words = np.stack([address, t], axis=1).astype(">u4")
    return b"#!AER-DAT2.0\r\n# made for a test\r\n" + words.tobytes()


def aedat4(events: np.ndarray[Any, Any]) -> bytes:
    """AEDAT 4.0, not compressed: a header with a description in XML, and two packets of events.

    Both are flatbuffers with their length before them: the root's place, the file's identifier, the
    table of fields' places, the root itself and what it points to.
    """
    node, attr = '<node name="{}" path="/{}/">', '<attr key="{}" type="{}">{}</attr>'
    told = attr.format("typeIdentifier", "string", "EVTS") + node.format("info", "outInfo/0/info")
    told += "".join(attr.format(f"size{axis}", "int", 128) for axis in "XY") + "</node>"
    streams = node.format("outInfo", "outInfo") + node.format("0", "outInfo/0")
    info = f'<dv version="2.0">{streams}{told}</node></node></dv>'.encode()

    def buffer(name: bytes, fields: bytes, root: bytes, rest: bytes) -> bytes:
        fields += bytes(-len(fields) % 8)
        start = struct.pack("<I4s", 8 + len(fields), name) + fields
        body = start + struct.pack("<i", len(fields)) + root + rest
        return struct.pack("<I", len(body)) + body

    # no compression, no table of packets, and the text behind the root
    head = struct.pack("<iqIi", 0, -1, 4, len(info)) + info + b"\0"
    data = b"#!AER-DAT4.0\r\n" + buffer(b"IOHE", struct.pack("<5H", 10, 20, 4, 8, 16), head, b"")
    for part in np.array_split(events, 2):
        rows = b"".join(struct.pack("<qhh?3x", t, x, y, p) for x, y, t, p in part.tolist())
        root = struct.pack("<II", 4, len(part))
        packed_up = buffer(b"EVTS", struct.pack("<3H", 6, 8, 4), root, rows)
        data += struct.pack("<ii", 0, len(packed_up)) + packed_up
    return data


HEAD = (
    b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n"
    b"#Start-Time: 2016-11-04 10:00:00 (TZ+0100)\r\n#!END-HEADER\r\n"
)


def packet(kind: int, body: bytes, size: int, count: int, overflow: int = 0) -> bytes:
    """A packet of AEDAT 3.1: its header of 28 bytes and its events."""
    return struct.pack("<hhiiiiii", kind, 1, size, 4, overflow, count, count, count) + body


def polarity(events: np.ndarray[Any, Any], valid: bool = True, overflow: int = 0) -> bytes:
    """Polarity events: valid bit, polarity, 15 bits y, 15 bits x; then 31 bits of time."""
    body = b"".join(
        struct.pack("<Ii", x << 17 | y << 2 | int(p) << 1 | valid, t - (overflow << 31))
        for x, y, t, p in events.tolist()
    )
    return packet(1, body, 8, len(events), overflow)


def write_gestures(
    root: Path, labels: Sequence[int] = (1, 11, 5)
) -> dict[str, np.ndarray[Any, Any]]:
    """The original's layout: three recordings of people with these gestures, from 1 on, each."""
    root.mkdir(parents=True, exist_ok=True)
    made, step = {}, 900 // len(labels)
    for seed, name in enumerate(("user01_led", "user02_lab", "user24_led")):
        events = random_events(seed, 900, side=128)
        special, frame = packet(0, bytes(8), 8, 1), packet(3, bytes(36), 36, 1)
        noise = polarity(events[:5], valid=False)
        parts = [special, polarity(events[:400]), noise, frame, polarity(events[400:]), special]
        (root / f"{name}.aedat").write_bytes(HEAD + b"".join(parts))
        starts, ends = (events["t"][k::step][: len(labels)] for k in (10, step - 10))
        rows = zip(labels, starts, ends + 1, strict=True)
        lines = [f"{label},{start},{end}" for label, start, end in rows]
        table = "\r\n".join(["class,startTime_usec,endTime_usec", *lines, ""])
        (root / f"{name}_labels.csv").write_text(table)
        made[name] = events
    (root / "trials_to_train.txt").write_text("user01_led.aedat\nuser02_lab.aedat\n")
    (root / "trials_to_test.txt").write_text("user24_led.aedat\n\n")
    return made


def packed(files: Mapping[str, bytes], path: Path) -> None:
    """An archive of files of the kind that its name says: .zip, .npz, .tar, .tar.gz or .tar.xz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".zip", ".npz"):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return
    kind = {".gz": "w:gz", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(path, kind) as tar:  # type: ignore[call-overload]  # one of its kinds
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@dataclass(frozen=True)
class Layout:
    """A layout that a loader reads.

    Attributes:
        name, classes: of the set.
        write: puts a small one into a folder, with each of some labels in both parts.
        part: which part a file belongs to, "train" or "test", by its path; "" for neither.
        archives: how the files are packed, archive -> what the paths in it fit; none for a folder.
        package: that it takes besides the library's own.
    """

    name: str
    classes: Sequence[str]
    write: Callable[[Path, Sequence[int], pytest.MonkeyPatch], object]
    part: Callable[[str], str]
    archives: Mapping[str, str] = field(default_factory=dict)
    package: str | None = None

    def make(
        self,
        root: Path,
        patch: pytest.MonkeyPatch,
        absent: Sequence[int] = (),
        without: str | None = None,
        companions: bool = False,
    ) -> list[int]:
        """Writes it with all classes but those, and gives the labels.

        `without` leaves out one part; `companions` puts a Mac's beside each file and folder, also
        in archives.
        """
        labels = [label for label in range(len(self.classes)) if label not in absent]
        root.mkdir(parents=True, exist_ok=True)
        self.write(root, labels, patch)
        for name in below(root):
            if self.part(name) == without:
                (root / name).unlink()
        if companions:
            accompany(root)
        if self.archives:
            self._pack(root)
        if companions:
            accompany(root)
        return labels

    def _pack(self, root: Path) -> None:
        files = {name: (root / name).read_bytes() for name in below(root)}
        for path in root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for archive, pattern in self.archives.items():
            inside = {name: data for name, data in files.items() if re.search(pattern, name)}
            if inside:
                packed(inside, root / archive)

    def load(self, root: Path) -> Any:
        """Both parts, event sets in one frame, which is quick."""
        return load(self.name, root=root, frames=1)


def below(root: Path) -> list[str]:
    """The paths of all files in a folder."""
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return [path.relative_to(root).as_posix() for path in found]


def accompany(root: Path) -> None:
    """A Mac's companion beside each file and folder that has none."""
    for path in sorted(root.rglob("*")):
        if not path.name.startswith("._"):
            path.with_name(f"._{path.name}").write_bytes(bytes(120))


def by_name(train: str, test: str) -> Callable[[str], str]:
    """Part by what a path fits."""
    return lambda name: "train" if re.search(train, name) else "test" * bool(re.search(test, name))


def by_number(tested: Callable[[str, int], bool]) -> Callable[[str], str]:
    """Part by a path's folder and the number at its end, as a split of ours says."""

    def part(name: str) -> str:
        path = PurePosixPath(name)
        number = int(path.stem.rpartition("_")[2])
        return "test" if tested(path.parent.name, number) else "train"

    return part


Patch = pytest.MonkeyPatch
FEW = random_events(0, 60, side=128)


def _idx_files(root: Path, labels: Sequence[int], patch: Patch) -> None:
    for prefix in ("train", "t10k"):
        images = idx(np.zeros((len(labels), 28, 28), np.uint8))
        told = idx(np.array(labels, np.uint8))
        write(root, {f"{prefix}-images-idx3-ubyte": images, f"{prefix}-labels-idx1-ubyte": told})


def _binaries(name: str, root: Path, labels: Sequence[int], patch: Patch) -> None:
    kind = getattr(cifar, name)
    rows = [bytes(kind.labels - 1) + bytes([label]) + bytes(3072) for label in labels]
    write(root, {f"{kind.binary}/{batch}.bin": b"".join(rows) for batch in kind.pickles})


def _pickles(name: str, root: Path, labels: Sequence[int], patch: Patch) -> None:
    kind = getattr(cifar, name)
    batch = {"data": np.zeros((len(labels), 3072), np.uint8), kind.field: list(labels)}
    write_pickles(root / kind.pickled, dict.fromkeys(kind.pickles, batch), patch, name)


def _pictures(names: Sequence[str], root: Path, labels: Sequence[int], patch: Patch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    for split in ("train", "test"):
        write(root, {f"{split}/{names[k]}/0.png": file.getvalue() for k in labels})


def _signs(training: str, root: Path, labels: Sequence[int], patch: Patch) -> None:
    write(root, gtsrb_files(training, labels))


def _sign_arrays(root: Path, labels: Sequence[int], patch: Patch) -> None:
    pixels = np.zeros((len(labels), 32, 32, 3), np.uint8)
    for split in ("train", "test"):
        np.save(root / f"x_{split}.npy", pixels)
        np.save(root / f"y_{split}.npy", np.array(labels))


def _digits(root: Path, labels: Sequence[int], patch: Patch) -> None:
    for split in ("Train", "Test"):
        data = five_bytes(random_events(0, 60))
        write(root, {f"{split}/{label}/{label:05d}.bin": data for label in labels})


def _gestures_of_tonic(root: Path, labels: Sequence[int], patch: Patch) -> None:
    table = io.BytesIO()
    np.save(table, np.stack([FEW[field].astype(float) for field in "xypt"], axis=1))
    for split in ("ibmGestureTrain", "ibmGestureTest"):
        write(root, {f"{split}/user01_led/{label}.npy": table.getvalue() for label in labels})


def _original_gestures(root: Path, labels: Sequence[int], patch: Patch) -> None:
    write_gestures(root, [label + 1 for label in labels])


def _clips(root: Path, labels: Sequence[int], patch: Patch) -> None:
    write(root, {f"{label:02d}.bin": five_bytes(FEW) for label in labels})
    lines = ["file,label", *(f"{label:02d}.bin,{label + 1}" for label in labels)]
    write(root, {"labels.csv": "\n".join(lines).encode()})


def _cifar10_dvs(suffix: str, root: Path, labels: Sequence[int], patch: Patch) -> None:
    data = aedat4(FEW) if suffix == "aedat4" else aedat2(*(FEW[field] for field in "xytp"))
    for name in (CIFAR10_CLASSES[label] for label in labels):
        tested = splits.numbers("cifar10-dvs")[name]
        numbers = (min(tested), next(i for i in range(1000) if i not in tested))
        write(root, {f"{name}/cifar10_{name}_{i}.{suffix}": data for i in numbers})


def _caltech(root: Path, labels: Sequence[int], patch: Patch) -> None:
    """All of a run of five: one of them is for testing."""
    data = five_bytes(FEW)
    for name in (CALTECH_CLASSES[label] for label in labels):
        tested = next(i for i in range(1, 6) if CALTECH_TESTED(name, i))
        numbers = (tested, tested % 5 + 1)
        write(root, {f"Caltech101/{name}/image_{i:04d}.bin": data for i in numbers})


CALTECH_TESTED = partial(splits.is_tested, every=5)


def _cifar10_dvs_tested(folder: str, number: int) -> bool:
    return number in splits.numbers("cifar10-dvs")[folder]


_BATCHES = by_name("data_batch", "test_batch")
_TREES = by_name("^train/", "^test/")
_SIGNS = by_name("Training", "Final_Test|final_test")
_DIGITS = by_name("^Train/", "^Test/")
_HUNDREDS = by_name("/train", "/test")
_CALTECH = by_number(CALTECH_TESTED)
_ZIPS = {f"{name}.zip": f"^{name}/" for name in CIFAR10_CLASSES}
_OF_GTSRB = {
    "GTSRB_Final_Training_Images.zip": "Final_Training",
    "GTSRB_Final_Test_Images.zip": "Final_Test/",
    "GTSRB_Final_Test_GT.zip": "GT-final_test",
}
_ten, _hundred = (partial(_binaries, name) for name in ("_TEN", "_HUNDRED"))
_ten_pickles, _hundred_pickles = (partial(_pickles, name) for name in ("_TEN", "_HUNDRED"))
_ten_pictures = partial(_pictures, CIFAR10_CLASSES)
_hundred_pictures = partial(_pictures, cifar.CIFAR100_CLASSES)
_official_signs = partial(_signs, "Final_Training/Images")


def _ten_of(*more: Any) -> Layout:
    return Layout("cifar10", CIFAR10_CLASSES, *more)


def _hundred_of(*more: Any) -> Layout:
    return Layout("cifar100", cifar.CIFAR100_CLASSES, *more)


def _gtsrb_of(*more: Any) -> Layout:
    return Layout("gtsrb", GTSRB_CLASSES, *more)


def _gesture_of(*more: Any) -> Layout:
    return Layout("dvs-gesture", GESTURE_CLASSES, *more)


MADE = {
    "mnist": Layout("mnist", NMNIST_CLASSES, _idx_files, by_name("^train-", "^t10k-")),
    "nmnist": Layout("nmnist", NMNIST_CLASSES, _digits, _DIGITS),
    "nmnist, zips": Layout(
        "nmnist", NMNIST_CLASSES, _digits, _DIGITS, {"train.zip": "^Train", "test.zip": "^Test"}
    ),
    "nmnist, one zip": Layout("nmnist", NMNIST_CLASSES, _digits, _DIGITS, {"sample.zip": ""}),
    "cifar10, binary": _ten_of(_ten, _BATCHES),
    "cifar10, binary tar": _ten_of(_ten, _BATCHES, {"cifar-10-binary.tar.gz": ""}),
    "cifar10, pickles": _ten_of(_ten_pickles, _BATCHES),
    "cifar10, pickles tar": _ten_of(_ten_pickles, _BATCHES, {"cifar-10-python.tar.gz": ""}),
    "cifar10, pictures": _ten_of(_ten_pictures, _TREES),
    "cifar10, pictures tar": _ten_of(_ten_pictures, _TREES, {"cifar10_png.tar.xz": ""}),
    "cifar10, plain tar": _ten_of(_ten_pictures, _TREES, {"cifar10_png.tar": ""}),
    "cifar100, binary": _hundred_of(_hundred, _HUNDREDS),
    "cifar100, binary tar": _hundred_of(_hundred, _HUNDREDS, {"cifar-100-binary.tar.gz": ""}),
    "cifar100, pickles": _hundred_of(_hundred_pickles, _HUNDREDS),
    "cifar100, pictures": _hundred_of(_hundred_pictures, _TREES),
    "gtsrb, pictures": _gtsrb_of(_official_signs, _SIGNS),
    "gtsrb, zips": _gtsrb_of(_official_signs, _SIGNS, _OF_GTSRB),
    "gtsrb, torchvision's": _gtsrb_of(partial(_signs, "Training"), _SIGNS),
    "gtsrb, arrays": _gtsrb_of(_sign_arrays, by_name("_train", "_test"), {"gtsrb.npz": ""}),
    "dvs-gesture, tonic's": _gesture_of(
        _gestures_of_tonic, by_name("ibmGestureTrain", "ibmGestureTest")
    ),
    "dvs-gesture, original": _gesture_of(_original_gestures, by_name("user0[12]", "user24")),
    "dvs-gesture, original zip": _gesture_of(
        _original_gestures, by_name("user0[12]", "user24"), {"DvsGesture.zip": ""}
    ),
    # clips have no training part at all
    "dvs-gesture, clips": _gesture_of(_clips, by_name("^$", "")),
    "dvs-gesture, clips zip": _gesture_of(_clips, by_name("^$", ""), {"dvs_gesture_clips.zip": ""}),
    "cifar10-dvs, original": Layout(
        "cifar10-dvs",
        CIFAR10_CLASSES,
        partial(_cifar10_dvs, "aedat"),
        by_number(_cifar10_dvs_tested),
    ),
    "cifar10-dvs, zips": Layout(
        "cifar10-dvs",
        CIFAR10_CLASSES,
        partial(_cifar10_dvs, "aedat"),
        by_number(_cifar10_dvs_tested),
        _ZIPS,
    ),
    "cifar10-dvs, tonic's": Layout(
        "cifar10-dvs",
        CIFAR10_CLASSES,
        partial(_cifar10_dvs, "aedat4"),
        by_number(_cifar10_dvs_tested),
        package="aedat",
    ),
    "ncaltech101": Layout("ncaltech101", CALTECH_CLASSES, _caltech, _CALTECH),
    "ncaltech101, zip": Layout(
        "ncaltech101", CALTECH_CLASSES, _caltech, _CALTECH, {"Caltech101.zip": ""}
    ),
}
