"""What the loaders of image sets share: files in folders and archives, pictures, the cache."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from snnbd_core.data import cache
from snnbd_core.data.datasets import ImageDataset
from snnbd_core.data.errors import CorruptData
from snnbd_core.data.stores import File, Folder, digests, hidden, reading

__all__ = [
    "SIDE",
    "SPLITS",
    "Made",
    "Pixels",
    "Row",
    "both_parts",
    "decoded",
    "files_of",
    "inside",
    "key_of",
]

Pixels = npt.NDArray[np.uint8]
Row = tuple[int, Pixels]

SIDE = 32  # pixels, of all sets that come as pictures
SPLITS = ("train", "test")
_AT_ONCE = 2**20  # bytes


@dataclass(frozen=True)
class Made:
    """The samples of a set: "train" and "test" -> rows of label and pixels [3, 32, 32].

    `lossy` says whether any came from a format that changes pixels.
    """

    rows: Mapping[str, Sequence[Row]]
    lossy: bool = False


def both_parts(
    name: str, names: Sequence[str], key: str, make: Callable[[], Made]
) -> tuple[ImageDataset, ImageDataset, bool]:
    """Both parts and whether they are lossy, from the cache after the first time.

    Args:
        name, names: of the set and of its classes.
        key: a hex digest of all that the samples are made from.
        make: decodes them.
    """
    found = [cache.find(f"{name}-{split}", key) for split in SPLITS]
    entries = [entry for entry in found if entry is not None]
    entries = entries if len(entries) == len(SPLITS) else _stored(name, key, make())
    train, test = (
        ImageDataset(name, split, entry.open(), entry.facts["labels"], names)
        for split, entry in zip(SPLITS, entries, strict=True)
    )
    return train, test, bool(entries[0].facts["lossy"])


def _stored(name: str, key: str, made: Made) -> list[cache.Entry]:
    def stored(split: str) -> cache.Entry:
        rows = made.rows[split]

        def fill(facts: cache.Facts) -> Iterator[cache.Array]:
            facts.update(lossy=made.lossy, labels=[label for label, _ in rows])
            yield from (pixels[None] for _, pixels in rows)

        shape = (len(rows), 3, SIDE, SIDE)
        return cache.store(f"{name}-{split}", key, shape, (np.dtype(np.uint8),), fill)

    return [stored(split) for split in SPLITS]


def inside(source: Path, patterns: Sequence[str]) -> list[File]:
    """The files of a folder that fit the patterns, sorted; or an archive as one file."""
    if not source.is_dir():
        return [File(Folder(source.parent), source.name)]
    folder = Folder(source)
    members = [member for pattern in patterns for member in folder.matching(pattern)]
    return [File(folder, member) for member in sorted(members, key=PurePosixPath)]


def key_of(source: Path, patterns: Sequence[str]) -> str:
    """Digest of all files that `files_of` gives."""
    return hashlib.sha256("\n".join(digests(inside(source, patterns))).encode()).hexdigest()


def files_of(source: Path, patterns: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Path and contents of each file of a folder or tar archive, sorted or as packed."""
    if source.is_dir():
        yield from ((file.member, file.read()) for file in inside(source, patterns))
        return
    try:
        with reading(source), tarfile.open(source) as archive:
            for member in archive:
                name = PurePosixPath(member.name).as_posix()
                if member.isfile() and not hidden(name):
                    yield name, cast(IO[bytes], archive.extractfile(member)).read()
            _check_end(archive, source)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise CorruptData(f"{source}: cannot be unpacked ({error})") from error


def _check_end(archive: tarfile.TarFile, source: Path) -> None:
    """Reads an archive of which all members were read to its end, where its only checksum stands.

    tarfile takes a damaged header, and a cut, for the end; after the true one there are zeros only.
    """
    file = cast(IO[bytes], archive.fileobj)
    clean = all(not block.strip(b"\0") for block in iter(lambda: file.read(_AT_ONCE), b""))
    if not clean or file.tell() % tarfile.BLOCKSIZE or file.tell() == archive.offset:
        raise CorruptData(
            f"{source}: cannot be unpacked (cut short or damaged at byte {archive.offset} of the "
            "unpacked archive)"
        )


def decoded(data: bytes, name: str, resized: bool = False) -> Pixels:
    """A picture file (JPEG, PNG, PPM) as [3, 32, 32].

    Args:
        data, name: the file's bytes, and its name for messages.
        resized: True takes any size and resizes the whole picture, bilinearly; else it must fit.
    """
    from PIL import Image, UnidentifiedImageError  # slow to import

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "PPM")) as image:
            if image.mode.startswith(("I", "F")):
                raise CorruptData(f"{name}: has more than 8 bits a colour; 8 are allowed")
            if image.size != (SIDE, SIDE) and not resized:
                raise CorruptData(f"{name}: has {image.size} pixels; {(SIDE, SIDE)} is allowed")
            colours = image.convert("RGB")
            if image.size != (SIDE, SIDE):
                colours = colours.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            return np.asarray(colours, dtype=np.uint8).transpose(2, 0, 1)
    except CorruptData:
        raise
    except UnidentifiedImageError as error:
        raise CorruptData(f"{name}: is no readable image (no JPEG, PNG or PPM)") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptData(f"{name}: is no readable image ({error})") from error
