"""Triggers in space "frames": overwritten patches, compared with frames made by hand."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from tonic.transforms import Compose

from snnbd_core.triggers import (
    POLARITIES,
    POLARITY_CODES,
    Moving,
    Static,
    Trigger,
    polarity_from_code,
)


def frames_of(value: float, steps: int = 4, height: int = 34, width: int = 34) -> np.ndarray:
    return np.full((steps, 2, height, width), value, dtype=np.float32)


def marked_columns(frames: np.ndarray) -> list[list[int]]:
    """Columns that an "on" trigger marked in each of the frames, which were of 5."""
    return [np.unique(np.nonzero(frame[1] == 1)[1]).tolist() for frame in frames]


@pytest.mark.parametrize(
    ("paper", "code", "channels"),
    [  # (channel 0, channel 1) as both papers' code writes them
        ("poster-2022", 0, (1, 0)),
        ("poster-2022", 1, (0, 1)),
        ("poster-2022", 2, (1, 1)),
        ("ndss-2024", 0, (0, 0)),
        ("ndss-2024", 1, (0, 1)),
        ("ndss-2024", 2, (1, 0)),
        ("ndss-2024", 3, (1, 1)),
    ],
)
def test_a_papers_code_writes_that_papers_channel_values(paper, code, channels):
    trigger = Static(polarity=polarity_from_code(paper, code), position="top-left")
    out = trigger(frames_of(5))
    assert (out[:, 0, :3, :3] == channels[0]).all()
    assert (out[:, 1, :3, :3] == channels[1]).all()


def test_the_code_tables_hold_nothing_else():
    assert {paper: sorted(codes) for paper, codes in POLARITY_CODES.items()} == {
        "poster-2022": [0, 1, 2],
        "ndss-2024": [0, 1, 2, 3],
    }


@pytest.mark.parametrize(
    ("position", "x", "y"),
    [  # a patch of 5x3 on a frame of 50x34
        ("top-left", 0, 0),
        ("top-right", 45, 0),
        ("middle", 22, 15),  # int((50 - 5) / 2), int((34 - 3) / 2), as in the papers' code
        ("bottom-left", 0, 31),
        ("bottom-right", 45, 31),
        ((7, 20), 7, 20),
        ((45, 31), 45, 31),
    ],
)
@pytest.mark.parametrize("polarity", POLARITIES)
def test_exactly_the_named_pixels_are_overwritten_in_all_frames(position, x, y, polarity):
    expected = frames_of(5, height=34, width=50)
    for channel, value in enumerate(POLARITIES[polarity]):
        expected[:, channel, y : y + 3, x : x + 5] = value
    trigger = Static(size=0.1, position=position, polarity=polarity)
    np.testing.assert_array_equal(trigger(frames_of(5, height=34, width=50)), expected)


@pytest.mark.parametrize(
    ("size", "pixels", "expected"),
    [(0.1, 34, 3), (0.1, 128, 12), (0.3, 128, 38), (0.01, 34, 1), (0.29, 100, 29), (1, 34, 34)],
)
def test_size_is_a_fraction_of_each_side_rounded_down(size, pixels, expected):
    out = Static(size=size, position="top-left")(frames_of(0, height=pixels, width=pixels))
    assert out.sum() == 4 * expected**2


def test_the_cycle_visits_three_places_and_spares_the_last_frame():
    out = Moving(position="top-left")(frames_of(5, steps=6))
    first, second, third = [0, 1, 2], [5, 6, 7], [8, 9, 10]  # x0, x0 + s + 2, x0 + 2 s + 2
    assert marked_columns(out) == [first, second, third, first, second, []]


def test_the_cycle_is_mirrored_at_the_right():
    out = Moving(position="bottom-right")(frames_of(5, steps=4))
    assert marked_columns(out) == [[31, 32, 33], [26, 27, 28], [23, 24, 25], []]
    assert (out[0, 1, 31:, 31:] == 1).all()
    assert marked_columns(Moving(position="top-right")(frames_of(5, steps=2))) == [[31, 32, 33], []]


def test_wrap_moves_two_pixels_per_frame_and_comes_in_again_at_the_left():
    out = Moving(position=(30, 4), motion="wrap")(frames_of(5, steps=4))
    assert marked_columns(out) == [[30, 31, 32], [0, 32, 33], [0, 1, 2], [2, 3, 4]]
    assert (out[:, 1] == 1).sum() == 4 * 9


@pytest.mark.parametrize("speed", [-33, -2, 0, 1, 2, 5, 33])
def test_wrap_moves_by_its_speed_around_the_frame(speed):
    out = Moving(position=(30, 4), motion="wrap", speed=speed)(frames_of(5, steps=7))
    columns = [sorted((30 + speed * t + i) % 34 for i in range(3)) for t in range(7)]
    assert marked_columns(out) == columns
    assert (out[:, 1, 4:7] == 1).sum() == (out == 1).sum() == 7 * 9


def test_the_default_speed_is_the_papers_and_no_speed_is_a_static_square():
    frames = np.random.default_rng(0).poisson(0.5, (9, 2, 34, 34)).astype(np.float32)
    for position in ("middle", "bottom-right"):
        moving = {"position": position, "motion": "wrap", "polarity": "both"}
        np.testing.assert_array_equal(Moving(**moving, speed=2)(frames), Moving(**moving)(frames))
        still = Static(position=position, polarity="both")
        np.testing.assert_array_equal(Moving(**moving, speed=0)(frames), still(frames))


@pytest.mark.parametrize("trigger", [Static(polarity="both"), Moving(), Moving(motion="wrap")])
def test_torch_numpy_and_batches_agree_and_the_input_is_not_touched(trigger):
    frames = np.random.default_rng(0).poisson(0.5, (3, 2, 6, 2, 34, 34)).astype(np.float32)
    before = frames.copy()
    out = trigger(frames)
    as_tensor = trigger(torch.from_numpy(frames))
    assert isinstance(out, np.ndarray) and isinstance(as_tensor, torch.Tensor)
    np.testing.assert_array_equal(out, as_tensor.numpy())
    np.testing.assert_array_equal(out[2, 1], trigger(frames[2, 1]))
    np.testing.assert_array_equal(frames, before)
    assert (out != before).any()


def test_strength_is_the_count_written():
    assert set(np.unique(Static(strength=4)(frames_of(0)))) == {0, 4}


def test_integer_frames_keep_their_type():
    assert Static()(frames_of(2).astype(np.uint8)).dtype == np.uint8
    assert Static()(torch.zeros(4, 2, 34, 34, dtype=torch.int16)).dtype == torch.int16


def test_triggers_compose_with_tonic():
    out = Compose([Static(position="top-left"), Moving(position="bottom-right")])(frames_of(0))
    assert out[0, 1].sum() == 18
    assert out[3, 1].sum() == 9


@pytest.mark.parametrize(
    "trigger",
    [
        Static(position=(3, 4)),
        Moving(space="events", sensor_size=(34, 34, 2), position="middle"),
    ],
)
def test_a_trigger_survives_json_and_hashes(trigger):
    again = type(trigger)(**json.loads(json.dumps(dataclasses.asdict(trigger))))
    assert again == trigger
    assert hash(again) == hash(trigger)
    assert isinstance(trigger, Trigger)


@pytest.mark.parametrize("trigger", [Static(position=(3, 4)), Moving(), Moving(motion="wrap")])
def test_the_schedule_says_where_the_trigger_lies(trigger):
    expected = np.zeros((6, 34, 34), dtype=bool)
    for patch, times in trigger.schedule(6, 34, 34):
        expected[times, patch.rows, list(patch.columns)] = True
    np.testing.assert_array_equal(trigger(frames_of(5, steps=6))[:, 1] == 1, expected)
