"""Recordings that the tests of ``snnbd_core.data`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnbd_core.data import EVENT_DTYPE, FrameDataset, load


def random_events(seed: int, count: int = 500, side: int = 34) -> np.ndarray[Any, Any]:
    """Events anywhere on a square sensor, at times that rise by 0 to 999 us."""
    draw = np.random.default_rng(seed)
    events = np.empty(count, dtype=EVENT_DTYPE)
    events["x"], events["y"] = draw.integers(0, side, (2, count))
    events["t"] = np.cumsum(draw.integers(0, 1000, count))
    events["p"] = draw.integers(0, 2, count)
    return events


def five_bytes(events: np.ndarray[Any, Any]) -> bytes:
    """The five-byte format, written from its description: x, y, p(1) t(23), big-endian."""
    out = bytearray()
    for x, y, t, p in events.tolist():
        out += bytes([x, y]) + (int(p) << 23 | int(t)).to_bytes(3, "big")
    return bytes(out)


def write_nmnist(
    root: Path, per_class: int = 3, classes: int = 2, count: int = 400, first: int = 0
) -> None:
    """N-MNIST's layout with random recordings; a third of each class is for testing."""
    for label in range(classes):
        for i in range(per_class):
            folder = root / ("Test" if i % 3 == 0 else "Train") / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            events = random_events(first + 100 * label + i, count)
            (folder / f"{i:05d}.bin").write_bytes(five_bytes(events))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that is empty at the start of the test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SNNBD_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def digits_events() -> tuple[FrameDataset, FrameDataset]:
    """The embedded set, simulated once for the session."""
    return load("digits-events")
