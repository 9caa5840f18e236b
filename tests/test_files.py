"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from snnbd_core import files


def test_the_file_holds_what_was_written(tmp_path: Path) -> None:
    files.write_atomically(tmp_path / "a.bin", lambda file: bool(file.write(b"new")) and None)
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_the_file_is_readable_as_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_atomically(tmp_path / "a", lambda file: None)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), OSError(5, "io")])
def test_after_an_error_the_old_file_stands_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        files.write_atomically(tmp_path / "a", fail)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_is_named_with_its_folder_and_a_remedy(tmp_path: Path) -> None:
    def fill(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"no space left in .* writing a;.*SNNBD_CACHE") as caught:
        files.write_atomically(tmp_path / "a", fill, variable="SNNBD_CACHE")
    assert caught.value.errno == errno.ENOSPC
    assert str(tmp_path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_in_a_folder_that_the_caller_chose_names_no_variable(tmp_path: Path) -> None:
    def fill(file: BinaryIO) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with pytest.raises(OSError, match=r"Free some space there, or write elsewhere$") as caught:
        files.write_atomically(tmp_path / "checkpoint.pt", fill)
    assert str(tmp_path) in str(caught.value) and "SNNBD" not in str(caught.value)


@pytest.mark.parametrize("chosen", [None, "~/cache"])
def test_a_user_without_a_home_folder_is_told_which_variable_to_set(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None
) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("SNNBD_CACHE", raising=False)
    if chosen:
        monkeypatch.setenv("SNNBD_CACHE", chosen)
    with pytest.raises(PermissionError, match=r"no home folder.*\$SNNBD_CACHE"):
        files.cache_dir()


def test_the_cache_folder_is_the_one_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNBD_CACHE", str(tmp_path / "deep" / "cache"))
    assert files.cache_dir() == tmp_path / "deep" / "cache"
    assert files.cache_dir().is_dir()
    monkeypatch.delenv("SNNBD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert files.cache_dir() == tmp_path / "xdg" / "snnbd"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert files.cache_dir() == tmp_path / "home" / ".cache" / "snnbd"


def test_a_cache_folder_without_permission_is_named_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNBD_CACHE", str(tmp_path))
    # Simulated: the tests may run as root, whom no mode bits stop.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"not writable.*SNNBD_CACHE") as caught:
        files.cache_dir()
    assert str(tmp_path) in str(caught.value)


def test_a_cache_folder_that_cannot_be_made_is_named_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SNNBD_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(PermissionError, match=r"cannot use the cache folder .*SNNBD_CACHE"):
        files.cache_dir()
