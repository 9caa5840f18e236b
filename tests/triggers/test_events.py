"""Triggers in space "events": what must hold for any recording."""

from __future__ import annotations

import numpy as np
import pytest
import tonic
from hypothesis import given, settings
from hypothesis import strategies as st
from tonic.io import events_struct

from snnbd_core.triggers import POLARITIES, POSITIONS, Moving, Static, changed

N_MNIST = (34, 34, 2)


def recording(count=4000, sensor=N_MNIST, span=300_000, seed=0, dtype=events_struct):
    rng = np.random.default_rng(seed)
    events = np.zeros(count, dtype=dtype)
    events["x"] = rng.integers(0, sensor[0], count)
    events["y"] = rng.integers(0, sensor[1], count)
    events["t"] = np.sort(rng.integers(0, span, count)) + 1_000
    events["p"] = rng.integers(0, 2, count)
    events["t"][[0, -1]] = 1_000, 1_000 + span - 1
    return events


def rows_of(events: np.ndarray) -> list[tuple]:
    return [tuple(row) for row in events[["x", "y", "t", "p"]].tolist()]


def in_patch(events: np.ndarray, x: int, y: int, side: int = 3) -> np.ndarray:
    return (
        (events["x"] >= x)
        & (events["x"] < x + side)
        & (events["y"] >= y)
        & (events["y"] < y + side)
    )


@st.composite
def streams(draw):
    sensor = (draw(st.integers(24, 60)), draw(st.integers(24, 60)), 2)
    count = draw(st.integers(2, 300))
    span = draw(st.integers(400_000, 1_500_000))
    return recording(count, sensor, span, draw(st.integers(0, 2**32 - 1))), sensor


