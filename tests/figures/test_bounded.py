"""A perturbation of fractions of an event, drawn at a bound of one's choice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from snnbd_book.drawings.stealthier_triggers import scored_bounded, shaded_image
from snnbd_book.figures import polarity_image, style
from snnbd_core.attacks.dynamic import Perturbation
from snnbd_core.metrics import stealth

CLEAN = torch.poisson(torch.full((3, 2, 10, 12), 0.2), generator=torch.Generator().manual_seed(0))
OTHERS = torch.stack([CLEAN.roll(1, 0), CLEAN.roll(1, 2)])


def test_whole_counts_have_the_colours_of_a_plain_frame() -> None:
    frame = CLEAN[0].clamp(max=1)
    np.testing.assert_array_equal(shaded_image(frame), polarity_image(frame))
    np.testing.assert_array_equal(shaded_image(3 * frame), polarity_image(frame))
    np.testing.assert_array_equal(shaded_image(-frame), polarity_image(0 * frame))


def test_half_an_event_is_half_way_between_white_and_its_colour() -> None:
    frame = np.zeros((2, 1, 2))
    frame[0, 0, 0] = frame[1, 0, 1] = 0.5
    for pixel, colour in zip(shaded_image(frame)[0], (style.OFF, style.ON), strict=True):
        expected = 255 * (np.array(to_rgb(style.EMPTY)) + to_rgb(colour)) / 2
        np.testing.assert_allclose(pixel, expected, atol=1)


def test_the_words_are_the_scores_of_the_recording_at_that_bound() -> None:
    direction = torch.zeros_like(CLEAN)
    direction[:, 1, 2:4, 5] = 1.0
    direction[0, 0, 0, 0] = -1.0
    image, words = scored_bounded(CLEAN, direction, 0.25, OTHERS)
    score = stealth.measure(CLEAN[None], (CLEAN + 0.25 * direction)[None], OTHERS)
    assert words.startswith(f"gamma 0.25: SSIM per frame {score.ssim_frames:.3f}")
    assert f"; {0.25 * 7:.0f} events added or removed" in words
    assert words.endswith("rounded, 0 events are left of it")
    assert image.shape == (2 * 12, 3 * 14, 3)
    np.testing.assert_array_equal(image[13:23, 1:13], shaded_image(0.25 * direction[0].abs()))
    np.testing.assert_array_equal(image[1:11, 1:13], shaded_image(CLEAN[0] + 0.25 * direction[0]))


def test_above_half_an_event_rounding_leaves_whole_ones() -> None:
    direction = torch.zeros_like(CLEAN)
    direction[1, 1, 2:4, 5] = 1.0
    assert scored_bounded(CLEAN, direction, 0.4, OTHERS)[1].endswith(
        "rounded, 0 events are left of it"
    )
    assert scored_bounded(CLEAN, direction, 0.6, OTHERS)[1].endswith(
        "rounded, 2 events are left of it"
    )


def test_a_learnt_direction_drawn_at_its_own_bound_is_the_learnt_trigger() -> None:
    torch.manual_seed(0)
    clean = CLEAN.repeat(1, 1, 2, 2)
    fitted = Perturbation((2, 20, 24), gamma=0.05, rounded=False).eval()
    direction = (fitted(clean) - clean) / fitted.gamma
    assert 0 < direction.abs().max() <= 1 + 1e-4
    others = OTHERS.repeat(1, 1, 1, 2, 2)
    image, _ = scored_bounded(clean, direction, fitted.gamma, others)
    np.testing.assert_allclose(
        image[1:21, 1:25].astype(int), shaded_image(fitted(clean)[0]).astype(int), atol=1
    )


def test_what_is_no_direction_or_no_bound_is_refused() -> None:
    with pytest.raises(ValueError, match=r"direction holds 2: allowed is within -1\.\.1"):
        scored_bounded(CLEAN, 2 * torch.ones_like(CLEAN), 0.1, OTHERS)
    with pytest.raises(ValueError, match=r"gamma=-0\.1 must be a number of events >= 0"):
        scored_bounded(CLEAN, torch.ones_like(CLEAN), -0.1, OTHERS)
