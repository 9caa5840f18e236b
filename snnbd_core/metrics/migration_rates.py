"""How much of a backdoor goes from an ANN to the SNN it is converted to.

Jin et al. (2024) give a migration rate, but its formula was not available. Two are used here:

- MR1 = (ASR_snn - floor_snn) / (ASR_ann - floor_ann), of a whole test set;
- MR2 = P(SNN says target | ANN says target), sample by sample, over triggered samples of the other
  classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from snnbd_core.data import as_set
from snnbd_core.metrics.evaluation import predict
from snnbd_core.metrics.report import Rate, Report
from snnbd_core.metrics.trial import Trial
from snnbd_core.poisoning import Triggered, check_target
from snnbd_core.triggers import Trigger

__all__ = ["Migration", "compare", "migration", "migration_rate"]


@dataclass(frozen=True)
class Migration:
    """What of a backdoor an SNN has from its ANN; triggered samples of the other classes.

    Attributes:
        ann_success, snn_success: how many each network sends to the target.
        mr1: share of the ANN's success above its floor that the SNN has above its own; None
            without the two clean networks, nan where the ANN has no backdoor to migrate.
        mr2: how many of the samples that the ANN sends to the target the SNN sends there too.
        agreement: how many samples both networks answer alike.
    """

    ann_success: Rate
    snn_success: Rate
    mr1: float | None
    mr2: Rate
    agreement: Rate


def migration(
    ann: nn.Module,
    snn: nn.Module,
    test: Any,
    trigger: Trigger,
    target: int = 0,
    *,
    clean_ann: nn.Module | None = None,
    clean_snn: nn.Module | None = None,
    steps: int = 4,
    **settings: Any,
) -> Migration:
    """Lays an SNN beside the ANN that it was converted from.

    Args:
        ann, snn: both [T, B, C, H, W] -> logits [B, classes].
        test, trigger, target, settings: as for `snnbd_core.evaluate`; device and batch_size.
        clean_ann, clean_snn: the same two trained without poison, which give MR1 its floors.
        steps: T of the SNN for static images; the ANN has one step.

    Raises:
        ValueError: as `snnbd_core.evaluate`, or one clean network without the other.
    """
    test = as_set(test)
    target = check_target(target, test.classes)
    if (clean_ann is None) != (clean_snn is None):
        raise ValueError("clean_ann and clean_snn: MR1 needs a floor for both networks or neither")
    others = np.asarray(test.labels) != target
    triggered = Triggered(test, trigger)

    def answers(net: nn.Module, steps: int) -> np.ndarray:
        return predict(net, triggered, steps=steps, **settings)[others]

    first, second = answers(ann, 1), answers(snn, steps)
    ann_success, snn_success = Rate.of(first == target), Rate.of(second == target)
    mr1 = None
    if clean_ann is not None and clean_snn is not None:
        ann_floor = Rate.of(answers(clean_ann, 1) == target)
        snn_floor = Rate.of(answers(clean_snn, steps) == target)
        mr1 = _mr1(snn_success, snn_floor, ann_success, ann_floor)
    return Migration(
        ann_success=ann_success,
        snn_success=snn_success,
        mr1=mr1,
        mr2=Rate.of(second[first == target] == target),
        agreement=Rate.of(second == first),
    )


def compare(trial: Trial) -> dict[str, Rate]:
    """What the ANN answers that an SNN comes from, and how often the SNN answers the same.

    Args:
        trial: its `net` is the SNN, its `source` the ANN.

    Returns:
        For a report: "ann_clean_accuracy"; under a trigger also "ann_success",
        "migration_per_sample" (MR2) and "agreement".

    Raises:
        ValueError: a trial without a source.
    """
    if trial.source is None:
        raise ValueError("trial.source=None: needed is the ANN that the network comes from")
    clean = predict(trial.source, trial.test, device=trial.device, steps=1)
    figures = {"ann_clean_accuracy": Rate.of(clean == np.asarray(trial.test.labels))}
    if trial.trigger is None:
        return figures
    found = migration(
        trial.source,
        trial.net,
        trial.test,
        trial.trigger,
        trial.target,
        device=trial.device,
        steps=trial.steps,
    )
    return figures | {
        "ann_success": found.ann_success,
        "migration_per_sample": found.mr2,
        "agreement": found.agreement,
    }


def migration_rate(snn: Report, ann: Report) -> float:
    """MR1 of two reports with floors; nan where the ANN has no backdoor to migrate.

    Raises:
        ValueError: a report without a trigger or without a floor.
    """
    rates = []
    for name, report in (("snn", snn), ("ann", ann)):
        if report.attack_success_rate is None or report.floor is None:
            raise ValueError(f"{name} has no success rate with a floor: it needs a trigger")
        rates += [report.attack_success_rate, report.floor]
    return _mr1(*rates)


def _mr1(snn: Rate, snn_floor: Rate, ann: Rate, ann_floor: Rate) -> float:
    gain = ann.value - ann_floor.value
    return (snn.value - snn_floor.value) / gain if gain > 0 else float("nan")
