"""Recordings in the five-byte format are read as tonic and SpikingJelly read them, or refused."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tonic.io
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snnbd_core.data import EVENT_DTYPE, CorruptData, DataNotFound, check_events, read_bin
from snnbd_core.data import events as module
from snnbd_core.data.events import parse_bin

from .conftest import five_bytes, random_events

SENSOR = (34, 34, 2)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    events = random_events(0)
    (tmp_path / "a.bin").write_bytes(five_bytes(events))
    np.testing.assert_array_equal(read_bin(tmp_path / "a.bin", SENSOR), events)


def test_a_record_by_hand() -> None:
    data = bytes([3, 5, 0x80 | 0x01, 0x02, 0x03])
    assert parse_bin(data, SENSOR, "hand").tolist() == [(3, 5, 0x010203, True)]


def test_row_240_moves_the_clock_as_in_tonic(tmp_path: Path) -> None:
    first, second = bytes([1, 2, 0, 0, 9]), bytes([4, 5, 0x80, 0, 9])
    data = first + bytes([0, 240, 0, 0, 0]) * 2 + second
    (tmp_path / "a.bin").write_bytes(data)
    events = read_bin(tmp_path / "a.bin", SENSOR)
    assert events.tolist() == [(1, 2, 9, False), (4, 5, 9 + 2 * 8192, True)]
    np.testing.assert_array_equal(
        events, tonic.io.read_mnist_file(str(tmp_path / "a.bin"), dtype=EVENT_DTYPE)
    )


@pytest.mark.parametrize(
    ("archive", "sensor"), [("nmnist_sample.zip", SENSOR), ("dvs_gesture_clips.zip", (128, 128, 2))]
)
def test_real_recordings_are_read_as_tonic_reads_them(
    data_root: Path, archive: str, sensor: tuple[int, int, int]
) -> None:
    if not (data_root / archive).is_file():
        pytest.skip(f"no {archive} in $SNNBD_DATA")
    with zipfile.ZipFile(data_root / archive) as packed:
        names = [name for name in packed.namelist() if name.endswith(".bin")]
        for name in names:
            with packed.open(name) as file:
                theirs = tonic.io.read_mnist_file(file, dtype=EVENT_DTYPE, is_stream=True)
            np.testing.assert_array_equal(parse_bin(packed.read(name), sensor, name), theirs)
    assert names


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Random bytes, and sound recordings with a few bytes changed, lost or added."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    data = bytearray(five_bytes(random_events(draw(st.integers(0, 99)), draw(st.integers(1, 30)))))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data) - 1))
        data[place] = draw(st.integers(0, 255) | st.just(240))
    cut = draw(st.integers(0, 6))
    return bytes(data[: len(data) - cut]) + draw(st.binary(max_size=6))


@settings(max_examples=2500, deadline=None)
@given(files())
@example(b"")
@example(bytes([0, 240, 0, 0, 0]) * 2000)
def test_any_bytes_give_sound_events_or_corrupt_data(data: bytes) -> None:
    try:
        events = parse_bin(data, SENSOR, "some.bin")
    except CorruptData as error:
        assert str(error).startswith("some.bin: ")
        return
    assert events.dtype == EVENT_DTYPE and len(events) > 0
    assert events["x"].min() >= 0 and events["x"].max() < 34
    assert events["y"].min() >= 0 and events["y"].max() < 34
    assert (np.diff(events["t"]) >= 0).all() and events["t"][0] >= 0
    markers = sum(data[1::5][i] == 240 for i in range(len(data) // 5))
    assert len(events) + markers == len(data) // 5


def test_random_bytes_of_a_recordings_length_are_refused() -> None:
    draw = random.Random(0)
    for _ in range(200):
        with pytest.raises(CorruptData, match=r"some\.bin: record \d+ \(byte \d+\)"):
            parse_bin(draw.randbytes(5 * 4000), SENSOR, "some.bin")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.bin").write_bytes(b"")
    with pytest.raises(CorruptData, match=r"empty\.bin: holds no event \(0 bytes\); byte 0"):
        read_bin(tmp_path / "empty.bin", SENSOR)


def test_a_truncated_file_is_refused_at_its_first_bad_record() -> None:
    data = five_bytes(random_events(1, 20))[:-2]
    with pytest.raises(CorruptData, match=r"a\.bin: 98 bytes .* record 19 \(byte 95\) is cut"):
        parse_bin(data, SENSOR, "a.bin")


def test_an_over_long_file_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 50)
    data = five_bytes(random_events(1, 11))
    (tmp_path / "long.bin").write_bytes(data)
    for read in (
        lambda: read_bin(tmp_path / "long.bin", SENSOR),
        lambda: parse_bin(data, SENSOR, "long.bin"),
    ):
        with pytest.raises(CorruptData, match=r"long\.bin: 55 bytes are more than the 50"):
            read()


@pytest.mark.parametrize(("field", "value"), [("x", 34), ("y", 255), ("x", 200)])
def test_an_event_outside_the_sensor_is_refused(field: str, value: int) -> None:
    events = random_events(2, 20).astype([("x", int), ("y", int), ("t", int), ("p", int)])
    events[field][7] = value
    with pytest.raises(
        CorruptData, match=rf"a\.bin: record 7 \(byte 35\) has {field}={value}; 0\.\.33"
    ):
        parse_bin(five_bytes(events), SENSOR, "a.bin")


def test_times_that_go_backwards_are_refused() -> None:
    events = random_events(3, 20)
    events["t"][:10], events["t"][10:] = 50, 49
    # A clock marker in front: records are counted as they lie in the file.
    data = bytes([0, 240, 0, 0, 0]) + five_bytes(events)
    with pytest.raises(CorruptData, match=r"record 11 \(byte 55\) has t=8241 us after t=8242 us"):
        parse_bin(data, SENSOR, "a.bin")


def test_too_many_clock_markers_are_refused() -> None:
    data = five_bytes(random_events(3, 2)) + bytes([0, 240, 0, 0, 0]) * 1025
    with pytest.raises(CorruptData, match=r"1025 records have y=240 .* first is record 2"):
        parse_bin(data, SENSOR, "a.bin")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match=r"no event file .*none\.bin"):
        read_bin(tmp_path / "none.bin", SENSOR)


@pytest.mark.parametrize("size", [(34, 34), (34, 34, 1), (0, 34, 2), (34.5, 34, 2)])
def test_a_bad_sensor_size_is_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(
        ValueError, match=r"sensor_size=.* is not a sensor: allowed is \(width, height, 2\)"
    ):
        check_events(random_events(0), size)


def test_a_sensor_too_large_for_the_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"does not fit the five-byte format; .* 240 high"):
        parse_bin(five_bytes(random_events(0)), (304, 240, 2), "a.bin")


def test_sound_events_pass_unchanged_and_others_are_converted() -> None:
    events = random_events(4)
    assert check_events(events, SENSOR) is events
    # Another order of the fields, as in other readers: they are told apart by name.
    wide = np.empty(len(events), [("t", "u8"), ("x", "u2"), ("y", "u2"), ("p", "i1")])
    for field in ("x", "y", "t", "p"):
        wide[field] = events[field]
    converted = check_events(wide, SENSOR)
    assert converted.dtype == EVENT_DTYPE
    np.testing.assert_array_equal(converted, events)


def test_bad_events_are_refused_at_the_first_bad_one() -> None:
    wide = [("x", "i4"), ("y", "i4"), ("t", "i8"), ("p", "i4")]
    for field, value, message in (
        ("x", -1, r"event 5 has x=-1; 0\.\.33 is allowed"),
        ("y", 34, r"event 5 has y=34; 0\.\.33 is allowed"),
        ("p", 2, r"event 5 has p=2; 0\.\.1 is allowed"),
        ("t", -7, r"event 5 has t=-7 us after t=\d+ us; times never fall"),
    ):
        events = random_events(5).astype(wide)
        events[field][5] = value
        with pytest.raises(ValueError, match=message):
            check_events(events, SENSOR)
    with pytest.raises(ValueError, match=r"shape \(0,\); one event or more is needed"):
        check_events(random_events(5)[:0], SENSOR)
    with pytest.raises(ValueError, match="whole numbers"):
        check_events(random_events(5).astype([(f, "f4") for f in "xytp"]), SENSOR)
    with pytest.raises(ValueError, match="x, y, t and p are needed"):
        check_events(random_events(5)[["x", "y", "t"]], SENSOR)
