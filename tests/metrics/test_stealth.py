"""Measures of stealth, beside scikit-image and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from snnbd_core.metrics import stealth
from snnbd_core.triggers import Static


def counts(seed: int, samples: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).poisson(0.5, (samples, 4, 2, 20, 20)).astype(float)


def test_nothing_changed_scores_as_nothing():
    clean = counts(0)
    score = stealth.measure(clean, clean, counts(1))
    assert score == stealth.Stealth(1.0, 1.0, math.inf, 0, 0, 0, 0, 1.0)


def test_similarity_is_scikit_images_averaged_over_frames():
    clean = counts(0)[0]
    triggered = Static(size=0.2)(clean)
    expected = np.mean(
        [
            structural_similarity(clean[t], triggered[t], channel_axis=0, data_range=clean[t].max())
            for t in range(4)
        ]
    )
    assert stealth.ssim_frames(clean, triggered) == pytest.approx(expected)
    assert stealth.psnr(clean, triggered) == pytest.approx(
        peak_signal_noise_ratio(clean, triggered, data_range=clean.max())
    )


def test_one_event_more_has_known_distances():
    clean = counts(0)
    triggered = clean.copy()
    triggered[:, 1, 0, 3, 3] += 1
    score = stealth.measure(clean, triggered, counts(1))
    assert (score.l2, score.changed) == (1, 1)
    assert score.rate_change == pytest.approx(np.mean(1 / clean[:, 1].sum(axis=(1, 2, 3))))
    # the filtered trace of one event at step 1 of 4: 1, d, d^2 with d = exp(-1 / 2)
    expected = math.sqrt(sum(math.exp(-k / 2) ** 2 for k in range(3)) / 2)
    assert score.van_rossum == pytest.approx(expected)


def test_the_nearest_clean_sample_is_found():
    rest = counts(1, 4)
    clean = rest[:1] + 0.0
    clean[0, 0, 0, 0, 0] += 3  # 3 away from the nearest
    triggered = clean.copy()
    triggered[0, 0, 0, 0, 0] += 3  # 6 away
    assert stealth.measure(clean, triggered, rest).nearest == pytest.approx(2)


@pytest.mark.parametrize("rest", [counts(0), np.zeros((3, 4, 2, 20, 20))])
def test_clean_samples_that_are_0_apart_have_no_nearest_score_and_all_others(rest):
    triggered = rest + 1
    score = stealth.measure(rest, triggered, rest)
    assert math.isnan(score.nearest)
    assert (score.changed, score.l2) == (3200, pytest.approx(math.sqrt(3200)))
    samples = [(torch.from_numpy(frames), 0) for frames in rest]
    shown = stealth.score(samples, Static(size=0.2), samples)
    assert set(shown) == set(vars(score)) - {"nearest"}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((counts(0)[0], counts(0)[0], counts(1)), r"clean has shape \(4, 2, 20, 20\)"),
        ((counts(0), counts(0, 2), counts(1)), r"triggered has shape \(2, 4, 2, 20, 20\)"),
        ((counts(0), counts(0), counts(1, 1)), "allowed is at least 2 samples"),
        ((counts(0)[..., :5, :5],) * 3, "allowed is 7 a side or more"),
    ],
)
def test_shapes_that_do_not_fit_are_named(arrays, message):
    with pytest.raises(ValueError, match=message):
        stealth.measure(*arrays)
    with pytest.raises(ValueError, match="tau=0 must be a number of frames above 0"):
        stealth.van_rossum(counts(0)[0], counts(0)[0], tau=0)
