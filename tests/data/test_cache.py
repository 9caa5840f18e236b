"""Cached arrays are whole, checked, and survive full disks, damage and company."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnbd_core.data import cache

KEY = "ab" * 32
ROWS = np.arange(60, dtype=np.int64).reshape(10, 6)


def rows(facts: dict[str, Any]) -> Iterator[Any]:
    facts["said"] = "so"
    yield ROWS[:4]
    yield ROWS[4:]


def store(make: Any = rows, shape: tuple[int, ...] = (10, 6)) -> cache.Entry:
    return cache.store("thing", KEY, shape, cache.UNSIGNED, make)


def test_what_was_stored_is_found_with_its_facts(own_cache: Path) -> None:
    assert cache.find("thing", KEY) is None
    store()
    entry = cache.find("thing", KEY)
    assert entry is not None and entry.facts == {"said": "so"}
    array = entry.open()
    assert isinstance(array, np.memmap) and not array.flags.writeable
    np.testing.assert_array_equal(array, ROWS)
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".json", ".npy"]


@pytest.mark.parametrize(
    ("largest", "dtype"), [(255, "uint8"), (256, "uint16"), (65_535, "uint16"), (65_536, "uint32")]
)
def test_the_narrowest_type_that_holds_all_counts_is_used(
    own_cache: Path, largest: int, dtype: str
) -> None:
    def make(facts: dict[str, Any]) -> Iterator[Any]:
        yield ROWS[:9]
        yield np.full((1, 6), largest)

    array = store(make).open()
    assert array.dtype == dtype and array.max() == largest
    assert len(list(own_cache.iterdir())) == 2


def test_an_array_without_rows_can_be_stored(own_cache: Path) -> None:
    array = store(lambda facts: iter(()), (0, 6)).open()
    assert array.shape == (0, 6)


@pytest.mark.parametrize("place", [-1, 3])
def test_a_damaged_array_counts_as_missing_and_is_logged(
    own_cache: Path, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = store().path
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert cache.find("thing", KEY) is None
    assert "wrong checksum" in caplog.text and path.name in caplog.text
    np.testing.assert_array_equal(store().open(), ROWS)


def test_a_truncated_array_or_note_counts_as_missing(own_cache: Path) -> None:
    path = store().path
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.find("thing", KEY) is None
    note = store().path.with_suffix(".json")
    note.write_bytes(note.read_bytes()[:-9])
    assert cache.find("thing", KEY) is None


def test_a_full_disk_leaves_nothing_behind(own_cache: Path) -> None:
    def fill(facts: dict[str, Any]) -> Iterator[Any]:
        yield ROWS[:4]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"no space left in .*SNNBD_CACHE") as caught:
        store(fill)
    assert caught.value.errno == errno.ENOSPC
    assert list(own_cache.iterdir()) == []


def test_a_full_disk_found_when_flushing_leaves_nothing_behind(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"no space left in .*SNNBD_CACHE"):
        store()
    assert list(own_cache.iterdir()) == []


def _store_slowly(barrier: Any, done: Any) -> None:
    def make(facts: dict[str, Any]) -> Iterator[Any]:
        for row in ROWS:
            barrier.wait(60)
            yield row[None]

    np.testing.assert_array_equal(store(make).open(), ROWS)
    done.put(True)


def test_two_processes_that_store_the_same_do_no_harm(own_cache: Path) -> None:
    """The barrier makes both write at the same time, row by row."""
    context = multiprocessing.get_context("fork")
    barrier, done = context.Barrier(2), context.Queue()
    workers = [context.Process(target=_store_slowly, args=(barrier, done)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    entry = cache.find("thing", KEY)
    assert entry is not None
    np.testing.assert_array_equal(entry.open(), ROWS)
    assert len(list(own_cache.iterdir())) == 2
