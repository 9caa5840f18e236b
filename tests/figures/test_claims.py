"""A paper's figures beside ours, drawn and laid out as a table."""

from __future__ import annotations

import dataclasses

import pytest

from snnbd_book import claims, figures
from snnbd_book.claims.sample import Sample
from snnbd_book.claims.verdict import Figure
from snnbd_book.drawings import neuromorphic_triggers
from snnbd_book.drawings.neuromorphic_triggers import setting
from snnbd_book.runs import Experiment, run
from snnbd_core.triggers import Moving, Static


@pytest.fixture
def rows():
    """Two rows of a table as they are before anything was run."""
    paper = claims.load("abad2022")
    return [
        claims.judge(paper[name], "quick", seeds=[10**6], run=False)
        for name in ("nmnist-clean", "nmnist-corner-off-0.01")
    ]


def test_a_setting_is_named_in_a_few_words():
    attack = Experiment(trigger=Static(polarity="off", position="top-left"), rate=0.001)
    assert setting(attack) == "0.1 % static off, top-left, s 0.1"
    at = Experiment(trigger=Moving(position=(3, 4), size=0.2), rate=0.1)
    assert setting(at) == "10 % moving on, at (3, 4), s 0.2"
    assert setting(Experiment()) == "no attack"


def test_nothing_is_drawn_of_claims_that_were_not_run(rows):
    with pytest.raises(ValueError, match="'ASR' has been run; nothing to draw"):
        neuromorphic_triggers.draw_claims(rows)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """One real run, too small to learn anything."""
    experiment = Experiment(trigger=Static(), rate=0.1, samples=64, epochs=1)
    return run(experiment, results=tmp_path_factory.mktemp("results"), progress=False)


def test_the_picture_of_a_claim_shows_our_mean_its_interval_the_papers_and_the_floor(rows, record):
    claim = rows[1].claim
    wanted = dataclasses.replace(claim.settings["corner_off"]["quick"], samples=64)
    held = dataclasses.replace(record, experiment=wanted)
    floor = Sample((record.report.floor_all,))
    figure = Figure("ASR", 0.75, (0.5, 0.9), 1.0, floor=floor)
    item = dataclasses.replace(rows[1], figures=(figure,), records=(held,))
    (axes,) = neuromorphic_triggers.draw_claims([rows[0], item]).axes
    drawn = [tuple(float(x) for x in line.get_xdata()) for line in axes.lines]
    assert drawn == [
        (50.0, 90.0),
        (75.0,),
        (100.0,),
        tuple(100 * end for end in floor.interval),
        (100 * floor.mean,),
    ]
    assert axes.get_yticklabels()[0].get_text().startswith("Table 1, row 10: 1 % static off")


def test_curves_of_success_pass_through_the_records_means(record):
    (axes,) = figures.draw_rates({"static": {0.1: [record], 0.01: [record]}}).axes
    success, floor = axes.lines
    assert list(success.get_xdata()) == [1.0, 10.0]
    assert list(success.get_ydata()) == [100 * record.report.attack_success_rate.value] * 2
    assert list(floor.get_ydata()) == [100 * record.report.floor.value] * 2
