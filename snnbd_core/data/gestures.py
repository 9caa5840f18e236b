"""DVS128 Gesture (Amir et al. 2017) in the three layouts in which people have it."""

from __future__ import annotations

import csv
import io
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from snnbd_core.data import aedat, recordings, stores
from snnbd_core.data.downloads import BY_HAND
from snnbd_core.data.errors import CorruptData, DataNotFound, missing
from snnbd_core.data.recordings import CutRecordings, FileRecordings, Found
from snnbd_core.data.stores import File
from snnbd_core.data.telling import first_of

__all__ = ["GESTURE_CLASSES", "found"]

_log = logging.getLogger(__name__)

# As in tonic.datasets, written out: importing tonic takes a third of a second.
GESTURE_CLASSES = (
    "Hand clapping", "Right hand wave", "Left hand wave", "Right arm cw", "Right arm ccw",
    "Left arm cw", "Left arm ccw", "Arm roll", "Air drums", "Air guitar", "Other gestures",
)  # fmt: skip


_SENSOR = (128, 128, 2)
_FOLDERS = ("DVSGesture", "dvs-gesture", "DvsGesture", "DVSGesture/DvsGesture")
_LISTS = ("trials_to_train.txt", "trials_to_test.txt")
_WHOLE = 1_464  # gestures of the original; tonic's files have 1,341 of them
_LONGEST = 2**30  # bytes of a file with all gestures of a person; they take about 2 % of it
_COLUMNS = ("class", "startTime_usec", "endTime_usec")


def found(root: Path) -> Found:
    """DVS128 Gesture: 128x128, 11 gestures of 29 people, 1,077 + 264 recordings as tonic has them.

    Three layouts are read: tonic's (``ibmGestureTrain/<user>_<light>/<class>.npy``, the same under
    ``ibmGestureTest``); the original's (``<user>_<light>.aedat`` in AEDAT 3.1, beside each a
    ``<user>_<light>_labels.csv`` with class, start and end of every gesture, and
    ``trials_to_train.txt`` and ``trials_to_test.txt``; 1,176 + 288 gestures, and recordings that
    are listed and absent are named in the log); and a row of clips,
    five-byte files beside a ``labels.csv`` with the columns ``file`` and ``label``. Labels there
    are 1 to 11, the set's own numbers; class 0 here is label 1, as in tonic. Clips come as the
    test part and the training part is empty, since nobody can tell which of them share a user.
    """
    patterns = ("ibmGestureTrain/*/*.npy", "ibmGestureTest/*/*.npy")
    parts = list(stores.find(root, _FOLDERS, patterns).values())
    if any(parts):
        labels = [[_by_name(file) for file in part] for part in parts]
        rows = [FileRecordings(part, recordings.gesture_npy, _SENSOR) for part in parts]
        return Found(GESTURE_CLASSES, rows, labels)
    long = stores.find(root, _FOLDERS, ("*.aedat", "*_labels.csv", *_LISTS))
    if long["*.aedat"] and long["*_labels.csv"]:
        return _original(long)
    tables = stores.find(root, (*_FOLDERS, "dvs_gesture_clips"), ("labels.csv",))["labels.csv"]
    if not tables:
        what = (
            "ibmGestureTrain/<user>_<light>/<class>.npy, nor <user>_<light>.aedat with its labels, "
            "nor clips with a labels.csv"
        )
        raise missing("dvs-gesture", root, f"{what}. {BY_HAND['dvs-gesture']} into it")
    clips, numbers = _clips(tables[0])
    rows = [FileRecordings(part, recordings.five_bytes, _SENSOR) for part in ([], clips)]
    return Found(GESTURE_CLASSES, rows, [[], numbers])


