"""Many small pictures in one frame."""

from __future__ import annotations

import numpy as np
import pytest

from snnbd_book.drawings import stealthier_triggers
from snnbd_book.figures import draw_rows


def test_pictures_lie_in_their_row_and_column_and_keep_their_shape() -> None:
    pictures = [np.full((2, 4), level) for level in (0.0, 0.5, 1.0)]
    figure = draw_rows({"first": pictures, "second": pictures[::-1]}, ["a", "b", "c"])
    (axes,) = figure.axes
    found = {
        (int(left), int(top)): float(image.get_array()[0, 0])
        for image in axes.images
        for left, _, _, top in [image.get_extent()]
    }
    assert found == {(0, 0): 0, (1, 0): 0.5, (2, 0): 1, (0, 1): 1, (1, 1): 0.5, (2, 1): 0}
    assert axes.get_aspect() == 0.5
    assert [one.get_text() for one in axes.get_xticklabels()] == ["a", "b", "c"]
    assert [one.get_text() for one in axes.get_yticklabels()] == ["first", "second"]
    figure.draw_without_rendering()
    shown = 100 * figure.get_figwidth() * axes.get_position().width / 3
    assert shown > 200


def test_six_pictures_in_a_row_are_a_hundred_pixels_wide_each() -> None:
    row = [np.zeros((8, 8))] * 6
    figure = draw_rows({"event rate": row, "optimised": row}, [f"t = {step}" for step in range(6)])
    figure.draw_without_rendering()
    assert 100 * figure.get_figwidth() * figure.axes[0].get_position().width / 6 >= 100


def test_of_a_long_recording_the_first_six_frames_are_shown() -> None:
    frames = np.zeros((8, 2, 4, 4))
    frames[3, 1] = 1
    (axes,) = stealthier_triggers.draw_triggers({"flash": frames}).axes
    titles = [one.get_text() for one in axes.get_xticklabels()]
    assert titles == ["t = 0", "t = 1", "t = 2", "t = 3", "t = 4", "t = 5"]
    white = [bool((image.get_array() == 255).all()) for image in axes.images]
    assert white == [True, True, True, False, True, True]


@pytest.mark.parametrize(
    ("count", "titles", "message"),
    [
        (7, "abcdefg", "titles has 7 entries; allowed: 1 to 6"),
        (1, "ab", r"rows\['one'\] has 1 pictures; allowed: 2"),
    ],
)
def test_too_many_columns_and_a_short_row_are_refused(
    count: int, titles: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draw_rows({"one": [np.zeros((2, 2))] * count}, list(titles))
