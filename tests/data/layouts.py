"""Files in the true formats of the published sets, written from their descriptions."""

from __future__ import annotations

import csv
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snnbd_core.data import cifar
from snnbd_core.data.pickles import Published

from .conftest import random_events


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


def gtsrb_files(training: str = "Final_Training/Images") -> dict[str, bytes]:
    """Path -> contents of a small GTSRB: classes 0, 7 and 42 for training, three tests."""
    files: dict[str, bytes] = {}
    for label in (0, 7, 42):
        names = [f"00000_{i:05d}.ppm" for i in range(2)]
        for i, name in enumerate(names):
            files[f"GTSRB/{training}/{label:05d}/{name}"] = ppm(10 * label + i, (25 + label, 32))
        table = sign_table([(name, label) for name in names])
        files[f"GTSRB/{training}/{label:05d}/GT-{label:05d}.csv"] = table.encode()
    for i in range(3):
        files[f"GTSRB/Final_Test/Images/{i:05d}.ppm"] = ppm(1000 + i)
    told = sign_table([(f"{i:05d}.ppm", label) for i, label in enumerate((42, 0, 7))])
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


def write_gestures(root: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The original's layout: three recordings of people with three gestures each."""
    root.mkdir(parents=True, exist_ok=True)
    made = {}
    for seed, name in enumerate(("user01_led", "user02_lab", "user24_led")):
        events = random_events(seed, 900, side=128)
        special, frame = packet(0, bytes(8), 8, 1), packet(3, bytes(36), 36, 1)
        noise = polarity(events[:5], valid=False)
        parts = [special, polarity(events[:400]), noise, frame, polarity(events[400:]), special]
        (root / f"{name}.aedat").write_bytes(HEAD + b"".join(parts))
        times = events["t"][[0, 290, 310, 590, 610, 899]] + [0, 1, 0, 1, 0, 1]
        lines = [f"{label},{times[2 * i]},{times[2 * i + 1]}" for i, label in enumerate((1, 11, 5))]
        table = "\r\n".join(["class,startTime_usec,endTime_usec", *lines, ""])
        (root / f"{name}_labels.csv").write_text(table)
        made[name] = events
    (root / "trials_to_train.txt").write_text("user01_led.aedat\nuser02_lab.aedat\n")
    (root / "trials_to_test.txt").write_text("user24_led.aedat\n\n")
    return made


def packed(files: Mapping[str, bytes], path: Path) -> None:
    """A .zip or .tar.gz archive of files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
