"""Triggers that come and go, and the one that looks at the training set."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tonic.transforms import Compose

from snnbd_core.triggers import Flash, Framed, Smart, Static, Strobe


def frames_of(value: float = 5, steps: int = 8, side: int = 34) -> np.ndarray:
    return np.full((steps, 2, side, side), value, dtype=np.float32)


def lit(frames: np.ndarray) -> list[int]:
    """Numbers of the frames that an "on" trigger changed."""
    return np.flatnonzero((frames != 5).any(axis=(1, 2, 3))).tolist()


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (Framed(length=3, start="first"), [0, 1, 2]),
        (Framed(length=3, start="middle"), [2, 3, 4]),
        (Framed(length=3, start="last"), [5, 6, 7]),
        (Framed(length=2, start=4), [4, 5]),
        (Framed(length=8), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Strobe(on=2, off=1), [0, 1, 3, 4, 6, 7]),
        (Strobe(on=1, off=3), [0, 4]),
        (Flash(length=1, start="last"), [7]),
    ],
)
def test_a_timed_trigger_lights_the_frames_it_says(trigger, expected):
    assert lit(trigger(frames_of())) == expected
    assert lit(Compose([trigger])(frames_of())) == expected


def test_a_frame_that_is_lit_is_that_of_the_static_trigger():
    static, framed = (
        Static(size=0.2, position="middle"),
        Framed(length=8, size=0.2, position="middle"),
    )
    assert np.array_equal(framed(frames_of()), static(frames_of()))


def test_a_flash_leaves_one_polarity_everywhere():
    out = Flash(length=2, start="middle", polarity="off")(frames_of())
    assert (out[3:5, 0] == 1).all() and (out[3:5, 1] == 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Framed(length=0), "length=0 must be a whole number >= 1"),
        (lambda: Framed(start="end"), "start='end' is unknown; allowed: first, middle, last"),
        (lambda: Framed(start=-1), "start=-1 must be a whole number >= 0"),
        (lambda: Framed(space="events"), "space='events' is unknown; allowed: frames"),
        (lambda: Framed(length=9)(frames_of()), "length=9 is more than the 8 frames"),
        (lambda: Framed(length=3, start=6)(frames_of()), "start=6 with length=3 leaves the 8"),
        (lambda: Strobe(off=0), "off=0 must be a whole number >= 1"),
        (lambda: Strobe(on=9)(frames_of()), "on=9 is longer than the 8 frames"),
        (lambda: Flash(polarity="red"), "polarity='red' is unknown"),
        (lambda: Smart(area="many"), "area='many' is unknown; allowed: most, least"),
        (lambda: Smart()(frames_of()), r"mask=None: Smart must see training data first"),
        (lambda: Smart(mask=(0, 3), polarity="on"), r"mask=\(0, 3\) is none of the masks"),
        (lambda: Smart(mask=(0, 0)), "allowed are both or none"),
        (
            lambda: Smart(size=0.5, mask=(1, 1), polarity="on")(frames_of()),
            "size=0.5 gives a square of 17x17 px, larger than its mask of 11x11 px",
        ),
        (
            lambda: Smart(mask=(0, 0), polarity="on")(frames_of(side=2)),
            "smaller than the grid of 3x3 masks",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class Counted:
    """A set whose busiest mask is the right one in the middle row, with more OFF than ON there."""

    input_shape = (2, 30, 30)

    def __len__(self) -> int:
        return 100

    def batch(self, rows):
        frames = torch.zeros(len(rows), 4, 2, 30, 30)
        frames[:, :, 0, 12, 25] = 3
        frames[:, :, 1, 15, 29] = 1
        frames[:, 0, 1, 0, 0] = 1
        return frames, torch.zeros(len(rows))


def test_smart_measures_mask_and_polarity_on_the_set():
    assert Smart().fit(Counted()) == Smart(mask=(2, 1), polarity="on", seed=0)
    most = Smart(common="most").fit(Counted())
    assert (most.mask, most.polarity) == ((2, 1), "off")
    quiet = Smart(area="least").fit(Counted())
    assert quiet.mask == (1, 0)  # the first of the silent ones


def test_a_drift_stays_in_its_mask_and_moves_by_two_pixels_at_most():
    trigger = Smart(size=0.1, mask=(2, 0), polarity="on", walk="drift", seed=3)
    places = [(one.columns[0], one.rows.start) for one, _ in trigger.schedule(200, 30, 30)]
    xs, ys = np.array(places).T
    assert xs.min() >= 20 and xs.max() <= 27 and ys.min() >= 0 and ys.max() <= 7
    assert np.abs(np.diff(xs)).max() == 2 and np.abs(np.diff(ys)).max() == 2
    assert places[0] == (23, 3)
    assert places == [(one.columns[0], one.rows.start) for one, _ in trigger.schedule(200, 30, 30)]
    other = dataclasses.replace(trigger, seed=4).schedule(200, 30, 30)
    assert [one.columns[0] for one, _ in other] != xs.tolist()


def test_the_authors_walk_moves_by_exactly_two_pixels_from_a_drawn_place():
    starts = set()
    for seed in range(40):
        trigger = Smart(size=0.1, mask=(2, 0), polarity="on", seed=seed)
        places = [(one.columns[0], one.rows.start) for one, _ in trigger.schedule(50, 30, 30)]
        xs, ys = np.array(places).T
        assert xs.min() >= 20 and xs.max() <= 27 and ys.min() >= 0 and ys.max() <= 7
        assert set(np.abs(np.diff(xs))) == set(np.abs(np.diff(ys))) == {2}
        starts.add(places[0])
    assert len(starts) > 20  # of 64 places


def test_the_authors_walk_stays_where_a_mask_leaves_no_room():
    trigger = Smart(size=0.3, mask=(0, 0), polarity="on", seed=0)
    assert {one.columns[0] for one, _ in trigger.schedule(20, 30, 30)} <= {0, 1}


def test_each_run_has_its_own_walk_unless_the_trigger_names_one():
    assert Smart().fit(Counted(), seed=5) == Smart(mask=(2, 1), polarity="on", seed=5)
    assert Smart(seed=0).fit(Counted(), seed=5).seed == 0
