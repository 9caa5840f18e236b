"""Where a data set's files lie: in a folder, or in a .zip archive that is read as it is."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from snnbd_core.data.errors import CorruptData
from snnbd_core.data.events import MAX_FILE_BYTES

__all__ = ["File", "Folder", "Store", "Zip", "digests", "find", "hidden"]

_READERS = 8  # files read at once: most of the time goes into opening them


class Folder:
    """Files below a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def matching(self, pattern: str) -> list[str]:
        """Give the files that fit a pattern such as ``Train/*/*.bin``, sorted; none is hidden."""
        if not self.path.is_dir():
            return []
        found = (p for p in self.path.glob(pattern) if p.is_file())
        names = (p.relative_to(self.path).as_posix() for p in found)
        return sorted(name for name in names if not hidden(name))

    def digest(self, member: str) -> str:
        """Give the sha256 of the file."""
        return _sha256(self.path / member)

    def name(self, member: str) -> str:
        """Give the file's name for messages."""
        return str(self.path / member)

    def read(self, member: str) -> bytes:
        """Give the file's contents."""
        path = self.path / member
        _check_size(str(path), path.stat().st_size)
        return path.read_bytes()


class Zip:
    """Files inside a .zip archive; they may lie below further folders in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: tuple[int, zipfile.ZipFile] | None = None

    def matching(self, pattern: str) -> list[str]:
        """Give the members whose last parts fit a pattern such as ``Train/*/*.bin``, sorted."""
        names = (name for name in self._open().namelist() if not hidden(name))
        return sorted(name for name in names if PurePosixPath(name).match(pattern))

    def digest(self, member: str) -> str:
        """Give the sha256 of the whole archive: reading it once is quicker than each member."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        return _sha256(self.path)

    def name(self, member: str) -> str:
        """Give the member's name for messages."""
        return f"{self.path}!{member}"

    def read(self, member: str) -> bytes:
        """Give the member's contents, or raise ``CorruptData`` when its checksum is wrong."""
        archive = self._open()
        _check_size(self.name(member), archive.getinfo(member).file_size)
        try:
            return archive.read(member)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
            raise CorruptData(f"{self.name(member)}: {error}") from error

    def _open(self) -> zipfile.ZipFile:
        # One handle a process: a forked worker shares the file position of its parent's.
        if self._handle is None or self._handle[0] != os.getpid():
            try:
                self._handle = (os.getpid(), zipfile.ZipFile(self.path))
            except (zipfile.BadZipFile, NotImplementedError) as error:
                raise CorruptData(f"{self.path}: is no readable zip archive ({error})") from error
        return self._handle[1]

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_handle": None}


Store = Folder | Zip


@dataclass(frozen=True)
class File:
    """One file of a data set.

    Attributes:
        store: where it lies.
        member: its path there.
    """

    store: Store
    member: str

    @property
    def folder(self) -> str:
        """The name of the folder that it lies in; in most sets, its class."""
        return PurePosixPath(self.member).parent.name

    def __str__(self) -> str:
        return self.store.name(self.member)

    def read(self) -> bytes:
        """Give its contents."""
        return self.store.read(self.member)


def hidden(name: str) -> bool:
    """Whether a file is a system's companion of another: ``._x`` and ``__MACOSX`` of a Mac."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def digests(files: Sequence[File]) -> list[str]:
    """Give each file's path in its store and the sha256 of its bytes (or of its archive)."""
    for store in {file.store for file in files if isinstance(file.store, Zip)}:
        store.digest("")  # once, and not in several threads
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(lambda file: f"{file.member} {file.store.digest(file.member)}", files))


def find(root: Path, folders: Sequence[str], patterns: Sequence[str]) -> dict[str, list[File]]:
    """Find the files of each pattern, looking in folders first and then in archives.

    The first place that holds files of every pattern is taken for all of them, so that training
    and test recordings do not come from two different samples of a set; when there is none, each
    pattern's first place.

    Args:
        root: the folder looked in; so are its sub-folders ``folders``, and the .zip archives
            lying in any of them.
        folders: names of sub-folders.
        patterns: such as ``Train/*/*.bin``.

    Returns:
        the files of each pattern, sorted by their path; a pattern without files has an empty list.

    Raises:
        CorruptData: nothing was found, but one of the archives could not be opened.
    """
    broken: CorruptData | None = None
    found: dict[str, list[File]] = {pattern: [] for pattern in patterns}
    for store in _places(root, folders):
        try:
            here = {p: [File(store, m) for m in store.matching(p)] for p in patterns}
        except CorruptData as error:
            broken = broken or error
            continue
        if all(here.values()):
            return here
        found = {p: found[p] or here[p] for p in patterns}
    if broken is not None and not any(found.values()):
        raise broken
    return found


def _places(root: Path, folders: Sequence[str]) -> list[Store]:
    paths = [path for path in (root, *(root / name for name in folders)) if path.is_dir()]
    archives = [archive for path in paths for archive in sorted(path.glob("*.zip"))]
    return [*map(Folder, paths), *(Zip(path) for path in archives if not hidden(path.name))]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_size(name: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise CorruptData(
            f"{name}: {size} bytes are more than the {MAX_FILE_BYTES} that a recording can have; "
            f"byte {MAX_FILE_BYTES} is the first too many"
        )
