"""The files in a folder of samples and the label of each: folders of classes, or a labels.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from snnbd_core.data import CorruptData, DataNotFound
from snnbd_core.data.stores import File, Folder, Store, Zip

__all__ = ["ARRAYS", "IMAGES", "RECORDINGS", "Found", "find", "numbered"]

RECORDINGS = (".bin",)
ARRAYS = (".npy", ".npz")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp")
KINDS = (RECORDINGS, ARRAYS, IMAGES)
TABLE = "labels.csv"
PARTS = ("test", "train")  # the first that is there is taken: clean samples are better unseen


@dataclass(frozen=True)
class Found:
    """Files of one kind, and what each is labelled.

    Attributes:
        where: the folder, for messages.
        files: one sample each.
        labels: names of classes, or their numbers as texts.
        kind: RECORDINGS, ARRAYS or IMAGES.
    """

    where: str
    files: Sequence[File]
    labels: Sequence[str]
    kind: tuple[str, ...]


def find(where: Path) -> Found:
    """The samples in a folder or a .zip archive.

    Either a file labels.csv with the columns "file" and "label", beside the files; or a folder for
    each class, at any depth. Where some lie under a folder Test, the others are left out; where
    none does, the same holds for Train.

    Raises:
        DataNotFound: no such folder, or nothing in it that is a sample.
        CorruptData: a table or an archive that is damaged, a file that is a link out of the folder.
        ValueError: files of several kinds, or in no folder of a class.
    """
    if not where.exists():
        raise DataNotFound(f"--data {where}: there is no such folder, and no data set of this name")
    store: Store = Zip(where) if where.is_file() else Folder(where)
    tables = [name for name in _members(store) if PurePosixPath(name).name == TABLE]
    table = min(tables, key=lambda name: len(PurePosixPath(name).parts), default=None)
    pairs = _listed(store, table) if table else _by_folder(store, str(where))
    if not pairs:
        allowed = ", ".join(ending for kind in KINDS for ending in kind)
        raise DataNotFound(f"--data {where} holds no clean sample: looked for {allowed}")
    kinds = {_kind(file.member) or () for file, _ in pairs}
    if len(kinds) > 1:
        told = " and ".join(sorted("/".join(kind) for kind in kinds))
        raise ValueError(f"--data {where} holds files of several kinds, {told}: leave one of them")
    files, labels = zip(*pairs, strict=True)
    for file in files:
        _check_inside(file)
    return Found(str(where), files, labels, kinds.pop())


def numbered(found: Found, outputs: int, first: int | None) -> tuple[list[int], list[str]]:
    """The class of each file, from 0 on, and the classes' names.

    Numbers are those of the network's outputs; names are put in the order of the alphabet.

    Args:
        found: the files and their labels.
        outputs: how many classes the network tells apart.
        first: the number by which the labels call the first output; None says that it is 0, or 1
            where the numbers run from 1 to `outputs`.

    Raises:
        ValueError: labels of one class only, numbers that do not say which output is the first,
            or another number of names than of outputs.
    """
    names = sorted(set(found.labels))
    if len(names) == 1:
        raise ValueError(
            f"--data {found.where}: all {len(found.files)} samples are of class {names[0]!r}; "
            "an audit compares classes and needs samples of every one"
        )
    if not all(name.isdecimal() for name in names):
        if len(names) != outputs:
            raise ValueError(
                f"--data {found.where} has {len(names)} classes by name, the network {outputs} "
                "outputs: call the folders by the numbers of their outputs, from 0 on"
            )
        return [names.index(label) for label in found.labels], names
    numbers = [int(label) for label in found.labels]
    least, most = min(numbers), max(numbers)
    if first is None and least > 0 and most < outputs:
        raise ValueError(
            f"--data {found.where} has the labels {least} to {most}, the network {outputs} "
            "outputs: say by --first-label 0 or 1 which label is that of the first output"
        )
    start = first if first is not None else int(least > 0)
    if least < start or most - start >= outputs:
        raise ValueError(
            f"--data {found.where} has the labels {least} to {most}, the network {outputs} outputs "
            f"and thus the labels {start} to {start + outputs - 1}"
        )
    return [number - start for number in numbers], [str(start + k) for k in range(outputs)]


def _members(store: Store) -> list[str]:
    return sorted({*store.matching("*"), *store.matching("**/*")})


def _kind(member: str) -> tuple[str, ...] | None:
    ending = PurePosixPath(member).suffix.lower()
    return next((kind for kind in KINDS if ending in kind), None)


def _by_folder(store: Store, where: str) -> list[tuple[File, str]]:
    members = [name for name in _members(store) if _kind(name)]
    for part in PARTS:
        inside = [name for name in members if part in _folders(name)]
        if inside:
            members = inside
            break
    files = [File(store, name) for name in members]
    loose = next((file for file in files if not file.folder or file.folder.lower() in PARTS), None)
    if loose is not None:
        raise ValueError(
            f"--data {where}: {loose.member} lies in no folder of a class: allowed are one folder "
            f"for each class, or a file {TABLE} with the columns file and label"
        )
    return [(file, file.folder) for file in files]


def _folders(member: str) -> list[str]:
    return [part.lower() for part in PurePosixPath(member).parts[:-1]]


def _listed(store: Store, member: str) -> list[tuple[File, str]]:
    """The files that a table names, each of which must be there."""
    table, folder, there = File(store, member), PurePosixPath(member).parent, set(_members(store))
    try:
        rows = list(csv.DictReader(io.StringIO(table.read().decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorruptData(f"{table}: is no table of text ({error})") from error
    pairs = []
    for line, row in enumerate(rows, start=2):
        name, label = row.get("file"), row.get("label")
        if not name or not label:
            raise CorruptData(f"{table}: line {line} has no file or no label: needed are both")
        path = (folder / name).as_posix()
        if path not in there or not _kind(path):
            raise CorruptData(f"{table}: line {line} names {name!r}, which is no sample beside it")
        pairs.append((File(store, path), label.strip()))
    return pairs


def _check_inside(file: File) -> None:
    """Raises CorruptData for a link out of the folder: who sent it could mean any file here."""
    if isinstance(file.store, Folder):
        root = file.store.path.resolve()
        if not (root / file.member).resolve().is_relative_to(root):
            raise CorruptData(f"{file} is a link that leads out of the folder; copy the file there")
