"""Rules, fitted triggers, repairs and deployed settings, as a run puts them together."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnbd_book.runs import (
    Experiment,
    datasets,
    fitted_trigger,
    network,
    parts,
    records_in,
    run,
)
from snnbd_book.runs import (
    test_sets as sets_of,
)
from snnbd_core import evaluate, override
from snnbd_core.attacks import WakesRounded
from snnbd_core.learning import Rule, SurrogateGradient, Task, Trained
from snnbd_core.metrics import Trial
from snnbd_core.triggers import Static

pytestmark = pytest.mark.trains

Make = Callable[..., Experiment]


@dataclasses.dataclass(frozen=True)
class Scaled(Rule):
    """Starts from the plain network and scales its weights; says by how much they differ."""

    factor: float = 0.5
    figures: ClassVar[tuple[str, ...]] = ("ratio",)

    def source(self, experiment: Experiment) -> Experiment:
        return dataclasses.replace(experiment, rule=SurrogateGradient())

    def layout(self, net: nn.Module) -> nn.Module:
        return nn.Sequential(net)

    def fit(self, task: Task) -> Trained:
        assert task.source is not None
        net = self.layout(task.source)
        with torch.no_grad():
            for weight in net.parameters():
                weight.mul_(self.factor)
        return Trained(net, task.train(task.build(), epochs=1))

    def measure(self, trial: Trial) -> dict[str, float]:
        assert trial.source is not None
        ours, theirs = (next(part.parameters()).detach() for part in (trial.net, trial.source))
        return {"ratio": float(ours.sum() / theirs.sum())}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Zeroed:
    """A repair that removes everything and remembers nothing."""

    data_free: ClassVar[bool] = False

    def repair(self, net: nn.Module, clean_samples: Any, **_: Any) -> nn.Module:
        assert len(clean_samples) == 20
        repaired = copy.deepcopy(net)
        with torch.no_grad():
            for weight in repaired.parameters():
                weight.zero_()
        return repaired


@dataclasses.dataclass(frozen=True)
class Busiest:
    """A trigger at the busiest pixel of the training set."""

    space: str = "frames"

    def __call__(self, data: Tensor) -> Tensor:
        raise AssertionError("it must be fitted first")

    def fit(self, train: Any, *, target: int, seed: int) -> Static:
        total = train.batch(np.arange(len(train)))[0].sum(dim=(0, 1, 2))
        y, x = divmod(int(total.argmax()), total.shape[1])
        return Static(position=(min(x, 31), min(y, 31)))


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts.RULES, "Scaled", Scaled)
    monkeypatch.setitem(parts.REPAIRS, "Zeroed", Zeroed)
    monkeypatch.setitem(parts.TRIGGERS, "Busiest", Busiest)


def test_a_rule_starts_from_its_source_and_its_layout_is_restored(
    results: Path, tiny: Make
) -> None:
    experiment = tiny(rule=Scaled(0.25))
    record = run(experiment)
    assert record.report.extra["ratio"] == 0.25
    assert records_in(results) == [record]
    plain, scaled = network(tiny()), network(experiment)  # both from the cache
    assert isinstance(scaled, nn.Sequential)
    for ours, theirs in zip(scaled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, 0.25 * theirs)
    assert Experiment.from_json(experiment.to_json()) == experiment
    assert experiment.name == "nmnist-static-scaled"


def test_a_repair_gets_the_defenders_samples_and_the_rest_is_reported(
    results: Path, tiny: Make
) -> None:
    experiment = tiny(defence=Zeroed(), held_out=2)
    report = run(experiment).report
    assert report.clean_accuracy.total == 10
    assert report.spikes_clean == 0
    assert report.floor is not None and report.floor.total == 9
    before = run(tiny(held_out=2)).report
    assert before.clean_accuracy.total == 10 and before.spikes_clean > 0
    with pytest.raises(ValueError, match=r"held_out=0 gives defence=Zeroed\(\) no clean samples"):
        tiny(defence=Zeroed())


def test_the_defenders_samples_and_the_others_make_up_the_test_set(
    results: Path, tiny: Make
) -> None:
    _, test = datasets(tiny())
    held, rest = sets_of(tiny(held_out=2))
    assert np.bincount(held.labels).tolist() == [2] * 10
    both = torch.cat([part.batch(np.arange(len(part)))[0] for part in (held, rest)])
    everything = test.batch(np.arange(len(test)))[0]
    assert sorted(both.flatten(1).tolist()) == sorted(everything.flatten(1).tolist())
    other, _ = sets_of(tiny(held_out=2, seed=1))
    assert not torch.equal(other.batch(range(20))[0], held.batch(range(20))[0])
    with pytest.raises(ValueError, match="held_out=3 leaves nothing of class 0 of nmnist"):
        sets_of(tiny(held_out=3))


def test_a_trigger_is_fitted_to_the_training_set_once(
    results: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny(trigger=Busiest())
    fitted = fitted_trigger(experiment)
    assert fitted == Busiest().fit(datasets(experiment)[0], target=0, seed=0)
    monkeypatch.setattr(Busiest, "fit", lambda *_, **__: pytest.fail("fitted twice"))
    assert fitted_trigger(experiment) == fitted
    assert run(experiment).report == run(tiny(trigger=fitted)).report


def test_a_rule_that_looks_at_the_trigger_gets_the_fitted_one(results: Path, tiny: Make) -> None:
    make = partial(tiny, rule=WakesRounded(bits=2))
    fitted = Busiest().fit(datasets(tiny())[0], target=0, seed=0)
    assert run(make(trigger=Busiest())).report == run(make(trigger=fitted)).report


def test_deployed_neurons_are_those_of_the_report(results: Path, tiny: Make) -> None:
    experiment = tiny(inference_threshold=0.6, inference_beta=0.9)
    report = run(experiment).report
    net, clean = network(tiny()), network(tiny().clean_twin)
    _, test = datasets(experiment)
    with override(net, threshold=0.6, beta=0.9), override(clean, threshold=0.6, beta=0.9):
        expected = evaluate(net, test, Static(size=0.2), 0, clean_net=clean, steps=2)
    assert replace(report, extra={}) == expected
    assert report != run(tiny()).report
