"""The simulated camera does what its equations say, and the same each time."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from snnbd_core.data import EVENT_DTYPE, Camera, check_events
from snnbd_core.data.saccades import path, record

IDEAL = Camera(mismatch=0.0, noise_rate=0.0)


def pictures(count: int = 3) -> Any:
    return np.random.default_rng(0).random((count, 8, 8))


def test_recordings_are_sound_events_within_three_movements() -> None:
    events, offsets = record(pictures(), seed=1)
    assert events.dtype == EVENT_DTYPE
    for start, end in pairwise(offsets):
        check_events(events[start:end], (34, 34, 2))
        assert events["t"][start] >= 0 and events["t"][end - 1] < 300_000


def test_a_seed_gives_the_same_recordings_and_another_seed_others() -> None:
    first, again, other = (record(pictures(), seed=seed)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other) or (first != other).any()


def test_a_recording_does_not_depend_on_those_after_it() -> None:
    many, offsets = record(pictures(40), seed=0)
    few, _ = record(pictures(40)[:2], seed=0)
    np.testing.assert_array_equal(few, many[: offsets[2]])


def test_a_picture_without_contrast_gives_noise_only() -> None:
    # Black, since a uniform bright picture has edges where it ends.
    assert len(record(np.zeros((1, 8, 8)), camera=IDEAL)[0]) == 0
    noisy = Camera(noise_rate=2.0)
    events, _ = record(np.zeros((20, 8, 8)), camera=noisy)
    mean = 20 * 2.0 * 34 * 34 * 0.3
    assert abs(len(events) - mean) < 5 * math.sqrt(mean)


def test_events_add_up_to_the_change_of_log_light() -> None:
    """Each event stands for one threshold; the light returns to where it began."""
    events, offsets = record(pictures(1), camera=IDEAL)
    assert offsets.tolist() == [0, len(events)]
    balance = np.zeros((34, 34))
    np.add.at(balance, (events["y"], events["x"]), np.where(events["p"], 1, -1))
    assert np.abs(balance).max() <= 1


def test_one_pixel_against_a_loop_over_moments() -> None:
    """A camera stepped every 100 us, in plain Python, sends the same events at the same times."""
    camera = Camera(mismatch=0.0, noise_rate=0.0, steps=1_000)
    picture = np.zeros((1, 8, 8))
    picture[0, 3, 4] = 1.0
    events, _ = record(picture, seed=3, camera=camera)
    times, shifts = path(camera)
    phases = np.random.default_rng([3, 1, 0]).uniform(-0.5, 0.5, 34 * 34).reshape(34, 34)

    def spline(r: float) -> float:
        r = abs(r)
        return 2 / 3 - r * r + r**3 / 2 if r < 1 else max(2 - r, 0) ** 3 / 6

    def log_light(x: int, y: int, k: int) -> float:
        across = spline((x - 16.5 - shifts[k, 0]) / 2.5 - 0.5)
        down = spline((y - 16.5 - shifts[k, 1]) / 2.5 + 0.5)
        return math.log(0.1 + 0.9 * across * down)

    for x, y in ((18, 15), (20, 12), (15, 17)):
        reference = log_light(x, y, 0) + phases[y, x] * 0.35
        expected = []
        for k in range(1, len(times)):
            change = log_light(x, y, k) - reference
            if abs(change) >= 0.35:
                expected.append((times[k], change > 0))
                reference += math.copysign(0.35, change)
        mine = events[(events["x"] == x) & (events["y"] == y)]
        assert len(expected) > 0
        assert mine["p"].tolist() == [polarity for _, polarity in expected]
        np.testing.assert_allclose(mine["t"], [time for time, _ in expected], atol=101)


def test_a_bright_spot_sends_on_before_it_and_off_behind_it() -> None:
    """In the third movement the picture goes to the left."""
    picture = np.zeros((1, 8, 8))
    picture[0, 4, 4] = 1.0
    events, _ = record(picture, camera=IDEAL)
    late = events[(events["t"] > 240_000) & (events["t"] < 260_000)]
    assert late["x"][late["p"]].mean() < late["x"][~late["p"]].mean() - 2


def test_the_way_is_the_triangle_of_n_mnist() -> None:
    """tonic's stabilize: (3.5, 7), then (3.5, -7), then (-7, 0) pixels."""
    _, shifts = path(IDEAL)
    corners = shifts[:: IDEAL.steps]
    np.testing.assert_allclose(np.diff(corners, axis=0), [(3.5, 7), (3.5, -7), (-7, 0)], atol=1e-9)


def test_pictures_must_be_light_in_0_to_1() -> None:
    for bad in (np.zeros((8, 8)), np.full((1, 8, 8), 1.5), np.zeros((0, 8, 8))):
        with pytest.raises(ValueError, match=r"must be \[N, h, w\] with light in 0\.\.1"):
            record(bad)
