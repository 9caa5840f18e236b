"""Detectors that need potentials, on a network whose weights are written down."""

from __future__ import annotations

import numpy as np
import pytest

import snnbd_core as sb
from snnbd_book.chapters.planted import by_hand
from snnbd_core.defenses import detectors

PATCH = sb.triggers.Patch(size=0.25)
MARGINS = detectors.PotentialMargins(high=1.0, frames=4, iterations=30)
ASKED = {"seed": 0, "device": "cpu", "steps": 4}


@pytest.fixture(scope="module")
def digits():
    return sb.data.load("digits", seed=0)


def voltages(net, data):
    held, asked = data.subset(np.arange(100)), data.subset(np.arange(100, 300))
    plain = asked.subset(np.flatnonzero(asked.labels != 3))
    triggered = sb.poisoning.Triggered(plain, PATCH)
    scores = (detectors.Voltage().score(net, one, held, **ASKED) for one in (plain, triggered))
    return detectors.roc(*scores).area


def test_the_planted_neuron_is_a_backdoor_and_nothing_else(digits):
    train, test = digits
    planted, clean = by_hand(train, 3), by_hand(train)
    settings = {"steps": 4, "device": "cpu"}
    with_it, without = (sb.evaluate(net, test, PATCH, 3, **settings) for net in (planted, clean))
    assert float(with_it.attack_success_rate) == 1.0
    assert float(without.attack_success_rate) < 0.05
    assert float(with_it.clean_accuracy) > 0.8 and float(without.clean_accuracy) > 0.8


@pytest.mark.parametrize("target", range(10))
def test_margins_name_whatever_class_is_planted(digits, target):
    """A class's own neuron leads by 1 + k / 16 at most, and the planted one by 4 more."""
    train, test = digits
    verdict = MARGINS.inspect(by_hand(train, target), test, **ASKED)
    assert verdict.backdoored and verdict.target == target
    own = 1 + np.arange(10) / 16
    np.testing.assert_allclose(np.delete(verdict.values, target), np.delete(own, target), atol=0.02)
    assert verdict.values[target] > 3


def test_margins_do_not_accuse_where_nothing_is_planted(digits):
    train, test = digits
    verdict = MARGINS.inspect(by_hand(train), test, **ASKED)
    assert not verdict.backdoored
    np.testing.assert_allclose(verdict.values, 1 + np.arange(10) / 16, atol=0.02)


def test_a_read_out_that_is_reset_hides_what_is_planted_from_margins(digits):
    """A neuron that fires in each step is seen at 0, however much current it gets."""
    train, test = digits
    verdict = MARGINS.inspect(by_hand(train, 3, fires=True), test, **ASKED)
    assert not verdict.backdoored
    assert max(verdict.values) < 1


def test_voltages_tell_planted_answers_from_honest_ones(digits):
    train, test = digits
    assert voltages(by_hand(train, 3), test) > 0.99
    assert 0.4 < voltages(by_hand(train), test) < 0.6
