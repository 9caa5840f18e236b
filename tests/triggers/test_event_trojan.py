"""Event Trojan's burst, as published and under a camera's limits."""

from __future__ import annotations

import numpy as np
import pytest
from tonic.io import make_structured_array

from snnbd_core.triggers import EventTrojan, changed

SENSOR = (34, 34, 2)


def recording(count: int = 3000, span: int = 300_000) -> np.ndarray:
    draw = np.random.default_rng(0)
    times = np.sort(draw.integers(0, span, count))
    times[0], times[-1] = 0, span
    x, y = draw.integers(0, 34, (2, count))
    return make_structured_array(x, y, times, draw.integers(0, 2, count))


def added(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    old = {tuple(one) for one in before.tolist()}
    return np.array([one for one in after.tolist() if tuple(one) not in old])


def test_the_burst_is_that_of_the_authors_code():
    """Code of Wang et al.: for i, j in 0..9 the event [i, j, 1e-2 s, 1]; N-Caltech101's sensor."""
    events = make_structured_array(
        np.array([100, 200]), np.array([100, 100]), np.array([0, 300_000]), np.array([0, 1])
    )
    after = EventTrojan(times=(1 / 30,), sensor_size=(240, 180, 2))(events)
    new = added(events, after)
    assert {tuple(row) for row in new.tolist()} == {
        (i, j, 10_000, 1) for i in range(10) for j in range(10)
    }


def test_nothing_goes_and_times_stay_sorted():
    events = recording()
    for trigger in (EventTrojan(), EventTrojan(side=3, refractory=500, bandwidth=1)):
        after = trigger(events)
        assert tuple(changed(events, after)) == (trigger.side**2, 0)
        assert (np.diff(after["t"]) >= 0).all()


def test_a_read_out_sends_so_many_events_per_millisecond():
    events = recording()
    new = added(events, EventTrojan(bandwidth=10, times=(0.5,))(events))
    assert np.sort(new[:, 2]).tolist() == [150_000 + 100 * k for k in range(100)]


def test_the_queue_waits_for_those_before_it_only():
    events = recording()
    times = (0.1, 0.1, 0.5, 0.1)
    new = added(events, EventTrojan(side=2, times=times, bandwidth=1, position="middle")(events))
    assert [row for row in new[np.argsort(new[:, 2])].tolist()] == [
        [16, 16, 30_000, 1],
        [17, 16, 31_000, 1],
        [17, 17, 32_000, 1],
        [16, 17, 150_000, 1],
    ]


def test_a_pixel_that_has_just_fired_is_put_off():
    events = make_structured_array(
        np.array([9, 0, 9]),
        np.array([9, 0, 9]),
        np.array([0, 29_800, 100_000]),
        np.array([0, 1, 0]),
    )
    at = {
        refractory: added(events, EventTrojan(side=1, times=(0.3,), refractory=refractory)(events))
        for refractory in (1, 500)
    }
    assert (at[1][0, 2], at[500][0, 2]) == (30_000, 30_300)


@pytest.mark.parametrize(
    ("position", "corner"),
    [
        ("top-left", (0, 0)),
        ("top-right", (30, 0)),
        ("bottom-left", (0, 30)),
        ("bottom-right", (30, 30)),
        ("middle", (15, 15)),
        ((3, 5), (3, 5)),
    ],
)
def test_the_square_lies_where_it_is_told(position, corner):
    assert EventTrojan(side=4, position=position).corner() == corner


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EventTrojan(side=0), "side=0 must be a whole number >= 1"),
        (lambda: EventTrojan(side=35), "side=35 at position='top-left' leaves sensor_size="),
        (
            lambda: EventTrojan(position=(30, 0)),
            r"side=10 at position=\(30, 0\) leaves sensor_size",
        ),
        (lambda: EventTrojan(times=(1.2,)), r"times=\(1.2,\) must be shares of the recording in"),
        (lambda: EventTrojan(times=(0.1,) * 7), "one for all, or 100, one for each pixel of side"),
        (lambda: EventTrojan(bandwidth=0), "bandwidth=0 must be a number > 0"),
        (lambda: EventTrojan(refractory=0), "refractory=0 must be a whole number >= 1"),
        (
            lambda: EventTrojan(bandwidth=0.1)(recording()),
            "bandwidth=0.1 events per ms sends the last of 100 events after 999900 us",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