@st.composite
def triggers(draw, sensor):
    refractory = draw(st.integers(1, 4_000))
    common = {
        "size": draw(st.sampled_from([0.01, 0.1, 0.15])),
        "polarity": draw(st.sampled_from(["off", "on", "both"])),
        "space": "events",
        "sensor_size": sensor,
        "rate": draw(st.floats(50, 125)),
        "refractory": refractory,
        "seed": draw(st.integers(0, 1000)),
    }
    if draw(st.booleans()):
        return Static(position=draw(st.sampled_from(POSITIONS)), **common)
    motion = draw(st.sampled_from(["cycle", "wrap"]))
    return Moving(
        position=draw(st.sampled_from(["top-left", "bottom-right", "middle"])),
        motion=motion,
        steps=draw(st.integers(2, 16)),
        **common,
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_recording_stays_one_that_a_camera_could_have_made(data):
    events, sensor = data.draw(streams())
    trigger = data.draw(triggers(sensor))
    before = events.copy()
    out = trigger(events)

    np.testing.assert_array_equal(events, before)
    assert out.dtype == events.dtype
    assert out["x"].min() >= 0 and out["x"].max() < sensor[0]
    assert out["y"].min() >= 0 and out["y"].max() < sensor[1]
    assert (np.diff(out["t"]) >= 0).all()
    assert out["t"][0] >= events["t"][0] and out["t"][-1] <= events["t"][-1]
    np.testing.assert_array_equal(out, trigger(events))

    added, removed = changed(events, out)
    assert len(out) == len(events) + added - removed
    own = set(rows_of(events))
    assert sum(row not in own for row in rows_of(out)) <= added

    # the light's events keep the refractory period from every other event of their pixel
    order = np.lexsort((out["t"], out["x"], out["y"]))
    pixel = out["y"][order].astype(int) * sensor[0] + out["x"][order]
    gaps = np.diff(out["t"][order])
    light = np.array([row not in own for row in rows_of(out[order])])
    same = pixel[1:] == pixel[:-1]
    assert (gaps[same & (light[1:] | light[:-1])] >= trigger.refractory).all()


@pytest.mark.parametrize(
    ("polarity", "bits"), [("off", {0}), ("on", {1}), ("both", {0, 1}), ("erase", set())]
)
def test_the_patch_holds_the_lights_events_only(polarity, bits):
    trigger = Static(polarity=polarity, space="events", sensor_size=N_MNIST, position="top-left")
    events = recording()
    out = trigger(events)
    inside = out[in_patch(out, 0, 0)]
    assert set(inside["p"].astype(int).tolist()) == bits
    # 100 Hz over 0.3 s: 30 events per pixel and polarity
    assert len(inside) == 9 * 30 * len(bits)
    counts = np.unique(inside[["x", "y"]], return_counts=True)[1]
    assert set(counts.tolist()) <= {30 * len(bits)}
    # elsewhere nothing changes, order included
    np.testing.assert_array_equal(out[~in_patch(out, 0, 0)], events[~in_patch(events, 0, 0)])
    removed = int(in_patch(events, 0, 0).sum())
    assert removed > 0
    assert changed(events, out) == (len(inside), removed)


def test_both_polarities_alternate_at_each_pixel():
    trigger = Static(polarity="both", space="events", sensor_size=N_MNIST)
    out = trigger(recording())
    pixel = out[(out["x"] == 33) & (out["y"] == 33)]
    assert pixel["p"].tolist() == [True, False] * 30


def test_the_cycle_lies_where_the_frames_trigger_lies():
    """Binned by time, the two spaces mark the same pixels in the same frames."""
    events = recording()
    events["x"] = 17  # away from the trigger
    moving = {"position": "bottom-right", "motion": "cycle"}
    out = Moving(**moving, space="events", sensor_size=N_MNIST)(events)
    edges = events["t"][0] + np.arange(17) * 300_000 // 16
    frames = np.zeros((16, 2, 34, 34), dtype=np.float32)
    step = np.searchsorted(edges, out["t"], side="right") - 1
    np.add.at(frames, (step, out["p"].astype(int), out["y"], out["x"]), 1)
    frames[:, :, :, 17] = 0
    expected = Moving(**moving)(np.zeros((16, 2, 34, 34), dtype=np.float32))
    np.testing.assert_array_equal(np.minimum(frames, 1), expected)
    assert expected[15].sum() == 0


@pytest.mark.parametrize("speed", [-3, 0, 2, 7])
def test_wrap_marks_every_window_at_its_speed(speed):
    events = recording()
    events["x"], events["y"] = 17, 17
    trigger = Moving(
        motion="wrap", position="top-left", space="events", sensor_size=N_MNIST, speed=speed
    )
    out = trigger(events)
    light = out[out["y"] < 3]
    window = (light["t"] - 1_000) * 16 // 300_000
    for k in range(16):
        columns = set(light["x"][window == k].tolist())
        assert columns == {(speed * k + i) % 34 for i in range(3)}


def test_the_default_speed_gives_the_same_events_as_the_papers():
    events = recording()
    moving = {"motion": "wrap", "space": "events", "sensor_size": N_MNIST}
    np.testing.assert_array_equal(Moving(**moving)(events), Moving(**moving, speed=2)(events))


def test_erasing_takes_events_only_while_the_patch_is_there():
    events = recording(count=60_000)
    trigger = Moving(
        polarity="erase", position="top-left", space="events", sensor_size=N_MNIST, steps=4
    )
    out = trigger(events)
    assert changed(events, out).added == 0
    quarter = (out["t"] - 1_000) * 4 // 300_000
    assert not in_patch(out[quarter == 0], 0, 0).any()
    assert not in_patch(out[quarter == 1], 5, 0).any()
    assert in_patch(out[quarter == 1], 0, 0).any()
    assert in_patch(out[quarter == 3], 8, 0).any()


def test_another_seed_draws_other_times_and_each_recording_its_own():
    events, other = recording(seed=1), recording(seed=2)
    one, two = (
        Static(space="events", sensor_size=N_MNIST, seed=seed, position="top-left")
        for seed in (0, 1)
    )

    def light(out):
        return out[in_patch(out, 0, 0)]["t"].tolist()

    assert light(one(events)) != light(two(events))
    assert light(one(events)) != light(one(other))


def test_events_of_other_integer_types_are_taken_and_kept():
    dtype = np.dtype([("t", "<u4"), ("x", "u1"), ("y", "u1"), ("p", "u1")])
    events = recording(dtype=dtype)
    out = Static(space="events", sensor_size=N_MNIST)(events)
    assert out.dtype == dtype
    np.testing.assert_array_equal(
        np.sort(out, order=["t", "x", "y"])[["t", "x", "y"]].astype(events_struct_order()),
        np.sort(Static(space="events", sensor_size=N_MNIST)(recording()), order=["t", "x", "y"])[
            ["t", "x", "y"]
        ].astype(events_struct_order()),
    )


def events_struct_order():
    return [("t", "<i8"), ("x", "<i2"), ("y", "<i2")]


def test_a_triggered_recording_bins_in_tonic():
    trigger = Static(polarity="both", space="events", sensor_size=N_MNIST)
    transform = tonic.transforms.Compose(
        [trigger, tonic.transforms.ToFrame(sensor_size=N_MNIST, n_time_bins=16)]
    )
    frames = transform(recording())
    assert frames[:, :, 31:, 31:].sum() == 9 * 60


def test_changed_counts_equal_events_one_by_one():
    events = recording(5)
    twice = np.concatenate([events, events[:2], events[:1]])
    assert changed(events, twice) == (3, 0)
    assert changed(twice, events) == (0, 3)
    assert changed(events[:2], events[1:4]) == (2, 1)
    assert changed(events[:0], events[:0]) == (0, 0)


@pytest.mark.parametrize("polarity", POLARITIES)
def test_the_shortest_usable_recording_gets_one_event_per_pixel(polarity):
    # at 100 Hz: 10 ms
    events = recording(count=200, span=10_000)
    out = Static(polarity=polarity, space="events", sensor_size=N_MNIST)(events)
    assert changed(events, out).added == 9 * sum(POLARITIES[polarity])


@pytest.mark.parametrize("motion", ["cycle", "wrap"])
def test_a_dense_recording_keeps_its_distance_where_windows_open_and_close(motion):
    # some three events per pixel and millisecond, so that a missing guard of 3 ms shows
    events = recording(count=20_000, sensor=(20, 1, 2))
    trigger = Moving(
        size=0.1,
        motion=motion,
        position="top-left",
        space="events",
        sensor_size=(20, 1, 2),
        refractory=3_000,
    )
    out = trigger(events)
    own = set(rows_of(events))
    for x in range(20):
        pixel = out[out["x"] == x]
        light = np.array([row not in own for row in rows_of(pixel)], dtype=bool)
        gaps = np.diff(pixel["t"])[light[1:] | light[:-1]]
        assert not light.any() or gaps.min() >= 3_000
