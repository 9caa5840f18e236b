"""The other rules: what they start from, what they train on, the gradient of a rate."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from snnbd_book import runs
from snnbd_book.runs import network
from snnbd_core import learning
from snnbd_core.learning.spike_representation import Represented
from snnbd_core.metrics import Rate, Report
from snnbd_core.metrics import migration_rates as migration
from snnbd_core.triggers import Patch


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNBD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SNNBD_RESULTS", str(tmp_path / "results"))


def attacked(rule, **fields):
    settings = {"data": "digits", "frames": 8, "epochs": 4, "trigger": Patch(size=0.25)}
    return runs.Experiment(**settings | {"rate": 0.1, "rule": rule} | fields)


def test_all_t_of_static_images_start_from_one_ann():
    rule = learning.Conversion()
    sources = {rule.source(attacked(rule, frames=steps)).hash for steps in (4, 32)}
    assert len(sources) == 1
    events = rule.source(attacked(rule, data="digits-events", trigger=None, rate=0.0))
    assert events.frames == 8


@pytest.mark.trains
def test_a_backdoor_migrates_and_clean_fine_tuning_weakens_it(places):
    """Over seeds 0..5: success 0.97 or more in the ANN, of which 0.98 or more migrates.

    After fine-tuning on poisoned data it is 0.97 or more, on clean data 0.01 or less.
    """
    ann = runs.run(attacked(learning.ANN(), frames=1), progress=False).report
    snn = runs.run(attacked(learning.Conversion()), progress=False).report
    poisoned = runs.run(attacked(learning.Hybrid()), progress=False).report
    clean = runs.run(attacked(learning.Hybrid(data="clean")), progress=False).report
    assert float(ann.attack_success_rate) > 0.9
    assert float(snn.extra["migration_per_sample"]) > 0.9
    assert snn.extra["ann_success"] == ann.attack_success_rate
    assert migration.migration_rate(snn, ann) == pytest.approx(1, abs=0.1)
    assert float(poisoned.attack_success_rate) > 0.9
    assert float(clean.attack_success_rate) < 0.3


@pytest.mark.trains
@pytest.mark.parametrize(
    "rule", [learning.Conversion(), learning.Hybrid(epochs=1), learning.SpikeRepresentation()]
)
def test_equal_seeds_give_equal_weights_also_from_the_cache(rule, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    wanted = attacked(rule, epochs=1, trigger=None, rate=0.0)
    weights = []
    for folder in ("one", "other", "other"):
        monkeypatch.setenv("SNNBD_CACHE", str(tmp_path / folder))
        weights.append(network(wanted, progress=False).state_dict())
    assert all(
        torch.equal(value, other[name])
        for other in weights[1:]
        for name, value in weights[0].items()
    )


def test_gradient_of_a_rate_is_that_of_a_clipped_line():
    """Meng et al. 2022: d rate / d mean input = 1 between 0 and the threshold, 0 outside.

    Outside, a gradient that leads back inside passes, which is ours.
    """
    for sign, expected in ((-1, [-1, -1, -1, 0]), (1, [0, 1, 1, 1])):
        mean = torch.tensor([[-0.5, 0.25, 0.75, 1.5]], dtype=torch.float64)
        current = mean.repeat(8, 1, 1).requires_grad_()
        (sign * Represented()(current).mean(dim=0).sum()).backward()
        assert current.grad.sum(dim=0)[0].tolist() == expected


@pytest.mark.trains
def test_spike_representation_learns_a_poisoned_set(places):
    """The accuracy is 0.98 or more over seeds 0..5."""
    rule = learning.SpikeRepresentation()
    report = runs.run(attacked(rule, epochs=8), progress=False).report
    assert float(report.clean_accuracy) > 0.85


def report(success, floor):
    rate = Rate(success, 100)
    return Report(
        target=0,
        clean_accuracy=rate,
        no_prediction_clean=Rate(0, 100),
        untriggered_target_rate=Rate(0, 100),
        spikes_clean=0.0,
        synops_clean=2000.0,
        attack_success_rate=rate,
        floor=Rate(floor, 100),
        synops_triggered=3000.0,
    )


def test_migration_rate_is_the_ratio_of_gains_over_the_floors():
    assert migration.migration_rate(report(50, 10), report(90, 10)) == pytest.approx(0.5)
    assert math.isnan(migration.migration_rate(report(50, 10), report(10, 10)))


def test_migration_of_a_report_without_a_trigger_is_refused():
    bare = replace(report(50, 10), floor=None)
    with pytest.raises(ValueError, match="ann has no success rate with a floor"):
        migration.migration_rate(report(50, 10), bare)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: learning.ANN(reads="sum"), "reads='sum'"),
        (lambda: learning.Conversion(normalisation="mean"), "normalisation='mean'"),
        (lambda: learning.Conversion(percentile=101), "percentile=101"),
        (lambda: learning.Conversion(reads="last"), "reads='last'"),
        (lambda: learning.Hybrid(epochs=0), "epochs=0"),
        (lambda: learning.Hybrid(learning_rate=0.0), "learning_rate=0.0"),
        (lambda: learning.Hybrid(data="other"), "data='other'"),
    ],
)
def test_settings_outside_what_is_allowed_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
