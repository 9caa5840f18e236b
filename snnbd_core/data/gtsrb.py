"""GTSRB, the German traffic signs (Stallkamp et al. 2012), in the layouts people have."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from snnbd_core.data import stores
from snnbd_core.data.datasets import ImageDataset
from snnbd_core.data.downloads import warn_of_others
from snnbd_core.data.errors import CorruptData, DataNotFound, missing
from snnbd_core.data.pictures import SIDE, SPLITS, Made, Row, both_parts, decoded
from snnbd_core.data.stores import File, Folder, Store, digests, reading
from snnbd_core.data.telling import tell

__all__ = ["GTSRB_CLASSES", "load_gtsrb"]

GTSRB_CLASSES = (
    "20 km/h", "30 km/h", "50 km/h", "60 km/h", "70 km/h", "80 km/h", "end of 80 km/h",
    "100 km/h", "120 km/h", "no passing", "no passing by lorries", "right of way", "priority road",
    "give way", "stop", "no vehicles", "no lorries", "no entry", "danger", "bend to the left",
    "bend to the right", "double bend", "bumpy road", "slippery road", "road narrows", "road works",
    "traffic signals", "pedestrians", "children", "bicycles", "ice or snow", "wild animals",
    "end of all limits", "turn right ahead", "turn left ahead", "ahead only", "ahead or right",
    "ahead or left", "keep right", "keep left", "roundabout", "end of no passing",
    "end of no passing by lorries",
)  # fmt: skip

# Training photographs -> how many the whole set has in this layout.
_TRAINING = {"Final_Training/Images/*/*.ppm": 39_209, "Training/*/*.ppm": 26_640}
_TESTED = 12_630
_TESTING = "Final_Test/Images/*.ppm"
_TRUTH = "GT-final_test.csv"
_FOLDERS = ("GTSRB", "gtsrb", "gtsrb/GTSRB")
_VERSION = "bilinear 32x32"  # how pictures become samples; part of the cache's key


def load_gtsrb(root: Path) -> tuple[ImageDataset, ImageDataset]:
    """GTSRB: 43 signs, 39,209 + 12,630 photographs of 15 to 250 pixels, here 32x32.

    Layout, in the folder, in ``GTSRB`` or in ``gtsrb`` (torchvision's place), unpacked or as the
    official .zip archives: ``Final_Training/Images/<class>/*.ppm`` with ``GT-<class>.csv``, or the
    same in ``Training`` as torchvision has it (26,640 photographs only);
    ``Final_Test/Images/*.ppm`` with ``GT-final_test.csv``. Or one file ``gtsrb*.npz`` with
    ``x_train``, ``y_train``, ``x_test``, ``y_test``, pixels uint8 [N, 32, 32, 3].

    Photographs are resized whole and bilinearly; they are not cut to the sign.
    """
    for pattern, count in _TRAINING.items():
        train = stores.find(root, _FOLDERS, (pattern,))[pattern]
        if train:
            return _official(root, train, count + _TESTED)
    if root.is_dir() and (arrays := Folder(root).matching("gtsrb*.npz")):
        return _arrays(root / arrays[0])
    what = "Final_Training/Images/<class>/*.ppm, nor Training of torchvision, nor gtsrb*.npz"
    raise missing("gtsrb", root, f"{what}. Pass download=True (343 MB)")


def _official(root: Path, train: Sequence[File], whole: int) -> tuple[ImageDataset, ImageDataset]:
    places = (*_FOLDERS, *(f"{name}/Final_Test/Images" for name in (".", *_FOLDERS)))
    test = stores.find(root, _FOLDERS, (_TESTING,))[_TESTING]
    truth = stores.find(root, places, (_TRUTH,))[_TRUTH]
    if not test or not truth:
        part = f"{_TRUTH} (from GTSRB_Final_Test_GT.zip)" if test else _TESTING
        raise DataNotFound(f"gtsrb: {root} holds a part of the set, but not {part}")
    known = {split: dict[str, int]() for split in SPLITS}
    for file in train:
        known["train"][file.member] = _label(file.folder, file)
    _check_tables(train)
    known["test"] = _told(truth[0], test)
    warn_of_others("gtsrb", [*train, *test, truth[0]])
    files = {"train": train, "test": test}
    told = [_VERSION, *digests([*train, *test, truth[0]])]
    key = hashlib.sha256("\n".join(told).encode()).hexdigest()
    return _given(root, key, partial(_made, files, known), whole)


def _made(files: Mapping[str, Sequence[File]], known: Mapping[str, Mapping[str, int]]) -> Made:
    def rows(split: str) -> list[Row]:
        return [
            (known[split][file.member], decoded(file.read(), str(file), resized=True))
            for file in files[split]
        ]

    return Made({split: rows(split) for split in SPLITS})


def _given(
    place: Path, key: str, make: partial[Made], whole: int | None = None
) -> tuple[ImageDataset, ImageDataset]:
    train, test, _ = both_parts("gtsrb", GTSRB_CLASSES, key, make)
    tell(train, test, place, whole)
    return train, test


def _check_tables(train: Sequence[File]) -> None:
    """The tables beside training pictures, where there are any, must say what the folders say."""
    here: dict[tuple[Store, PurePosixPath], list[File]] = defaultdict(list)
    for file in train:
        here[file.store, PurePosixPath(file.member).parent].append(file)
    patterns = [PurePosixPath(pattern).with_name("GT-*.csv").as_posix() for pattern in _TRAINING]
    for store in dict.fromkeys(file.store for file in train):
        tables = [File(store, member) for some in patterns for member in store.matching(some)]
        for table in tables:
            pictures = here.get((store, PurePosixPath(table.member).parent), [])
            if not pictures:
                continue
            told, label = _told(table, pictures), _label(table.folder, table)
            wrong = [member for member, said in told.items() if said != label]
            if wrong:
                raise CorruptData(
                    f"{table}: says class {told[wrong[0]]} of {PurePosixPath(wrong[0]).name}, "
                    f"which lies in the folder of class {label}"
                )


def _told(table: File, pictures: Sequence[File]) -> dict[str, int]:
    """Each picture's member -> its class by a table ``Filename;...;ClassId``; all must match."""
    try:
        rows = list(csv.DictReader(io.StringIO(table.read().decode("utf-8-sig")), delimiter=";"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorruptData(f"{table}: is no table of text ({error})") from error
    names = {PurePosixPath(file.member).name: file.member for file in pictures}
    found: dict[str, int] = {}
    for line, row in enumerate(rows, start=2):  # the first names the columns
        if row.get("Filename") is None or row.get("ClassId") is None:
            raise CorruptData(f"{table}: line {line} has no Filename or no ClassId")
        if row["Filename"] not in names:
            raise CorruptData(f"{table}: line {line} names {row['Filename']!r}, which is not there")
        if names[row["Filename"]] in found:
            raise CorruptData(f"{table}: line {line} names {row['Filename']!r} again")
        found[names[row["Filename"]]] = _label(row["ClassId"], f"{table}: line {line}")
    absent = sorted(names[name] for name in names if names[name] not in found)
    if absent:
        raise CorruptData(f"{table}: has no line for {PurePosixPath(absent[0]).name}")
    return found


def _label(text: str, where: object) -> int:
    if not text.isdecimal() or int(text) >= len(GTSRB_CLASSES):
        raise CorruptData(f"{where}: {text!r} is no class; 0..{len(GTSRB_CLASSES) - 1} is allowed")
    return int(text)


def _arrays(path: Path) -> tuple[ImageDataset, ImageDataset]:
    with reading(path):
        data = path.read_bytes()
    wanted = [f"{kind}_{split}" for split in SPLITS for kind in "xy"]
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise CorruptData(f"{path}: is no .npz of numbers (no zip archive)")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            table = {name: held[name] for name in wanted if name in held}
    # a damaged archive can also ask for more memory than there is
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise CorruptData(f"{path}: is no .npz of numbers ({error})") from error
    absent = [name for name in wanted if not isinstance(table.get(name), np.ndarray)]
    if absent:
        raise CorruptData(f"{path}: holds no {absent[0]}; needed: {', '.join(wanted)}")
    key = hashlib.sha256(data).hexdigest()
    return _given(path, key, partial(_rows_of, table, path))


def _rows_of(table: Mapping[str, np.ndarray], path: Path) -> Made:
    rows: dict[str, list[Row]] = {}
    for split in SPLITS:
        pixels, labels = table[f"x_{split}"], table[f"y_{split}"]
        fits = labels.ndim == 1 and pixels.shape == (len(labels), SIDE, SIDE, 3)
        if pixels.dtype != np.uint8 or not fits:
            raise CorruptData(
                f"{path}: x_{split} of {pixels.dtype} {pixels.shape} and y_{split} of "
                f"{labels.shape} do not match; needed: uint8 [N, {SIDE}, {SIDE}, 3] and [N]"
            )
        rows[split] = [
            (_label(str(label), f"{path}: y_{split}[{row}]"), one.transpose(2, 0, 1))
            for row, (label, one) in enumerate(zip(labels.tolist(), pixels, strict=True))
        ]
    return Made(rows)
