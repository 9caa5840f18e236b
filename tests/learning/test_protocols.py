"""What a rule and a recipe have to offer, and that all of ours offer it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from torch import nn

from snnbd_core import attacks, learning
from snnbd_core.attacks.badsnn import DualSpike
from snnbd_core.defenses.abl import AntiBackdoorLearning
from snnbd_core.learning import Rule, SurrogateGradient, Task, Trained
from snnbd_core.triggers import Recipe

RULES = (
    SurrogateGradient,
    learning.ANN,
    learning.Conversion,
    learning.Hybrid,
    learning.SpikeRepresentation,
    DualSpike,
    attacks.Federated,
    attacks.FrozenReadout,
    attacks.MarginAware,
    AntiBackdoorLearning,
)


@dataclass(frozen=True)
class Own(Rule):
    """A rule with nothing but `fit`."""

    factor: float = 0.5

    def fit(self, task: Task) -> Trained:
        return task.fitted(task.build())


@pytest.mark.parametrize("kind", RULES)
def test_every_rule_says_all_that_a_rule_may_say(kind):
    rule = kind()
    assert Rule in kind.__mro__
    assert rule.attacks is (kind in (DualSpike, attacks.FrozenReadout, attacks.MarginAware))
    assert isinstance(rule.figures, tuple)
    assert dataclasses.replace(rule) == rule


def test_a_rule_of_ones_own_needs_fit_alone():
    rule, net = Own(), nn.Linear(2, 2)
    assert (rule.attacks, rule.figures, rule.source(None)) == (False, (), None)
    assert rule.layout(net) is net
    assert [field.name for field in dataclasses.fields(rule)] == ["factor"]


@pytest.mark.parametrize("kind", [attacks.Dynamic, attacks.Generated, attacks.Optimised])
def test_trained_triggers_are_recipes(kind):
    assert isinstance(kind(), Recipe)
    with pytest.raises(ValueError, match=r"first, by fit\(train, target"):
        kind()(None)
