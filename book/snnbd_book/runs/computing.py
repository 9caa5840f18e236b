"""What a run computes: a trained network, repaired, deployed, evaluated and probed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from snnbd_book.runs import training, trigger_cache
from snnbd_book.runs.machine import peak_memory
from snnbd_book.runs.probing import probed
from snnbd_book.runs.training import Outcome, Place
from snnbd_core.attacks import Generated
from snnbd_core.learning import History
from snnbd_core.metrics import Report, Trial, evaluate
from snnbd_core.view import override

if TYPE_CHECKING:
    from snnbd_book.runs.resolving import Resolved
    from snnbd_book.runs.settings import Experiment
    from snnbd_core.triggers import Trigger


@dataclass(frozen=True)
class Computed:
    """The numbers of a run: report, training, wall time (s) and peak memory (bytes)."""

    report: Report
    history: History
    seconds: float
    peak_memory: int


def compute(given: Resolved, place: Place, store: bool) -> Computed:
    """An experiment's numbers.

    Args:
        given: the experiment and its data.
        place: device, and whether the network is trained anew.
        store: whether the trained network goes to the cache; of one that is repaired, probed or
            deployed at other settings it does in any case.
    """
    experiment = given.experiment
    experiment.rule.check(given.test)
    done = training.trained(given, place, store or _asked_again(experiment))
    trigger, clean = None, None
    if experiment.trigger is not None:
        trigger = ready(given, done)
        clean = done.net
        if experiment.attacks:
            clean = training.trained(given.clean_twin, replace(place, fresh=False)).net
    start = time.perf_counter()
    net = repaired(given, done.net, place)
    nets = [net] if clean is None or clean is done.net else [net, clean]
    with _as_deployed(experiment, nets):
        report = evaluate(
            net,
            given.test,
            trigger,
            experiment.target,
            clean_net=clean,
            device=place.device,
            steps=experiment.frames,
        )
        extra = trigger_cache.stealth_of(given, trigger) | dict(done.figures)
        extra |= _measured(given, net, trigger, place)
        extra |= probed(given, net, trigger, partial(training.poisoned, given), place.device)
    return Computed(
        replace(report, extra=extra),
        done.history,
        done.seconds + time.perf_counter() - start,
        max(done.peak_memory, peak_memory(place.device)),
    )


def _asked_again(experiment: Experiment) -> bool:
    """Whether its network is likely wanted in other ways: repaired, probed, deployed otherwise."""
    handled = experiment.defence is not None or experiment.probe is not None
    return handled or experiment.deployed_otherwise


def ready(given: Resolved, done: Outcome) -> Trigger:
    """The experiment's trigger as it is put into test samples."""
    trigger = given.experiment.trigger
    if isinstance(trigger, Generated):
        return trigger_cache.against(given, done.net)
    if done.trigger is None:
        return trigger_cache.fitted(given)
    return trigger.restored(done.trigger.state_dict(), given.train.input_shape)


def repaired(given: Resolved, net: nn.Module, place: Place) -> nn.Module:
    """The network after the experiment's defence; the network itself where there is none."""
    experiment = given.experiment
    if experiment.defence is None:
        return net
    net_after: nn.Module = experiment.defence.repair(
        net, given.defender, seed=experiment.seed, device=place.device, steps=experiment.frames
    )
    return net_after


@contextmanager
def _as_deployed(experiment: Experiment, nets: Sequence[nn.Module]) -> Iterator[None]:
    """The networks with the neurons' settings of the inference, where the experiment has some."""
    settings = {
        name: value
        for name, value in (
            ("threshold", experiment.inference_threshold),
            ("beta", experiment.inference_beta),
        )
        if value is not None
    }
    with ExitStack() as stack:
        for net in nets if settings else ():
            stack.enter_context(override(net, **settings))
        yield


def _measured(
    given: Resolved, net: nn.Module, trigger: Trigger | None, place: Place
) -> dict[str, Any]:
    """What the rule measures besides the report, if anything."""
    experiment = given.experiment
    if not experiment.rule.figures:
        return {}
    begin = training.source(given.training, replace(place, progress=False))
    trial = Trial(
        net=net,
        source=begin,
        test=given.test,
        trigger=trigger,
        target=experiment.target,
        steps=experiment.frames,
        device=place.device,
    )
    return experiment.rule.measure(trial)
