"""The trainings behind an experiment: that of its network, and that of its clean twin."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from snnbd_core.attacks import Dynamic
from snnbd_core.learning import SurrogateGradient

if TYPE_CHECKING:
    from snnbd_book.runs.settings import Experiment


def clean_twin(experiment: Experiment) -> Experiment:
    """The same training without an attack: the network that the floor is measured on."""
    rule = SurrogateGradient() if experiment.rule.attacks else experiment.rule
    return dataclasses.replace(
        _as_trained(experiment),
        rule=rule,
        trigger=None,
        rate=0.0,
        target=0,
        include_target=True,
        clean_label=False,
    )


def training(experiment: Experiment) -> Experiment:
    """The experiment whose network this one's is, before anything is done to it.

    What only the measurement depends on is left out; where nothing is attacked it is the
    clean twin.
    """
    if not experiment.attacks:
        return clean_twin(experiment)
    if experiment.rate > 0:
        return _as_trained(experiment)
    return dataclasses.replace(_as_trained(experiment), trigger=None)


def _as_trained(experiment: Experiment) -> Experiment:
    learnt = isinstance(experiment.trigger, Dynamic)
    return dataclasses.replace(
        experiment,
        trigger=experiment.trigger.as_learnt if learnt else experiment.trigger,
        defence=None,
        held_out=0,
        inference_threshold=None,
        inference_beta=None,
        probe=None,
    )
