"""What the parts of an experiment are able to: the one place that asks them.

A trigger is used as it is, fitted to the training set (a `Recipe`), learnt together with the
network (`Dynamic`), or trained against the finished network (`Generated`). A rule may start from a
trained network (``source``), give a network other modules (``layout``), and measure something
besides the report (``measure``); ``attacks`` says that it is an attacker's. See
`snnbd_core.learning.Rule`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from snnbd_core.attacks import Dynamic, Generated
from snnbd_core.learning import Rule
from snnbd_core.triggers import Recipe


def is_fitted(trigger: Any) -> bool:
    """Whether the trigger is fitted to the training set alone before it is used."""
    return isinstance(trigger, Recipe) and not is_learnt(trigger) and not is_adversarial(trigger)


def is_learnt(trigger: Any) -> bool:
    """Whether the trigger is learnt together with the network."""
    return isinstance(trigger, Dynamic)


def is_adversarial(trigger: Any) -> bool:
    """Whether the trigger is trained against the network that was attacked."""
    return isinstance(trigger, Generated)


def as_learnt(trigger: Any) -> Any:
    """The settings of a trigger that its learning depends on; any other trigger as it is."""
    return getattr(trigger, "as_learnt", trigger)


def restored(trigger: Any, weights: Any, input_shape: tuple[int, int, int]) -> Any:
    """What was learnt, from its weights."""
    if is_adversarial(trigger):
        return trigger.restored(input_shape, weights)
    return trigger.restored(weights, input_shape)


def attacks(rule: Rule) -> bool:
    """Whether a training by the rule is an attack, also where no sample is poisoned."""
    return rule.attacks


def source(rule: Rule, experiment: Any) -> Any:
    """The experiment whose trained network the rule starts from; None for most rules."""
    return rule.source(experiment)


def layout(rule: Rule, net: nn.Module) -> nn.Module:
    """An untrained network with the modules that the rule's trained one has."""
    return rule.layout(net)


def figures(part: Any) -> tuple[str, ...]:
    """Names of what a rule or probe measures besides the report."""
    return tuple(getattr(part, "figures", ()))


def measurement(rule: Rule) -> Callable[..., dict[str, Any]] | None:
    """What the rule measures after the report; None for a rule without figures."""
    return rule.measure if rule.figures else None


def images_only(probe: Any) -> bool:
    """Whether the probe is for static images alone."""
    return bool(getattr(probe, "images_only", False))