def _original(long: Mapping[str, Sequence[File]]) -> Found:
    """The original's layout, see `found`."""
    files = {PurePosixPath(file.member).name: file for file in long["*.aedat"]}
    tables = {PurePosixPath(file.member).name: file for file in long["*_labels.csv"]}
    listed = _listed(long)
    for file in sorted(files.keys() - {one for names in listed.values() for one in names}):
        raise CorruptData(f"{files[file]}: is named in neither of {' and '.join(_LISTS)}")
    rows, labels = [], []
    for name, wanted in listed.items():
        here = [one for one in wanted if one in files]
        if absent := [one for one in wanted if one not in files]:
            told = f"{long[name][0]} names {first_of(absent)}, which is not there"
            _log.warning("dvs-gesture: %s", told)
        cuts = []
        numbers: list[int] = []
        for number, file in enumerate(here):
            table = tables.get(f"{PurePosixPath(file).stem}_labels.csv")
            if table is None:
                raise DataNotFound(f"dvs-gesture: {files[file]} has no table of labels beside it")
            for label, start, stop in _gestures(table):
                cuts.append((number, start, stop))
                numbers.append(label)
        given = [files[one] for one in here]
        rows.append(CutRecordings(given, cuts, aedat.aedat3, _SENSOR, _LONGEST))
        labels.append(numbers)
    return Found(GESTURE_CLASSES, rows, labels, _WHOLE)


def _listed(long: Mapping[str, Sequence[File]]) -> dict[str, list[str]]:
    """The recordings that each of both lists names; a recording may be named once."""
    found: dict[str, list[str]] = {}
    for name in _LISTS:
        if not long[name]:
            raise DataNotFound(f"dvs-gesture: {long['*.aedat'][0]} has no {name} beside it")
        found[name] = _text(long[name][0]).split()
    counts = Counter(one for names in found.values() for one in names)
    if twice := [one for one, count in counts.items() if count > 1]:
        where = " and ".join(name for name in _LISTS if twice[0] in found[name])
        raise CorruptData(
            f"{long[_LISTS[0]][0]}: {first_of(twice)} is named twice, in {where}; a recording "
            "belongs to one part, once. Get the lists again"
        )
    return found


def _text(file: File) -> str:
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptData(f"{file}: is no text ({error}). Get it again") from error


def _gestures(table: File) -> Iterator[tuple[int, int, int]]:
    """Class from 0 on, first microsecond and the one after the last, of each line."""
    for line, row in _rows(table, _COLUMNS):
        values = [row[column] for column in _COLUMNS]
        if not all(value.isdecimal() for value in values):
            raise CorruptData(f"{table}: line {line} holds {', '.join(values)}; needed are numbers")
        label, start, stop = map(int, values)
        _check_label(table, line, values[0])
        if start >= stop:
            raise CorruptData(f"{table}: line {line} ends at {stop} us, before its start {start}")
        yield label - 1, start, stop


def _by_name(file: File) -> int:
    stem, last = PurePosixPath(file.member).stem, len(GESTURE_CLASSES) - 1
    if not stem.isdecimal() or int(stem) > last:
        raise CorruptData(f"{file}: its name {stem!r} is none of the classes 0..{last}")
    return int(stem)


def _clips(table: File) -> tuple[list[File], list[int]]:
    """Give the clips that a ``labels.csv`` lists, and their classes; all must match."""
    folder = PurePosixPath(table.member).parent
    members = set(table.store.matching((folder / "*.bin").as_posix()))
    files, labels = [], []
    for line, row in _rows(table, ()):
        member = (folder / str(row.get("file"))).as_posix()
        if member not in members:
            raise CorruptData(f"{table}: line {line} names {row.get('file')!r}; no such clip left")
        _check_label(table, line, str(row.get("label")))
        members.remove(member)
        files.append(File(table.store, member))
        labels.append(int(row["label"]) - 1)
    if members or not files:
        raise CorruptData(f"{table}: has no line for {', '.join(sorted(members)) or 'any clip'}")
    return files, labels


def _rows(table: File, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and fields of each line of a table of text that has these columns."""
    try:
        reader = csv.DictReader(io.StringIO(_text(table)))
        told, rows = [name.strip() for name in reader.fieldnames or ()], list(reader)
    except csv.Error as error:
        raise CorruptData(f"{table}: is no table of text ({error})") from error
    absent = [column for column in columns if column not in told]
    if absent:
        raise CorruptData(f"{table}: has no column {absent[0]}; needed: {', '.join(columns)}")
    if columns and not rows:
        raise CorruptData(f"{table}: has no line below its header; copy it again")
    # The first line names the columns; people count lines from 1.
    for line, row in enumerate(rows, start=2):
        yield line, {str(name).strip(): str(value).strip() for name, value in row.items()}


def _check_label(table: File, line: int, label: str) -> None:
    last = len(GESTURE_CLASSES)
    if not label.isdecimal() or not 1 <= int(label) <= last:
        raise CorruptData(f"{table}: line {line} has label {label!r}; 1..{last} is allowed")
