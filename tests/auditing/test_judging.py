"""p-values beside clean networks, and Holm's correction."""

from __future__ import annotations

import numpy as np
import pytest

from snnbd_core.auditing import judging
from snnbd_core.auditing.judging import corrected, p_value, tripped
from snnbd_core.metrics import Rate


def test_the_correction_is_that_of_holm():
    """Worked by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, and never below the one before."""
    assert corrected([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert corrected([0.7, 0.6]) == [1.0, 1.0]
    assert corrected([]) == []


def test_a_p_value_counts_the_clean_networks_that_score_as_high():
    known = [0.1, 0.2, 0.3, 0.4]
    assert p_value(0.5, known) == 1 / 5
    assert p_value(0.4, known) == 2 / 5
    assert p_value(0.0, known) == 1
    assert p_value(0.5, []) is None
    assert tripped(0.25, known) == Rate(2, 4)


def test_a_reference_network_that_scores_as_high_clears():
    known = [0.1] * 99
    assert p_value(0.9, known, [0.2]) == 1 / 100
    assert p_value(0.9, known, [0.95]) == 1
    assert p_value(0.9, [], [0.1, 0.2]) == 1 / 3


def test_networks_of_one_kind_are_seldom_below_a_p_value():
    """At most a share q of them is below q: that is what the count with one more is for."""
    scores = np.random.default_rng(0).random((2000, 20))
    ps = np.array([p_value(row[0], row[1:].tolist()) for row in scores])
    for q in (0.05, 0.1, 0.2):
        assert (ps <= q).mean() <= q + 0.02


@pytest.mark.parametrize("kind", ["frames", "image"])
def test_the_records_can_accuse_after_the_correction_for_three_parts(kind):
    for name in ("settings", "floors"):
        assert 3 / (1 + len(judging.RECORDED[kind][name])) <= judging.LEVEL
