"""The pictures beside links: their size, and that title and recording stay apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from snnbd_book.build import cards

EDGE = 0.53 * cards.WIDTH  # where the recording starts


@pytest.mark.parametrize(
    "title", ["Sweeps", "4. Backdoors through every learning rule", "Reproduction status: recorded"]
)
def test_a_card_has_the_size_that_messengers_ask_for_and_its_title_beside_the_recording(
    title: str, tmp_path: Path
) -> None:
    path = tmp_path / "cards" / "one.png"
    cards.draw(title, "A book", np.full((4, 4, 3), 255, np.uint8), path)
    image = imread(path)[..., :3]
    assert image.shape == (630, 1200, 3)
    columns = np.flatnonzero((image < 0.5).all(axis=2).any(axis=0))
    assert columns.min() > 0 and columns.max() < EDGE


def test_the_recording_has_both_polarities_and_the_square(tmp_path: Path) -> None:
    picture = cards.attacked_frame()
    on, off = np.array([0x1B, 0x8A, 0x1B]), np.array([0x10, 0x20, 0x6B])
    assert (picture == on).all(axis=2).any() and (picture == off).all(axis=2).any()
    assert (picture[-5:, -5:] == on).all()


def test_the_same_page_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        cards.draw("Sweeps", "A book", cards.attacked_frame(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
