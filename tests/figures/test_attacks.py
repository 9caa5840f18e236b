"""Boxes lie where the trigger writes; a report's table shows its counts."""

from __future__ import annotations

import numpy as np
import pytest

from snnbd_book.drawings.neuromorphic_triggers import patch_boxes
from snnbd_core.triggers import Moving, Static

EMPTY = np.zeros((8, 2, 34, 34), dtype=np.float32)


@pytest.mark.parametrize(
    "trigger",
    [
        Static(polarity="both", position="top-left"),
        Static(polarity="both", position=(20, 3), size=0.2),
        Moving(polarity="both", position="middle"),
        Moving(polarity="both", position="bottom-right"),
    ],
)
def test_a_box_covers_exactly_the_pixels_that_the_trigger_writes(trigger):
    written = trigger(EMPTY)[:, 0] > 0
    for frame, box in zip(written, patch_boxes(trigger, EMPTY), strict=True):
        expected = np.zeros((34, 34), dtype=bool)
        if box is not None:
            x, y, width, height = box
            expected[y : y + height, x : x + width] = True
        np.testing.assert_array_equal(frame, expected)


def test_a_patch_that_wraps_around_the_edge_has_no_box():
    boxes = patch_boxes(Moving(motion="wrap", position="bottom-right"), EMPTY)
    assert boxes[0] == (31, 31, 3, 3)
    assert boxes[1] is None  # columns 33, 0, 1
