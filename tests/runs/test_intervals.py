"""Intervals hold what they should: simulated where the truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata, ttest_1samp

from snnbd_book.claims import Sample
from snnbd_book.claims.intervals import area_of_networks, newcombe, over_networks, wilson
from snnbd_core.metrics import Rate

LEAST = 0.93
SAMPLES = 160  # of a test set


def rates_on_one_test_set(
    rng: np.random.Generator, networks: int, *, shares: tuple[float, float], alike: float
) -> list[float]:
    """Shares of right answers of networks that are tested on the same samples.

    Args:
        shares: of a Beta distribution, from which each network's true share is drawn.
        alike: how often a network finds a sample as hard as the others do.
    """
    truth = rng.beta(*shares, size=networks)
    common = rng.random(SAMPLES)
    own = rng.random((networks, SAMPLES))
    hardness = np.where(rng.random((networks, SAMPLES)) < alike, common, own)
    found: list[float] = (hardness < truth[:, None]).mean(axis=1).tolist()
    return found


@pytest.mark.parametrize("networks", [3, 10])
@pytest.mark.parametrize("alike", [0.3, 0.9])
@pytest.mark.parametrize(
    "shares",
    [(60.0, 2.0), (20.0, 2.0), (8.0, 1.0), (5.0, 5.0), (1.0, 1.0), (2.0, 8.0), (1.0, 9.0)],
)
def test_the_interval_of_a_mean_over_networks_holds_the_truth(
    networks: int, alike: float, shares: tuple[float, float]
) -> None:
    rng = np.random.default_rng(networks)
    truth = shares[0] / sum(shares)
    held = 0
    for _ in range(1000):
        found = rates_on_one_test_set(rng, networks, shares=shares, alike=alike)
        rates = tuple(Rate(round(SAMPLES * share), SAMPLES) for share in found)
        low, high = Sample(rates).interval
        held += low <= truth <= high
    assert held / 1000 >= LEAST


def test_hits_of_several_networks_added_up_would_not_hold_it() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        found = rates_on_one_test_set(rng, 10, shares=(20.0, 2.0), alike=0.9)
        hits = round(SAMPLES * sum(found))
        low, high = Rate(hits, 10 * SAMPLES).confidence_interval
        held += low <= 20 / 22 <= high
    assert held / 1000 < 0.8


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.97])
def test_the_interval_of_one_network_is_wilsons_and_holds_the_truth(share: float) -> None:
    rng = np.random.default_rng(1)
    found = [Rate(int(hits), SAMPLES) for hits in rng.binomial(SAMPLES, share, 2000)]
    inside = [low <= share <= high for low, high in (Sample((one,)).interval for one in found)]
    assert np.mean(inside) >= LEAST
    assert Sample((found[0],)).interval == pytest.approx(found[0].confidence_interval)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_of_ten_networks_holds_the_truth(share: float) -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(2000):
        answers = tuple(Rate(int(one), 1) for one in rng.random(10) < share)
        low, high = Sample(answers).interval
        held += low <= share <= high
    assert held / 2000 >= LEAST


def spread(rng: np.random.Generator, count: int) -> np.ndarray:
    """Scores of which half are those of clean networks."""
    return np.where(rng.random(count) < 0.5, rng.normal(size=count), rng.normal(5, 1, count))


Scores = Callable[[np.random.Generator, int], np.ndarray]
ATTACKED: dict[str, Scores] = {
    "alike": lambda rng, count: rng.normal(size=count),
    "apart": lambda rng, count: rng.normal(1, 1, count),
    "far apart": lambda rng, count: rng.normal(3, 1, count),
    "some": spread,
}


def area(clean: np.ndarray, attacked: np.ndarray) -> float:
    ranks = rankdata(np.r_[clean, attacked])[len(clean) :]
    pairs = len(clean) * len(attacked)
    return float((ranks.sum() - len(attacked) * (len(attacked) + 1) / 2) / pairs)


@pytest.mark.parametrize("networks", [3, 10])
@pytest.mark.parametrize("kind", ATTACKED)
def test_the_interval_of_an_area_over_networks_holds_the_truth(networks: int, kind: str) -> None:
    rng = np.random.default_rng(3)
    draw = ATTACKED[kind]
    truth = area(rng.normal(size=10**5), draw(rng, 10**5))
    held = 0
    for _ in range(400):
        clean, attacked = rng.normal(size=networks), draw(rng, networks)
        value, (low, high) = area_of_networks(clean.tolist(), attacked.tolist())
        assert value == pytest.approx(area(clean, attacked))
        held += low <= truth <= high
    assert held / 400 >= LEAST


@pytest.mark.parametrize("networks", [3, 10])
@pytest.mark.parametrize("shift", [0.5, 1.5, 3.0])
def test_the_interval_of_a_mean_area_over_inputs_holds_the_truth(
    networks: int, shift: float
) -> None:
    rng = np.random.default_rng(4)
    inputs, held = 60, 0
    shifts = rng.normal(shift, 0.4, 10**5)
    truth = float(norm.cdf(shifts / 2**0.5).mean())
    for _ in range(400):
        clean, attacked = rng.normal(size=inputs), rng.normal(size=inputs)  # of all networks
        areas = [
            area(
                clean + 0.5 * rng.normal(size=inputs),
                attacked + 1.118 * rng.normal(shift, 0.4) + 0.5 * rng.normal(size=inputs),
            )
            for _ in range(networks)
        ]
        mean = sum(areas) / networks
        low, high = over_networks(areas, newcombe(mean, inputs, inputs), is_share=True)
        held += low <= truth <= high
    assert held / 400 >= LEAST


def test_newcombes_interval_has_a_width_at_the_ends() -> None:
    low, high = newcombe(1.0, 10, 10)
    assert 0.6 < low < 0.85 and high == 1.0
    assert newcombe(0.0, 10, 10) == pytest.approx((0.0, 1 - low))
    # Newcombe (2006): the interval narrows with both groups
    assert newcombe(0.8, 100, 100)[0] > newcombe(0.8, 10, 10)[0]


def test_two_sources_of_luck_are_added_as_squares() -> None:
    values = [0.4, 0.5, 0.6]
    spread = ttest_1samp(values, 0).confidence_interval(0.95)
    low, high = over_networks(values, (0.3, 0.8), is_share=False)
    assert low == pytest.approx(0.5 - math.hypot(0.2, 0.5 - spread.low))
    assert high == pytest.approx(0.5 + math.hypot(0.3, spread.high - 0.5))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=5))
def test_the_interval_of_rates_is_a_share_and_holds_what_a_test_set_says(hits: list[int]) -> None:
    sample = Sample(tuple(Rate(hit, 50) for hit in hits))
    low, high = sample.interval
    least, most = wilson(sample.mean, 50)
    assert 0 <= low <= least + 1e-12 and most - 1e-12 <= high <= 1
    assert low <= sample.mean <= high


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 400), st.floats(0, 1))
def test_wilsons_interval_is_that_of_the_library(total: int, share: float) -> None:
    rate = Rate(round(share * total), total)
    assert wilson(rate.value, total) == pytest.approx(rate.confidence_interval)
    assert wilson(0.0, 0) == (0.0, 1.0)
