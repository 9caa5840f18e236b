"""A data set small enough for runs of a second: made-up recordings in N-MNIST's own layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from snnbd_book.runs import Experiment
from snnbd_book.runs.resolving import _load
from snnbd_core.triggers import Static

TRAIN, TEST = 6, 3  # recordings per digit


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with 60 + 30 recordings of 400 events; each digit lights its own columns."""
    root = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for part, count in (("Train", TRAIN), ("Test", TEST)):
        for digit in range(10):
            folder = root / part / str(digit)
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number:05d}.bin").write_bytes(_recording(rng, digit))
    return root


def _recording(rng: np.random.Generator, digit: int) -> bytes:
    """Five bytes an event: x, y, then 1 bit of polarity and 23 bits of time in microseconds."""
    events = np.zeros((400, 5), dtype=np.uint8)
    times = np.sort(rng.integers(0, 300_000, 400))
    events[:, 0] = 3 * digit + rng.integers(0, 5, 400)
    events[:, 1] = rng.integers(0, 34, 400)
    events[:, 2] = (rng.integers(0, 2, 400) << 7) | (times >> 16)
    events[:, 3] = (times >> 8) & 255
    events[:, 4] = times & 255
    return events.tobytes()


@pytest.fixture
def results(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results folder of one test, with a cache of its own and the small data set in place."""
    monkeypatch.setenv("SNNBD_DATA", str(recordings))
    monkeypatch.setenv("SNNBD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SNNBD_RESULTS", str(tmp_path / "results"))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    _load.cache_clear()
    return tmp_path / "results"


@pytest.fixture
def tiny() -> Callable[..., Experiment]:
    """Makes experiments of about a second; fields by keyword, poisoned unless told otherwise."""

    def make(**fields: object) -> Experiment:
        settings: dict[str, object] = {
            "data": "nmnist",
            "frames": 2,
            "epochs": 1,
            "trigger": Static(size=0.2),
            "rate": 0.25,
        }
        return Experiment(**{**settings, **fields})  # type: ignore[arg-type]  # checked at run time

    return make


@pytest.fixture(scope="session")
def tiny_yaml() -> str:
    """The same as a claims file or a grid writes it."""
    return "{data: nmnist, frames: 2, epochs: 1, rate: 0.25, trigger: {kind: Static, size: 0.2}}"
