"""Triggers on raw recordings: what they keep, what they change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tonic.io import make_structured_array
from tonic.transforms import Compose

from snnbd_core.triggers import (
    EventPattern,
    EventRate,
    EventTrojan,
    Retimed,
    Static,
    TimeWarp,
    changed,
)

SENSOR = (34, 34, 2)


def recording(seed: int = 0, count: int = 3000, span: int = 300_000) -> np.ndarray:
    draw = np.random.default_rng(seed)
    times = np.sort(draw.integers(1000, 1000 + span, count))
    x, y, p = draw.integers(0, 34, count), draw.integers(0, 34, count), draw.integers(0, 2, count)
    return make_structured_array(x, y, times, p)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), strength=st.floats(0.05, 0.95))
def test_a_warp_keeps_events_pixels_ends_and_each_pixels_order(seed, strength):
    before = recording(seed)
    keep = before["t"].copy()
    after = TimeWarp(strength=strength, seed=seed)(before)
    assert np.array_equal(before["t"], keep)
    assert (np.diff(after["t"]) >= 0).all()
    assert (after["t"][0], after["t"][-1]) == (before["t"][0], before["t"][-1])
    pixel = (after["x"] == before["x"][5]) & (after["y"] == before["y"][5])
    same = (before["x"] == before["x"][5]) & (before["y"] == before["y"][5])
    assert after["p"][pixel].tolist() == before["p"][same].tolist()


def test_a_warp_delays_a_pixel_by_the_formula():
    trigger, events = TimeWarp(strength=0.6, seed=2), recording(count=5000)
    first, span = int(events["t"][0]), int(np.ptp(events["t"]))
    after = trigger(events)
    field = trigger.field(events)
    assert np.abs(field).max() == pytest.approx(1)
    for row in (7, 1234, 4000):
        x, y, t = (int(events[name][row]) for name in "xyt")
        u = (t - first) / span
        moved = first + span * (u + 0.6 * field[y, x] * np.sin(np.pi * u) / np.pi)
        there = after["t"][(after["x"] == x) & (after["y"] == y)]
        assert np.abs(there - moved).min() <= 0.5


def test_only_a_specific_warp_differs_between_recordings():
    one, two = recording(0), recording(1)
    assert np.array_equal(TimeWarp().field(one), TimeWarp().field(two))
    assert not np.array_equal(
        TimeWarp(specific=True).field(one), TimeWarp(specific=True).field(two)
    )


def test_a_rhythm_thins_out_as_its_wave_says():
    events = recording(count=200_000)
    trigger = EventRate(frequency=10, depth=0.8)
    kept = trigger(events)
    assert changed(events, kept).added == 0
    phase = (events["t"] - events["t"][0]) * 1e-6 * 10 % 1
    left = (kept["t"] - events["t"][0]) * 1e-6 * 10 % 1
    for low in (0.2, 0.7):  # around the deepest point and the highest
        share = np.mean((left > low) & (left < low + 0.1)) * len(kept)
        share /= np.mean((phase > low) & (phase < low + 0.1)) * len(events)
        centre = np.mean(np.sin(2 * np.pi * np.linspace(low, low + 0.1, 100)))
        assert share == pytest.approx(1 - 0.8 * (1 + centre) / 2, abs=0.01)
    assert np.array_equal(kept, Compose([trigger])(events))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), count=st.integers(1, 60))
def test_a_pattern_adds_its_events_with_room_around_them(seed, count):
    draw = np.random.default_rng(seed)
    added = tuple(
        (
            int(draw.integers(34)),
            int(draw.integers(34)),
            int(draw.integers(2)),
            float(draw.random()),
        )
        for _ in range(count)
    )
    events = recording(seed)
    after = EventPattern(added=added)(events)
    assert tuple(changed(events, after)) == (count, 0)
    assert (np.diff(after["t"]) >= 0).all()
    assert (after["t"][0], after["t"][-1]) == (events["t"][0], events["t"][-1])
    old = {tuple(one) for one in events.tolist()}
    new = [one for one in after.tolist() if tuple(one) not in old]
    for x, y, t, _ in new:
        others = after["t"][(after["x"] == x) & (after["y"] == y)]
        assert np.sum(np.abs(others - t) < 500) == 1  # itself


def test_a_pattern_takes_out_the_nearest_event_of_its_pixel_and_polarity():
    events = make_structured_array(
        np.array([3, 4, 4, 4, 9]),
        np.array([5, 6, 6, 6, 9]),
        np.array([0, 1000, 5000, 5200, 10_000]),
        np.array([1, 1, 1, 0, 1]),
    )
    after = EventPattern(removed=((4, 6, 1, 0.52), (20, 20, 1, 0.5), (3, 5, 1, 0.9)))(events)
    assert after["t"].tolist() == [0, 1000, 5200, 10_000]  # (3, 5) is too far off in time


@pytest.mark.parametrize(
    "trigger",
    [
        EventPattern(added=((3, 4, 1, 0.25), (30, 2, 0, 0.5)), removed=((5, 6, 1, 0.5),)),
        EventRate(),
        EventTrojan(side=2, times=(0.4,)),
        Retimed(),
        Static(space="events", sensor_size=SENSOR),
        TimeWarp(),
    ],
    ids=lambda trigger: type(trigger).__name__,
)
def test_events_are_the_same_whatever_order_their_fields_have(trigger):
    """In tonic, DVS Gesture has x, y, p, t."""
    events = recording()
    other = np.zeros(len(events), dtype=[(name, events.dtype[name]) for name in "xypt"])
    for name in "xytp":
        other[name] = events[name]
    wanted, found = trigger(events), trigger(other)
    assert found.dtype == other.dtype
    for name in "xytp":
        assert found[name].tolist() == wanted[name].tolist()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TimeWarp(strength=1.0), r"strength=1.0 must be a number in \(0, 1\)"),
        (lambda: TimeWarp(specific=1), "specific=1 must be true or false"),
        (lambda: TimeWarp(sensor_size=None), "sensor_size=None is not a sensor: allowed is"),
        (lambda: EventRate(frequency=0), "frequency=0 must be a number of Hz above 0"),
        (lambda: EventRate(depth=1), r"depth=1 must be a number in \(0, 1\)"),
        (lambda: EventRate()(recording()[::-1]), "times never fall"),
        (
            lambda: EventPattern(added=((34, 0, 1, 0.5),)),
            r"added\[0\]=\(34, 0, 1, 0.5\) must be \(x, y, p, share\) within \(34, 34, 2\)",
        ),
        (lambda: EventPattern(added=((3, 0, 1, -0.1),)), r"added\[0\]=\(3, 0, 1, -0.1\) must be"),
        (lambda: EventPattern(refractory=0), "refractory=0 must be a whole number >= 1"),
        (
            lambda: EventPattern(added=((3, 3, 1, 0.5),) * 900)(recording()),
            "has no room for another one: allowed are gaps of at least refractory=500 us",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
