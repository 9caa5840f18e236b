"""Probes: what is measured of a network besides the report, and what each needs of its run.

=====================  =============================================================================
probe of               figures in `Report.extra`
=====================  =============================================================================
a model                what the detector says, see `Verdict.figures`
inputs                 scores of samples without a trigger, of all classes, and with it, of others
                       than the target; see `curves.scored`
a training set         scores of samples labelled as the target, left alone and poisoned, likewise
either, of a           scores of samples without a trigger and of the owner's keys, both of all
`Watermark`            classes
`ArgmaxReadOut`        the rates that argmax gives, which answers class 0 for a silent network
anything else          what its ``measure(net, test, *, seed, device, steps)`` gives
=====================  =============================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from snnbd_book.runs.read_out import ArgmaxReadOut
from snnbd_core.defenses import detectors
from snnbd_core.poisoning import Triggered

if TYPE_CHECKING:
    from snnbd_book.runs.resolving import Resolved
    from snnbd_core.data.samples import SampleSet
    from snnbd_core.poisoning import PoisonedDataset
    from snnbd_core.triggers import Trigger

INPUTS = 60  # reported samples that an input detector scores clean, and as many triggered


def probed(
    given: Resolved,
    net: nn.Module,
    trigger: Trigger | None,
    poisoned: Callable[[], PoisonedDataset],
    device: torch.device,
) -> dict[str, Any]:
    """The figures of an experiment's probe; none without one.

    Args:
        given: whose probe, target, seed, time steps and samples are taken.
        net: the network as it is deployed.
        trigger: as it is put into samples.
        poisoned: gives the training set, which knows its poisoned samples.
        device: where the network is run.

    Raises:
        ValueError: what the probe refuses, such as a network without spiking layers.
    """
    probe, defender = given.experiment.probe, given.defender
    if probe is None:
        return {}
    settings: dict[str, Any] = {
        "seed": given.experiment.seed,
        "device": device,
        "steps": given.experiment.frames,
    }
    if type(probe) in detectors.MODELS.values():
        verdict: detectors.Verdict = probe.inspect(net, defender, **settings)
        return verdict.figures()
    mark = given.experiment.mark
    if type(probe) in detectors.INPUTS.values():
        sets = _inputs(given, trigger)
        return detectors.scored(*(probe.score(net, data, defender, **settings) for data in sets))
    if type(probe) in detectors.TRAINING_SETS.values() and mark:
        scores = probe.score(net, mark.added_to(given.lent), **settings)
        return detectors.scored(*np.split(scores, [len(given.lent)]))
    if type(probe) in detectors.TRAINING_SETS.values():
        data = poisoned()
        return detectors.scored(*_by_poison(probe.score(net, data, **settings), data))
    if isinstance(probe, ArgmaxReadOut):
        target, steps = given.experiment.target, given.experiment.frames
        return dict(probe.compare(net, given.test, trigger, target, device=device, steps=steps))
    figures: dict[str, Any] = probe.measure(net, given.test, **settings)
    return figures


def _inputs(given: Resolved, trigger: Trigger | None) -> tuple[SampleSet, SampleSet]:
    """The first samples, of any class, and with the trigger the first of other classes.

    A detector in use meets clean inputs of the target class too, and some take them for triggered.
    An owner's keys stand in the place of triggered samples.
    """
    test, mark = given.test, given.experiment.mark
    first = test.subset(np.arange(len(test))[:INPUTS])
    if mark:
        return first, mark.of(test)
    assert trigger is not None  # settings without one are refused
    others = np.flatnonzero(np.asarray(test.labels) != given.experiment.target)
    return first, Triggered(test.subset(others[:INPUTS]), trigger)


def _by_poison(scores: np.ndarray, data: PoisonedDataset) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the samples labelled as the target: those left alone, those poisoned."""
    poisoned = np.isin(np.arange(len(data)), data.poisoned_indices)
    labelled = np.asarray(data.labels) == data.target
    return scores[labelled & ~poisoned], scores[labelled & poisoned]
