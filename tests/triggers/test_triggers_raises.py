"""Arguments and data that a trigger must refuse, by message."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from tonic.io import events_struct

from snnbd_core.triggers import Moving, Static, polarity_from_code

SENSOR = (34, 34, 2)
FRAMES = np.zeros((4, 2, 34, 34), dtype=np.float32)


def recording(*rows: tuple[int, int, int, int]) -> np.ndarray:
    return np.array(list(rows), dtype=events_struct)


@pytest.mark.parametrize("kind", [Static, Moving])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size=0 must be a number in (0, 1], a fraction of each side"),
        ({"size": 1.01}, "size=1.01 must be"),
        ({"size": float("nan")}, "size=nan must be"),
        ({"size": True}, "size=True must be"),
        ({"size": "0.1"}, "size='0.1' must be"),
        ({"position": "centre"}, "position='centre' is unknown: choose from top-left, top-right"),
        ({"position": (1, 2, 3)}, "position=(1, 2, 3) is unknown"),
        ({"position": (1.5, 2)}, "position=(1.5, 2) is unknown"),
        ({"position": None}, "position=None is unknown"),
        ({"polarity": "green"}, "polarity='green' is unknown: choose from off, on, both, erase"),
        ({"polarity": 1}, "polarity=1 is unknown: choose from off, on, both, erase (polarity_from"),
        ({"space": "image"}, "space='image' is unknown; allowed: frames, events"),
        ({"space": "events"}, "sensor_size=None: space='events' needs the sensor"),
        ({"sensor_size": (34, 34)}, "sensor_size=(34, 34) is not a sensor"),
        ({"sensor_size": (34, 34, 1)}, "sensor_size=(34, 34, 1) is not a sensor"),
        ({"sensor_size": (0, 34, 2)}, "sensor_size=(0, 34, 2) is not a sensor"),
        ({"sensor_size": SENSOR, "position": (32, 0)}, "position=(32, 0) puts a 3x3 patch outside"),
        ({"strength": 0}, "strength=0 must be a number > 0"),
        ({"strength": float("inf")}, "strength=inf must be a number > 0"),
        (
            {"strength": 2, "space": "events", "sensor_size": SENSOR},
            "strength=2 with space='events', where the rate says how many events there are: "
            "allowed is 1",
        ),
        ({"rate": 0}, "rate=0 must be a number of Hz above 0"),
        ({"refractory": 0}, "refractory=0 must be a whole number >= 1"),
        ({"refractory": 1.5}, "refractory=1.5 must be a whole number >= 1"),
        (
            {"rate": 2001.0},
            "rate=2001.0 is too fast for refractory=500 us and polarity='on': allowed is at most "
            "2000 Hz",
        ),
        ({"rate": 1001.0, "polarity": "both"}, "allowed is at most 1000 Hz"),
        ({"seed": -1}, "seed=-1 must be a whole number >= 0"),
    ],
)
def test_an_argument_outside_what_is_allowed_is_named(kind, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"motion": "diagonal"}, "motion='diagonal' is unknown; allowed: cycle, wrap"),
        ({"steps": 0}, "steps=0 must be a whole number >= 1"),
        ({"steps": 1, "space": "events", "sensor_size": SENSOR}, "steps=1: motion='cycle' leaves"),
        (
            {"size": 0.4, "sensor_size": SENSOR},
            "size=0.4 at position='bottom-right' moves a patch of 13 px to x=[21, 6, -7] in a "
            "frame 34 px wide: allowed are columns 0..21",
        ),
        ({"position": (30, 0), "sensor_size": SENSOR}, "x=[30, 35, 38] in a frame 34 px wide"),
        ({"speed": 1.5, "motion": "wrap"}, "speed=1.5 must be a whole number of pixels per frame"),
        ({"speed": True, "motion": "wrap"}, "speed=True must be a whole number"),
        ({"speed": 1}, "speed=1 with motion='cycle': its steps follow from the square's size"),
        (
            {"speed": -34, "motion": "wrap", "sensor_size": SENSOR},
            "speed=-34 passes the whole frame of 34 px in one step: allowed is -33..33",
        ),
    ],
)
def test_a_motion_that_does_not_fit_is_named(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Moving(**arguments)


def test_unknown_codes_are_refused():
    with pytest.raises(ValueError, match=r"paper='usenix' is unknown: choose from poster-2022"):
        polarity_from_code("usenix", 0)
    with pytest.raises(ValueError, match=r"code=3 is not used by poster-2022: .* \[0, 1, 2\]"):
        polarity_from_code("poster-2022", 3)


@pytest.mark.parametrize(
    ("trigger", "frames", "message"),
    [
        (Static(), np.zeros((2, 34, 34)), "frames have shape (2, 34, 34): allowed is [..., T, 2"),
        (Static(), torch.zeros(4, 3, 34, 34), "frames have shape (4, 3, 34, 34)"),
        (Static(), np.zeros((0, 2, 34, 34)), "frames have shape (0, 2, 34, 34)"),
        (Static(), [[1]], "frames=<list>: space='frames' works on arrays or tensors"),
        (Static(), recording((0, 0, 0, 1)), "for a recording use space='events'"),
        (Static(position=(32, 3)), FRAMES, "position=(32, 3) puts a 3x3 patch outside the 34x34"),
        (Static(position=(-1, 3)), FRAMES, "x must lie in 0..31, y in 0..31"),
        (Static(sensor_size=(30, 34, 2)), FRAMES, "sensor_size=(30, 34, 2) does not fit frames"),
        (Moving(motion="wrap", speed=34), FRAMES, "speed=34 passes the whole frame of 34 px"),
        (Moving(size=0.4), FRAMES, "size=0.4 at position='bottom-right' moves"),
        (Moving(), FRAMES[:1], "motion='cycle' leaves the last frame without a trigger"),
        (Moving(position=(2, 0)), np.zeros((4, 2, 6, 6)), "x=[2, 5, 6] in a frame 6 px wide"),
        (
            Static(strength=0.5),
            FRAMES.astype(np.uint8),
            "strength=0.5 cannot be written into uint8",
        ),
        (Static(strength=256), FRAMES.astype(np.uint8), "whole numbers up to 255"),
        (Static(strength=2), torch.zeros(4, 2, 34, 34, dtype=torch.bool), "numbers up to 1"),
    ],
)
def test_frames_that_do_not_fit_are_refused(trigger, frames, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        trigger(frames)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (recording(), "events is an empty recording: at least one event is needed"),
        (FRAMES, "events=ndarray with fields None: space='events' works on one structured array"),
        (torch.zeros(4, 2, 34, 34), "events=Tensor with fields None"),
        (
            np.zeros(3, dtype=[("x", "i2"), ("y", "i2"), ("t", "i8")]),
            "with fields ('x', 'y', 't')",
        ),
        (
            recording((34, 0, 0, 1), (0, 0, 300_000, 1)),
            "event 0 has x=34; 0..33 is allowed (sensor_size=(34, 34, 2))",
        ),
        (recording((0, -1, 0, 1), (0, 0, 300_000, 1)), "event 0 has y=-1; 0..33 is allowed"),
        (
            np.array([(0, 0, 0, -1)], dtype=[("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")]),
            "event 0 has p=-1; 0..1 is allowed",
        ),
        (
            recording((0, 0, 300, 1), (0, 0, 299, 1)),
            "event 1 has t=299 us after t=300 us; times never fall",
        ),
        (
            recording((0, 0, 0, 1), (0, 0, 9_998, 1)),
            "rate=100.0 gives no event in a window of 9999 us: allowed is at least 100.01 Hz",
        ),
    ],
)
def test_recordings_that_do_not_fit_are_refused(events, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Static(space="events", sensor_size=SENSOR)(events)


def test_a_coordinate_type_too_small_for_the_sensor_is_refused():
    dtype = [("x", "u1"), ("y", "u1"), ("t", "i8"), ("p", "?")]
    with pytest.raises(ValueError, match=r"events hold x as uint8, too small for sensor_size"):
        Static(space="events", sensor_size=(300, 300, 2))(np.zeros(3, dtype=dtype))


def test_erasing_every_event_is_refused():
    trigger = Static(polarity="erase", position="top-left", space="events", sensor_size=SENSOR)
    with pytest.raises(ValueError, match=r"polarity='erase' leaves none of the recording's 2"):
        trigger(recording((0, 0, 0, 1), (1, 1, 300_000, 1)))
