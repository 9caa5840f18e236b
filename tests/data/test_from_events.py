"""Recordings in memory become a data set, known by their contents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snnbd_core.data import EVENT_DTYPE, CorruptData, FrameDataset, bin_events, from_events
from snnbd_core.poisoning import poison
from snnbd_core.triggers import Static

SENSOR = (20, 12, 2)
TONIC = np.dtype([("x", "u2"), ("y", "u2"), ("p", "i1"), ("t", "u4")])


def recording(seed: int, count: int = 80, dtype: Any = TONIC) -> Any:
    draw = np.random.default_rng(seed)
    events = np.zeros(count, dtype)
    events["x"], events["y"] = draw.integers(0, 20, count), draw.integers(0, 12, count)
    events["t"], events["p"] = np.sort(draw.integers(0, 90_000, count)), draw.integers(0, 2, count)
    return events


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> None:
    """Nothing is found from before."""


@pytest.mark.parametrize("binning", ["number", "time"])
def test_frames_are_the_binned_recordings(binning: Any) -> None:
    rows = [recording(i, 40 + i) for i in range(6)]
    data = from_events(rows, [0, 1, 2] * 2, SENSOR, 5, binning=binning)
    assert isinstance(data, FrameDataset) and data.classes == 3 and data.frames == 5
    assert data.input_shape == (2, 12, 20) and data.labels.tolist() == [0, 1, 2, 0, 1, 2]
    for i, events in enumerate(rows):
        np.testing.assert_array_equal(data[i][0], bin_events(events, 5, SENSOR, binning))
        assert data.events(i).dtype == EVENT_DTYPE
        assert data.events(i)["t"].tolist() == events["t"].tolist()


def test_other_recordings_never_meet_the_cached_frames() -> None:
    first = from_events([recording(0), recording(1)], [0, 1], SENSOR)
    other = from_events([recording(2), recording(1)], [0, 1], SENSOR)
    again = from_events([recording(0, dtype=EVENT_DTYPE), recording(1)], [0, 1], SENSOR)
    assert not torch.equal(first[0][0], other[0][0])
    assert first.fingerprint == again.fingerprint != other.fingerprint
    # the same events, cut elsewhere
    both = np.concatenate([recording(0), recording(1)])
    both["t"] = np.arange(len(both))
    cut = [from_events(np.split(both, [at]), [0, 1], SENSOR, 4) for at in (60, 80)]
    assert cut[0].fingerprint != cut[1].fingerprint
    for data in cut:
        assert torch.equal(data[0][0], data.bin(data.events(0)))


def test_classes_are_found_counted_or_named() -> None:
    rows = [recording(0), recording(1)]
    assert from_events(rows, [0, 4], SENSOR).class_names == ("0", "1", "2", "3", "4")
    assert from_events(rows, np.array([0, 1]), SENSOR, classes=np.int64(7)).classes == 7
    named = from_events(rows, torch.tensor([0, 1]), SENSOR, classes=("left", "right"), name="a/b")
    assert named.class_names == ("left", "right")


def test_the_examples_of_the_reference_run(project: Path) -> None:
    text = (project / "book" / "api.md").read_text()
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    names: dict[str, Any] = {}
    exec(next(block for block in blocks if "from_events([" in block), names)
    assert names["events"][0][0].sum() == 2 and names["events"].classes == 10
    assert torch.equal(names["own"][0][0], names["events"][0][0])
    assert names["images"].input_shape == (1, 8, 8) and names["listed"].labels.tolist() == [0, 1]


def test_numbers_of_numpy_are_numbers() -> None:
    ours = from_events([recording(0)], [0], SENSOR, 4)
    sensor: Any = tuple(np.array(SENSOR))
    same = from_events([recording(0)], [np.uint8(0)], sensor, np.int64(4))  # type: ignore[arg-type]  # the test
    assert same.fingerprint == ours.fingerprint


def test_an_events_trigger_changes_the_recordings() -> None:
    data = from_events([recording(i) for i in range(4)], [0, 1, 0, 1], SENSOR)
    light = Static(space="events", sensor_size=SENSOR, size=0.2)
    poisoned = poison(data, light, 1, 0)
    assert torch.equal(poisoned[2][0], data.bin(light(data.events(2))))


def test_what_is_no_recording_is_named_with_its_place() -> None:
    rows = [recording(0), recording(1)[::-1]]
    with pytest.raises(ValueError, match=r"own: recording 1: event 1 has t=.*times never fall"):
        from_events(rows, [0, 1], SENSOR)
    with pytest.raises(ValueError, match=r"own: recording 0: event \d+ has x=\d+; 0\.\.4 is"):
        from_events([recording(0)], [0], (5, 12, 2))
    with pytest.raises(ValueError, match="own: recording 0: events are a list"):
        from_events([[(0, 0, 0, 1)]], [0], SENSOR)  # type: ignore[list-item]  # the test
    with pytest.raises(ValueError, match="own, recording 1: frames=16 is more than the record"):
        from_events([recording(0), recording(1, 9)], [0, 1], SENSOR)
    with pytest.raises(CorruptData, match="own train: 1 labels do not match 2 samples"):
        from_events([recording(0), recording(1)], [0], SENSOR)
