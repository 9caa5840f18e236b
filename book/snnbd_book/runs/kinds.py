"""What the parts of an experiment are able to: the one place that asks them.

A trigger is used as it is, fitted to the training set (a recipe, ``fit``), learnt together with the
network (``learn``), or trained against the finished network (``against``). A rule may start from a
trained network (``source``), give a network other modules (``layout``), and measure something
besides the report (``measure``); ``attacks`` says that it is an attacker's. See
`snnbd_core.learning.Rule`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from snnbd_core.metrics import migration_rates


def is_fitted(trigger: Any) -> bool:
    """Whether the trigger is fitted to the training set before it is used."""
    return hasattr(trigger, "fit")


def is_learnt(trigger: Any) -> bool:
    """Whether the trigger is learnt together with the network."""
    return hasattr(trigger, "learn")


def is_adversarial(trigger: Any) -> bool:
    """Whether the trigger is trained against the network that was attacked."""
    return hasattr(trigger, "against")


def as_learnt(trigger: Any) -> Any:
    """The settings of a trigger that its learning depends on; any other trigger as it is."""
    return getattr(trigger, "as_learnt", trigger)


def restored(trigger: Any, weights: Any, input_shape: tuple[int, int, int]) -> Any:
    """What was learnt, from its weights."""
    if is_adversarial(trigger):
        return trigger.restored(input_shape, weights)
    return trigger.restored(weights, input_shape)


def attacks(rule: Any) -> bool:
    """Whether a training by the rule is an attack, also where no sample is poisoned."""
    return bool(getattr(rule, "attacks", False))


def source(rule: Any, experiment: Any) -> Any:
    """The experiment whose trained network the rule starts from; None for most rules."""
    return rule.source(experiment) if hasattr(rule, "source") else None


def layout(rule: Any, net: nn.Module) -> nn.Module:
    """An untrained network with the modules that the rule's trained one has."""
    laid_out: nn.Module = rule.layout(net) if hasattr(rule, "layout") else net
    return laid_out


def figures(part: Any) -> tuple[str, ...]:
    """Names of what a rule or probe measures besides the report."""
    return tuple(getattr(part, "figures", ()))


def measurement(rule: Any) -> Callable[..., dict[str, Any]] | None:
    """What the rule measures after the report: its own figures, migration, or nothing."""
    if hasattr(rule, "measure"):
        own: Callable[..., dict[str, Any]] = rule.measure
        return own
    migrates = hasattr(rule, "source") and figures(rule)
    return migration_rates.compare if migrates else None


def images_only(probe: Any) -> bool:
    """Whether the probe is for static images alone."""
    return bool(getattr(probe, "images_only", False))
