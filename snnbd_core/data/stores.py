"""Where a data set's files lie: in a folder, or in a .zip archive that is read as it is."""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from snnbd_core.data.errors import CorruptData
from snnbd_core.data.events import check_length

__all__ = ["File", "Folder", "Store", "Zip", "digests", "find", "hidden", "reading"]

# What a damaged member raises, whatever it is packed by, and one that is locked or of a new kind.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError
)  # fmt: skip
_READERS = 8  # files read at once: most of the time goes into opening them


@dataclass(frozen=True)
class Folder:
    """Files below a folder; a member is named by its path in it."""

    path: Path

    def matching(self, pattern: str) -> list[str]:
        """The files that fit a pattern such as ``Train/*/*.bin``, sorted; none is hidden."""
        found = (p for p in _below(self.path, PurePosixPath(pattern).parts) if p.is_file())
        return sorted(path.relative_to(self.path).as_posix() for path in found)

    def name(self, member: str) -> str:
        """For messages."""
        return str(self.path / member)

    def read(self, member: str, most: int | None = None) -> bytes:
        """Its bytes, of which there may be so many."""
        path = self.path / member
        with reading(path):
            check_length(str(path), path.stat().st_size, most)
            return path.read_bytes()


@dataclass(frozen=True, eq=False)
class Zip:
    """Files in a .zip archive, below any folders in it; the methods are those of `Folder`."""

    path: Path

    def matching(self, pattern: str) -> list[str]:
        names = {name for name in _opened(self, os.getpid()).namelist() if not hidden(name)}
        return sorted(name for name in names if PurePosixPath(name).match(pattern))

    def name(self, member: str) -> str:
        return f"{self.path}!{member}"

    @functools.cached_property
    def sha256(self) -> str:
        """Of the whole archive: reading it once is quicker than each member."""
        return _sha256(self.path)

    def read(self, member: str, most: int | None = None) -> bytes:
        """Its bytes; CorruptData when its checksum is wrong."""
        archive = _opened(self, os.getpid())
        check_length(self.name(member), archive.getinfo(member).file_size, most)
        try:
            return archive.read(member)
        except _DAMAGE as error:
            raise CorruptData(f"{self.name(member)}: {error}") from error


@functools.lru_cache(maxsize=16)
def _opened(archive: Zip, process: int) -> zipfile.ZipFile:
    """One handle a process: a forked worker shares the file position of its parent's."""
    try:
        with reading(archive.path):
            return zipfile.ZipFile(archive.path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise CorruptData(f"{archive.path}: is no readable zip archive ({error})") from error


Store = Folder | Zip


@dataclass(frozen=True)
class File:
    """One file of a data set: a store's member."""

    store: Store
    member: str

    @property
    def folder(self) -> str:
        """The name of the folder that it lies in; in most sets, its class."""
        return PurePosixPath(self.member).parent.name

    def __str__(self) -> str:
        return self.store.name(self.member)

    def read(self, most: int | None = None) -> bytes:
        """Its bytes; CorruptData for more than so many."""
        return self.store.read(self.member, most)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """PermissionError names what may not be read, and the remedy."""
    try:
        yield
    except PermissionError as error:
        raise PermissionError(
            f"{path}: this user may not read it. Change its mode (chmod -R u+rX), or give root= a "
            "copy that may be read"
        ) from error


def hidden(name: str) -> bool:
    """Whether a file is a system's companion of another: ``._x`` and ``__MACOSX`` of a Mac."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def digests(files: Sequence[File]) -> list[str]:
    """Each file's path in its store and the sha256 of its bytes (or of its archive)."""
    for archive in {file.store for file in files if isinstance(file.store, Zip)}:
        _ = archive.sha256  # once, and not in several threads

    def digest(file: File) -> str:
        store = file.store
        whole = store.sha256 if isinstance(store, Zip) else _sha256(store.path / file.member)
        return f"{file.member} {whole}"

    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(digest, files))


def find(root: Path, folders: Sequence[str], patterns: Sequence[str]) -> dict[str, list[File]]:
    """Find the files of each pattern, looking in folders first and then in archives.

    Places are the root, its sub-folders ``folders``, and the .zip archives lying in any of them.
    The first that holds files of every pattern, such as ``Train/*/*.bin``, is taken for all of
    them, so that training and test recordings do not come from two different samples of a set;
    when there is none, each pattern's first place. An archive that cannot be opened is CorruptData
    where it may hold what was not found.
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
            _check_once(store, here)
            return here
        found = {p: found[p] or here[p] for p in patterns}
    absent = next((pattern for pattern in patterns if not found[pattern]), None)
    if broken is not None and absent is not None:
        raise CorruptData(
            f"{broken}; {absent} was found nowhere else and may be in it. Get the archive again, "
            "or move it to another folder"
        ) from broken
    return found


def _check_once(store: Store, found: Mapping[str, Sequence[File]]) -> None:
    """Raises CorruptData for an archive that holds the files of a pattern below two folders."""
    for pattern, files in found.items():
        depth = len(PurePosixPath(pattern).parts)
        above = sorted({str(PurePosixPath(file.member).parents[depth - 1]) for file in files})
        if len(above) > 1 and "**" not in pattern:
            raise CorruptData(
                f"{store.path}: holds {pattern} below {above[0]!r} and below {above[1]!r}; keep one"
            )


def _places(root: Path, folders: Sequence[str]) -> list[Store]:
    paths = [path for path in (root, *(root / name for name in folders)) if path.is_dir()]
    archives = [archive for path in paths for archive in sorted(path.glob("*.zip"))]
    shown = (path for path in archives if path.is_file() and not hidden(path.name))
    return [*map(Folder, paths), *map(Zip, shown)]


def _below(folder: Path, pattern: Sequence[str]) -> Iterator[Path]:
    """What fits a pattern, one part a level, ``**`` any number of them; none is hidden.

    A folder must be readable.
    """
    with reading(folder), os.scandir(folder) as entries:
        there = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    if pattern[0] == "**":
        yield from _below(folder, pattern[1:])
        for name, is_folder in there:
            if is_folder and not hidden(name):
                yield from _below(folder / name, pattern)
        return
    found = [name for name, _ in there if fnmatch.fnmatchcase(name, pattern[0])]
    for path in (folder / name for name in found if not hidden(name)):
        if len(pattern) == 1:
            yield path
        elif path.is_dir():
            yield from _below(path, pattern[1:])


def _sha256(path: Path) -> str:
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
