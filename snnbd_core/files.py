"""Where files go and how they are written: whole, or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

__all__ = ["cache_dir", "expanded", "write_atomically"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def write_atomically(
    path: Path | str, write: Callable[[BinaryIO], object], variable: str | None = None
) -> None:
    """Write a file so that readers see the old one or the whole new one, never a part.

    The bytes go to a temporary name in the same folder (so that the last step is a rename on
    one file system), are flushed to the disk, and then take the name ``path``. Two processes
    that write the same path at once leave the file of the one that finished last, whole.

    Args:
        path: the file to write; its folder must exist.
        write: called once with the open binary file; may seek in it.
        variable: the environment variable that chose the folder, named when the disk is full.

    Raises:
        OSError: naming the folder when the disk is full; any other error of ``write`` or of the
            system as it came. An older file of that name is then left as it was.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a cache or a record is read by others as umask allows.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            remedy = f"point ${variable} at a folder with more" if variable else "write elsewhere"
            full = f"no space left in {path.parent} while writing {path.name}; nothing was stored"
            raise OSError(error.errno, f"{full}. Free some space there, or {remedy}") from error
        raise


def cache_dir() -> Path:
    """Give the folder for data that can be made again, creating it when it is not there.

    ``$SNNBD_CACHE`` when set, else ``$XDG_CACHE_HOME/snnbd``, else ``~/.cache/snnbd``.

    Raises:
        PermissionError: when there is no home folder, or the folder cannot be made or written to;
            names the folder and ``$SNNBD_CACHE`` as the remedy.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = expanded(os.environ.get("SNNBD_CACHE") or f"{base}/snnbd", "SNNBD_CACHE")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "it is not writable")
    except OSError as error:
        raise PermissionError(
            f"cannot use the cache folder {folder}: {error.strerror}. Point $SNNBD_CACHE at a "
            "folder that you may write to"
        ) from error
    return folder


def expanded(path: str | os.PathLike[str], variable: str) -> Path:
    """Give the path with ``~`` replaced by the home folder.

    Raises:
        PermissionError: when the user has no home folder (a container, a batch job); names the
            environment variable to set instead.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise PermissionError(
            f"cannot use the folder {path}: this user has no home folder (HOME is not set). "
            f"Point ${variable} at a folder by its full path"
        ) from error


def _umask() -> int:
    """Give the process's umask (the system only tells it in exchange for a new one)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
