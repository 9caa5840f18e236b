"""Times that are learnt: the soft binning against its closed form, and what the fit may move."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snnbd_core import data
from snnbd_core.attacks import LearntTimes, MutableTrojan
from snnbd_core.attacks.learnt_times import soft_counts
from snnbd_core.triggers import EventTrojan, TimeTable, changed


@pytest.fixture(scope="module")
def train():
    """60 recordings, 4 frames, two classes that differ a lot."""
    whole, _ = data.load("digits-events", frames=4)
    rows = np.flatnonzero(np.isin(whole.labels, [0, 1]))[:60]
    return whole.subset(rows)


def at(events: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(events["t"] / 1000.0).float()


@pytest.mark.parametrize("binning", ["number", "time"])
def test_events_that_stay_are_counted_as_they_are(binning):
    """But for an event in a thousand at the very edge of a frame, or at its neighbour's time."""
    train, _ = data.load("digits-events", frames=4, binning=binning)
    for row in range(5):
        events = train.events(row)
        counts = soft_counts(events, at(events), train)
        assert counts.sum() == len(events)
        assert (counts - train[row][0]).abs().sum() <= 0.002 * len(events)


def test_the_slope_of_a_count_is_that_of_a_triangle_as_wide_as_a_frame():
    train, _ = data.load("digits-events", frames=4, binning="time")
    events = train.events(0)
    width = np.ptp(events["t"]) / 4 / 1000
    one = np.array([(5, 6, 1)], dtype=[("x", int), ("y", int), ("p", int)])
    for inside, frames in ((1.7, (1, 2)), (2.2, (1, 2)), (0.8, (0, 1))):
        begin = events["t"][0] / 1000
        time = torch.tensor([begin + inside * width], dtype=torch.float32, requires_grad=True)
        counts = soft_counts(events, time, train, one)[:, 1, 6, 5]
        whole = torch.zeros(4)
        whole[int(inside)] = 1
        assert torch.allclose(counts, whole, atol=1e-5)
        for frame in range(4):
            (slope,) = torch.autograd.grad(counts[frame], time, retain_graph=True)
            wanted = {frames[0]: -1 / width, frames[1]: 1 / width}.get(frame, 0)
            assert slope.item() == pytest.approx(wanted, rel=1e-3)


@pytest.mark.trains
def test_learnt_delays_stay_within_the_bound_and_move_nothing_else(train):
    table = LearntTimes(bound=10, parts=3, slices=2, epochs=1).fit(train, target=0, seed=0)
    assert isinstance(table, TimeTable)
    assert np.shape(table.shifts) == (2, 3, 3, 2)
    assert 0 < np.abs(table.shifts).max() <= 10
    events = train.events(0)
    after = table(events)
    assert not np.array_equal(after["t"], events["t"])
    assert torch.equal(train.bin(after).sum(dim=0), train.bin(events).sum(dim=0))


@pytest.mark.trains
def test_the_squares_events_are_moved_and_none_is_added(train):
    trigger = MutableTrojan(side=2, epochs=1).fit(train, target=1, seed=0)
    assert isinstance(trigger, EventTrojan)
    assert len(set(trigger.times)) == 4 and all(0 < time < 1 for time in trigger.times)
    events = train.events(0)
    assert tuple(changed(events, trigger(events))) == (4, 0)


@pytest.mark.parametrize("recipe", [LearntTimes(), MutableTrojan()])
def test_a_recipe_is_no_trigger_yet_and_refuses_what_is_no_class(recipe, train):
    with pytest.raises(ValueError, match=r"must see training data first, by fit\(train, target"):
        recipe(train.events(0))
    with pytest.raises(ValueError, match="target=10 is not a class"):
        recipe.fit(train, target=10)


@pytest.mark.parametrize("recipe", [LearntTimes(), MutableTrojan()])
def test_one_frame_holds_no_times_that_could_be_learnt(recipe):
    single, _ = data.load("digits-events", frames=1)
    with pytest.raises(ValueError, match=r"frames=1: .* moves events from frame to frame"):
        recipe.fit(single, target=0)


def test_a_bound_that_is_longer_than_a_recording_is_refused(train):
    with pytest.raises(ValueError, match="bound=400 ms is longer than a recording: allowed is at"):
        LearntTimes(bound=400).fit(train, target=0)
