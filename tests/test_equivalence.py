"""The test of equivalence that `benchmarks.precision` makes, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("benchmarks")
from benchmarks.precision import equivalence


def test_two_one_sided_tests_are_those_of_the_textbook() -> None:
    """Differences 0, 0.02, 0.01: mean 0.01, standard error 0.01 / sqrt(3)."""
    whole = np.array([0.90, 0.92, 0.94])  # standard deviation 0.02, so the margin is 0.04
    found = equivalence(whole, whole + np.array([0.0, 0.02, 0.01]))
    assert found["margin"] == pytest.approx(0.04)
    assert found["difference"] == pytest.approx(0.01)
    # t = (0.04 - 0.01) / (0.01 / sqrt(3)) = 5.196 with two degrees of freedom, for which
    # P(T > t) = 1/2 - t / (2 sqrt(2 + t^2)) = 0.01755.
    assert found["p"] == pytest.approx(0.5 - 27**0.5 / (2 * 29**0.5), rel=1e-6)
    assert found["equivalent"]
    # The 90 % interval is 0.01 plus and minus 2.920 standard errors.
    assert found["interval"] == pytest.approx([0.01 - 0.016858, 0.01 + 0.016858], abs=1e-5)


def test_a_mean_outside_of_the_margin_is_not_equivalent_whichever_its_sign() -> None:
    whole = np.array([0.90, 0.92, 0.94])
    for sign in (1, -1):
        found = equivalence(whole, whole + sign * np.array([0.06, 0.05, 0.07]))
        assert found["p"] > 0.9
        assert not found["equivalent"]


def test_the_margin_is_a_percentage_point_at_least() -> None:
    whole = np.ones(5)
    assert equivalence(whole, whole)["margin"] == 0.01
    assert equivalence(whole, whole)["equivalent"]
    assert not equivalence(whole, whole - 0.02)["equivalent"]
