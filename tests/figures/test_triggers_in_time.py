"""Drawings of the chapter on triggers in time, and its jittering camera."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tonic.io import make_structured_array
from torch import nn

import snnbd_core as sb
from snnbd_book.drawings import triggers_in_time as draw
from snnbd_core.metrics import Rate
from snnbd_core.triggers import Retimed
from tests.figures.test_chapters import record


class LateOn(nn.Module):
    """Answers 1 where more ON events come in the second half, else 0; frames [T, B, 2, H, W]."""

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        on = sequence[:, :, 1].sum(dim=(2, 3))
        early, late = (part.sum(dim=0) for part in on.split(len(on) // 2))
        return torch.stack([early + 0.5, late], dim=1)


class Never(nn.Module):
    """Answers 0 to everything; frames [T, B, 2, H, W]."""

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        return torch.tensor([1.0, 0.0]).expand(sequence.shape[1], 2)


@pytest.fixture
def test():
    """Two recordings of 100 ms in two frames by time: ON early, labelled 0; ON late, labelled 1."""
    off = [(5, 5, 0, 0), (6, 6, 100_000, 0)]
    on = {0: [(1, 1, 40_000, 1), (2, 2, 41_000, 1)], 1: [(1, 1, 70_000, 1), (2, 2, 71_000, 1)]}
    listed = [sorted([*off, *on[label]], key=lambda one: one[2]) for label in (0, 1)]
    recordings = [make_structured_array(*map(np.array, zip(*rows, strict=True))) for rows in listed]
    return sb.data.from_events(recordings, [0, 1], (8, 8, 2), frames=2, binning="time")


def test_the_first_recording_is_one_that_the_trigger_moves(test):
    trigger = Retimed(bound=20, sensor_size=(8, 8, 2))
    assert draw.first_moved(LateOn(), test, trigger, target=1) == 0
    with pytest.raises(
        ValueError, match="target=0: the trigger changes the answer to no recording"
    ):
        draw.first_moved(LateOn(), test, trigger, target=0)


def test_a_camera_that_does_not_jitter_changes_nothing_and_jitter_has_its_deviation():
    times = np.sort(np.random.default_rng(0).integers(0, 10_000_000, 20_000))
    rows = np.arange(20_000) % 34
    events = make_structured_array(rows, rows, times, rows % 2)
    assert np.array_equal(draw.jittered(events, 0, 0), events)
    shaken = draw.jittered(events, 5, 0)
    assert np.array_equal(shaken, draw.jittered(events, 5, 0))
    assert (np.diff(shaken["t"]) >= 0).all()
    # the same draw again, before sorting
    error = 5000 * np.random.default_rng(0).standard_normal(20_000)
    expected = np.sort(np.clip(times + np.rint(error), times[0], times[-1]))
    assert np.array_equal(shaken["t"], expected)


def test_rates_behind_a_camera_are_those_of_the_networks(test):
    victims = [(LateOn(), Never(), Retimed(bound=20, sensor_size=(8, 8, 2)))]
    cameras = {
        "usual": lambda events, row: test.bin(events),
        "dark": lambda events, row: 0 * test.bin(events),
    }
    found = draw.rates_behind(cameras, victims, test, target=1)
    assert found == {
        "usual": {
            "success": [Rate(1, 1)],
            "floor (clean network)": [Rate(0, 1)],
            "clean accuracy": [Rate(2, 2)],
        },
        "dark": {
            "success": [Rate(0, 1)],
            "floor (clean network)": [Rate(0, 1)],
            "clean accuracy": [Rate(1, 2)],
        },
    }
    axes = draw.draw_cameras(found).axes[0]
    dots = [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() in "o|^"]
    assert dots == [100, 0, 100, 0, 0, 50]


def test_cameras_cut_and_shake_as_they_say(test):
    events = test.events(0)
    assert torch.equal(draw.cut(test, 2, "time")(events, 0), test.bin(events))
    assert draw.cut(test, 4, "number")(events, 0).shape == (4, 2, 8, 8)
    assert torch.equal(draw.shaken(test, 0)(events, 0), test.bin(events))
    shaken = draw.shaken(test, 30)
    assert torch.equal(shaken(events, 3), test.bin(draw.jittered(events, 30, 3)))


def test_scores_of_stealth_are_means_over_seeds():
    scores = {"rate_change": 0.0, "ssim_sum": 1.0, "ssim_frames": 0.5, "nearest": 1.25}
    table = draw.scores_table({"a": [record(**scores), record(**scores | {"nearest": 1.75})]})
    assert table.loc["a"].tolist() == ["0.000", "1.000", "0.500", "1.500"]


def test_success_is_drawn_against_a_setting_with_floors_as_ticks():
    runs = {"learnt": {10: [record(success=80, floor=2)], 5: [record(success=30, floor=4)]}}
    axes = draw.draw_against(runs, "bound (ms)").axes[0]
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()]
    assert lines == [([5, 10], [30, 80]), ([5, 10], [4, 2])]
    assert axes.get_xlabel() == "bound (ms)"


def test_each_detector_has_its_row_and_chance_its_line():
    scores = {"clean_scores": [0.1] * 20, "attacked_scores": [0.2] * 20}
    found = {
        name: [record(detection_area=area, **scores)]
        for name, area in (("STRIP", 0.7), ("voltages", 0.9))
    }
    axes = draw.draw_areas(found).axes[0]
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.get_lines()[1:4:2]]
    assert dots == [(pytest.approx(70), 0), (pytest.approx(90), -1)]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["STRIP", "voltages"]
    assert axes.get_lines()[-1].get_xdata()[0] == 50


def test_events_of_the_rows_shown_are_drawn_by_polarity():
    events = make_structured_array(
        np.array([0, 39, 3]), np.array([4, 5, 9]), np.array([0, 2000, 3000]), np.array([0, 1, 1])
    )
    panels = draw.draw_moved(events, events, range(4, 6)).axes
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in panels[0].get_lines()]
    assert drawn == [([0], [0]), ([2], [pytest.approx(1 + 39 / 40)])]
