"""Triggers that move events in time alone: what stays, what moves, and by how much."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tonic.io import make_structured_array

import snnbd_core as sb
from snnbd_core.triggers import Retimed, TimeTable
from snnbd_core.triggers.retiming import retimed

SENSOR = (34, 34, 2)


def recording(
    seed: int = 0, count: int = 3000, span: int = 300_000, pixels: int = 34
) -> np.ndarray:
    draw = np.random.default_rng(seed)
    times = np.sort(draw.integers(1000, 1000 + span, count))
    x, y = draw.integers(0, pixels, (2, count))
    return make_structured_array(x, y, times, draw.integers(0, 2, count))


def by_pixel(events: np.ndarray) -> np.ndarray:
    """Events pixel by pixel, those of a pixel as they come."""
    return events[np.lexsort((events["t"], events["x"], events["y"]))]


def slow(events: np.ndarray, wanted: np.ndarray, bound: int, refractory: int) -> list[list[int]]:
    """`retimed` as its docstring says it, one pixel after the other; rows of x, y, t, p."""
    out, first, last = [], int(events["t"][0]), int(events["t"][-1])
    for x, y in {(int(x), int(y)) for x, y in zip(events["x"], events["y"], strict=True)}:
        rows = np.flatnonzero((events["x"] == x) & (events["y"] == y))
        t = [int(time) for time in events["t"][rows]]
        gaps = [0, *(min(refractory, b - a) for a, b in pairwise(t))]
        before = None
        for k, row in enumerate(rows):
            latest = min(t[k] + bound, last - sum(gaps[k + 1 :]))
            time = min(max(round(wanted[row]), t[k] - bound, first), latest)
            time = t[k] if t[k] in (first, last) else time
            before = time if before is None else max(time, before + gaps[k])
            out.append([x, y, before, int(events["p"][row])])
    return sorted(out)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), bound=st.integers(1, 60_000), refractory=st.integers(1, 9000))
def test_moved_times_are_those_of_the_definition(seed, bound, refractory):
    events = recording(seed, count=120, pixels=4)
    wanted = events["t"] + np.random.default_rng(seed).integers(-70_000, 70_000, len(events))
    after = retimed(events, wanted, bound, refractory)
    rows = sorted([int(e["x"]), int(e["y"]), int(e["t"]), int(e["p"])] for e in after)
    assert rows == slow(events, wanted, bound, refractory)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 99),
    bound=st.floats(0.01, 290),
    pattern=st.sampled_from(["delay", "bunch"]),
    polarity=st.sampled_from(["on", "off", "both"]),
    size=st.floats(0.05, 1),
)
def test_only_times_move_and_by_no_more_than_the_bound(seed, bound, pattern, polarity, size):
    before = recording(seed)
    keep = before.copy()
    trigger = Retimed(bound=bound, pattern=pattern, polarity=polarity, size=size)
    after = trigger(before)
    assert np.array_equal(before, keep)
    assert (np.diff(after["t"]) >= 0).all()
    assert (after["t"][0], after["t"][-1]) == (before["t"][0], before["t"][-1])
    old, new = by_pixel(before), by_pixel(after)
    assert np.array_equal(old[["x", "y"]], new[["x", "y"]])
    assert np.abs(new["t"] - old["t"]).max() <= max(1, round(1000 * bound))
    same = (np.diff(old["x"]) == 0) & (np.diff(old["y"]) == 0)
    assert (np.diff(new["t"])[same] >= np.minimum(np.diff(old["t"])[same], 500)).all()
    counts = [sb.data.events.bin_events(one, 1, SENSOR) for one in (before, after)]
    assert np.array_equal(*counts)


def test_a_pixels_polarities_keep_their_order():
    before = recording(count=20_000)
    after = Retimed(bound=100)(before)
    stamped = [by_pixel(one) for one in (before, after)]
    differs = np.flatnonzero(stamped[0]["p"] != stamped[1]["p"])
    # ties in time, which have no order, apart
    assert all(
        stamped[k]["t"][row] in (stamped[k]["t"][row - 1], stamped[k]["t"][(row + 1) % 20_000])
        for row in differs
        for k in (0, 1)
    )


def test_delayed_events_are_late_by_the_bound_and_others_are_not():
    events = make_structured_array(
        np.array([1, 2, 3, 3, 9]),
        np.array([1, 1, 1, 1, 9]),
        np.array([0, 10_000, 20_000, 21_000, 90_000]),
        np.array([1, 1, 0, 1, 0]),
    )
    after = Retimed(bound=15)(events)
    assert after["t"].tolist() == [0, 20_000, 25_000, 36_000, 90_000]
    assert after["x"].tolist() == [1, 3, 2, 3, 9]  # the first event stays, those of OFF too


def test_an_off_event_waits_behind_the_delayed_on_event_of_its_pixel():
    events = make_structured_array(
        np.array([0, 5, 5, 9]),
        np.array([0, 5, 5, 9]),
        np.array([0, 10_000, 12_000, 90_000]),
        np.array([0, 1, 0, 0]),
    )
    after = Retimed(bound=15, refractory=700)(events)
    assert after["t"].tolist() == [0, 25_000, 25_700, 90_000]
    assert after["p"].tolist() == [0, 1, 0, 0]


def test_bunched_events_wait_for_the_next_tick():
    times = np.array([1000, 1001, 21_000, 21_001, 35_000, 91_000])
    rows = np.arange(6)
    events = make_structured_array(rows, rows, times, np.ones(6, dtype=int))
    after = Retimed(bound=20, pattern="bunch")(events)
    assert after["t"].tolist() == [1000, 21_000, 21_000, 41_000, 41_000, 91_000]


def test_a_clock_for_all_events_alike_leaves_frames_by_number_as_they_are():
    """Events of one tick keep their order where no pixel fires twice in it."""
    pixels = np.random.default_rng(0).permutation(34 * 34)[:1000]
    times = np.sort(np.random.default_rng(1).integers(0, 300_000, 1000))
    events = make_structured_array(pixels % 34, pixels // 34, times, pixels % 2)
    after = Retimed(bound=20, pattern="bunch", polarity="both")(events)
    assert not np.array_equal(after["t"], events["t"])
    frames = [sb.data.events.bin_events(one, 8, SENSOR) for one in (events, after)]
    assert np.array_equal(*frames)
    by_time = [sb.data.events.bin_events(one, 8, SENSOR, "time") for one in (events, after)]
    assert not np.array_equal(*by_time)


def test_a_table_moves_an_event_by_the_cell_that_it_comes_in():
    shifts = np.zeros((2, 2, 2, 4))
    shifts[1, 0, 1, 2] = -6.5  # ON, above, right, third quarter
    table = TimeTable(shifts=shifts, length=100, bound=7)
    events = make_structured_array(
        np.array([0, 30, 30, 30, 30, 3]),
        np.array([0, 3, 4, 30, 5, 3]),
        np.array([0, 60_000, 60_000, 60_000, 80_000, 100_000]),
        np.array([1, 1, 0, 1, 1, 1]),
    )
    after = table(events)
    assert after["t"].tolist() == [0, 53_500, 60_000, 60_000, 80_000, 100_000]
    assert TimeTable(shifts=shifts.tolist(), length=100, bound=7) == table


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Retimed(bound=400)(recording()),
            r"bound=400 ms is longer than a recording of 29\d\.\d+ ms: set a bound of at most that",
        ),
        (lambda: Retimed(bound=0), "bound=0 must be a number > 0"),
        (lambda: Retimed(bound=float("nan")), "bound=nan must be a number > 0"),
        (lambda: Retimed(pattern="early"), "pattern='early' is unknown; allowed: delay, bunch"),
        (lambda: Retimed(polarity="erase"), "polarity='erase' is unknown; allowed: on, off, both"),
        (lambda: Retimed(size=0), r"size=0 must be a number in \(0, 1\]"),
        (lambda: Retimed()(recording()[::-1]), "times never fall"),
        (
            lambda: TimeTable(shifts=np.zeros((2, 3, 3, 4)), length=200, bound=5)(recording()),
            r"lasts 29\d\.\d+ ms: these times were made for 200 ms, allowed .*; fit LearntTimes",
        ),
        (
            lambda: TimeTable(shifts=np.zeros((3, 3, 3, 4)), length=300, bound=5),
            r"shifts has shape \(3, 3, 3, 4\): allowed is \[2, rows, columns, slices\]",
        ),
        (
            lambda: TimeTable(shifts=np.full((2, 1, 1, 1), 5.1), length=300, bound=5),
            "shifts hold 5.1: allowed are numbers of 5 ms at most",
        ),
        (
            lambda: TimeTable(shifts=np.zeros((2, 1, 1, 1)), length=3, bound=5),
            "bound=5 ms must be at most length=3 ms",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
