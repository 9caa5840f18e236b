"""Frames hold the counts that SpikingJelly and tonic find, by number and by time."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tonic.transforms
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnbd_core.data import EVENT_DTYPE, bin_events

from .conftest import random_events

SENSOR = (34, 30, 2)


@pytest.fixture(scope="module")
def spikingjelly() -> ModuleType:
    """SpikingJelly's data helpers.

    Their package loads all its data sets, which need torchvision and torchaudio for downloads
    and pictures; so it is passed by, and what the helpers name of torchvision is an empty stub.
    """
    import spikingjelly

    package = ModuleType("spikingjelly.datasets")
    package.__path__ = [f"{spikingjelly.__path__[0]}/datasets"]
    pictures = ModuleType("torchvision")
    pictures.transforms = None  # type: ignore[attr-defined]  # a stub
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "spikingjelly.datasets", package)
        patch.setitem(sys.modules, "torchvision", pictures)
        utils = importlib.import_module("spikingjelly.datasets.utils")
        patch.delitem(sys.modules, "spikingjelly.datasets.utils")
    return utils


def theirs(utils: ModuleType, events: Any, by: str, frames: int) -> Any:
    columns = {field: events[field].astype(np.int64) for field in "txyp"}
    return utils.integrate_events_by_fixed_frames_number(columns, by, frames, SENSOR[1], SENSOR[0])


def events_on_sensor(seed: int, count: int) -> Any:
    return random_events(seed, count, side=30)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(16, 600), frames=st.integers(1, 16))
def test_by_number_equals_spikingjelly(
    spikingjelly: ModuleType, seed: int, count: int, frames: int
) -> None:
    events = events_on_sensor(seed, count)
    ours = bin_events(events, frames, SENSOR)
    np.testing.assert_array_equal(ours, theirs(spikingjelly, events, "number", frames))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(300, 600), frames=st.integers(1, 16))
def test_by_time_equals_spikingjelly(
    spikingjelly: ModuleType, seed: int, count: int, frames: int
) -> None:
    events = events_on_sensor(seed, count)
    ours = bin_events(events, frames, SENSOR, by="time")
    np.testing.assert_array_equal(ours, theirs(spikingjelly, events, "time", frames))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(300, 600), frames=st.integers(1, 16))
def test_by_time_equals_tonic_but_for_the_rest_that_tonic_drops(
    seed: int, count: int, frames: int
) -> None:
    events = events_on_sensor(seed, count)
    ours = bin_events(events, frames, SENSOR, by="time")
    tonics = tonic.transforms.ToFrame(sensor_size=SENSOR, n_time_bins=frames)(events)
    np.testing.assert_array_equal(ours[:-1], tonics[:-1])
    window = (events["t"][-1] - events["t"][0]) // frames
    rest = events["t"] >= events["t"][0] + window * frames
    assert ours[-1].sum() - tonics[-1].sum() == rest.sum() >= 1


@pytest.mark.parametrize("count", [480, 487])
def test_by_number_equals_tonic_but_for_the_rest_that_tonic_drops(count: int) -> None:
    events = events_on_sensor(1, count)
    ours = bin_events(events, 16, SENSOR)
    tonics = tonic.transforms.ToFrame(sensor_size=SENSOR, n_event_bins=16)(events)
    np.testing.assert_array_equal(ours[:-1], tonics[:-1])
    assert ours[-1].sum() - tonics[-1].sum() == count - 480


def test_counts_by_hand() -> None:
    rows = [(1, 2, 10, 0), (1, 2, 11, 0), (1, 2, 20, 1), (3, 0, 30, 1), (0, 0, 40, 0)]
    events = np.array(rows, dtype=EVENT_DTYPE)
    frames = bin_events(events, 2, (4, 3, 2))
    assert frames.dtype == np.int64 and frames.shape == (2, 2, 3, 4)
    assert frames[0, 0, 2, 1] == 2 and frames[0].sum() == 2
    assert frames[1, 1, 2, 1] == 1 and frames[1, 1, 0, 3] == 1 and frames[1, 0, 0, 0] == 1


def test_a_stretch_of_time_without_events_is_an_empty_frame() -> None:
    events = np.array([(0, 0, 0, 1), (0, 0, 1, 1), (0, 0, 90, 1)], dtype=EVENT_DTYPE)
    assert bin_events(events, 3, SENSOR, "time").sum(axis=(1, 2, 3)).tolist() == [2, 0, 1]


def test_the_events_are_not_changed() -> None:
    events = events_on_sensor(3, 200)
    before = events.copy()
    bin_events(events, 16, SENSOR)
    np.testing.assert_array_equal(events, before)


@pytest.mark.parametrize("frames", [0, -1, 2.5, True])
def test_frames_must_be_a_positive_whole_number(frames: Any) -> None:
    with pytest.raises(ValueError, match=rf"frames={frames} must be a whole number >= 1"):
        bin_events(events_on_sensor(0, 100), frames, SENSOR)


@pytest.mark.parametrize("by", ["number", "time"])
def test_more_frames_than_events_are_refused(by: Any) -> None:
    with pytest.raises(ValueError, match="frames=11 is more than the recording's 10 events"):
        bin_events(events_on_sensor(0, 10), 11, SENSOR, by)


def test_frames_of_less_than_a_microsecond_are_refused() -> None:
    events = events_on_sensor(0, 10)
    events["t"] = 5
    with pytest.raises(ValueError, match="frames=2 is more than the 1 us that the recording"):
        bin_events(events, 2, SENSOR, "time")


def test_one_event_and_a_burst_in_one_microsecond_fill_one_frame() -> None:
    for count in (1, 5):
        burst = events_on_sensor(0, count)
        burst["t"] = 7
        for by in ("number", "time"):
            assert bin_events(burst, 1, SENSOR, by).sum() == count  # type: ignore[arg-type]  # a str


def test_frames_of_one_microsecond_are_the_shortest() -> None:
    events = events_on_sensor(0, 4)
    events["t"] = [3, 3, 4, 5]
    assert bin_events(events, 3, SENSOR, "time").sum(axis=(1, 2, 3)).tolist() == [2, 1, 1]


@pytest.mark.parametrize("frames", [np.int64(4), np.uint8(4), torch.tensor(4)])
def test_a_number_of_numpy_or_torch_is_a_number(frames: Any) -> None:
    events = events_on_sensor(0, 50)
    np.testing.assert_array_equal(bin_events(events, frames, SENSOR), bin_events(events, 4, SENSOR))


def test_what_is_no_recording_is_refused() -> None:
    with pytest.raises(ValueError, match="events are a list; a structured array is needed"):
        bin_events([(0, 0, 0, 1)], 1, SENSOR)  # type: ignore[arg-type]  # the test


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="binning='events' is unknown; allowed: number, time"):
        bin_events(events_on_sensor(0, 10), 2, SENSOR, "events")  # type: ignore[arg-type]  # the test


def test_an_empty_recording_is_refused() -> None:
    with pytest.raises(ValueError, match="one event or more is needed"):
        bin_events(events_on_sensor(0, 10)[:0], 1, SENSOR)


def test_an_event_outside_the_sensor_is_refused() -> None:
    events = events_on_sensor(0, 10)
    events["x"][4] = 34
    with pytest.raises(ValueError, match=r"event 4 has x=34; 0\.\.33 is allowed"):
        bin_events(events, 1, SENSOR)
