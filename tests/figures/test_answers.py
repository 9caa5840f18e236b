"""Confusion and losses, beside scikit-learn, torch and a silent network."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

import snnbd_core as sb
from snnbd_book import figures
from snnbd_book.runs import Neuron
from snnbd_core.metrics import predict
from snnbd_core.poisoning import Triggered
from snnbd_core.triggers import Patch

SILENT = 1e6  # a threshold that nothing reaches


@pytest.fixture(scope="module")
def net():
    return sb.networks.build("quick-conv", (1, 8, 8), 10, Neuron().build, seed=0).eval()


@pytest.fixture(scope="module")
def digits():
    return sb.data.load("digits")[1].subset(np.arange(60))


def test_confusion_is_that_of_scikit_learn_and_pooled_over_networks(net, digits):
    other = sb.networks.build("quick-conv", (1, 8, 8), 10, Neuron().build, seed=1).eval()
    sets = {"plain": digits, "lit": Triggered(digits, Patch(size=0.5))}
    figure = figures.draw_confusion([net, other], sets, threshold=0.3)
    for axes, data in zip(figure.axes, sets.values(), strict=True):
        answers = []
        for one in (net, other):
            with sb.override(one, threshold=0.3):
                answers.append(predict(one, data, device="cpu"))
        order = [*range(10), -1]
        labels = np.tile(data.labels, 2)
        expected = confusion_matrix(labels, np.concatenate(answers), labels=order)[:-1]
        drawn = np.asarray(axes.images[0].get_array())
        np.testing.assert_allclose(drawn, 100 * expected / expected.sum(1, keepdims=True))
    assert [axes.get_title() for axes in figure.axes] == ["plain", "lit"]


def test_silence_is_no_answer_and_has_a_column_of_its_own(net, digits):
    axes = figures.draw_confusion([net], {"plain": digits}, threshold=SILENT).axes[0]
    drawn = np.asarray(axes.images[0].get_array())
    assert (drawn[:, :10] == 0).all() and (drawn[:, 10] == 100).all()
    assert axes.get_xticklabels()[-1].get_text() == "none"
    assert [one.get_text() for one in axes.texts] == ["100"] * 10
