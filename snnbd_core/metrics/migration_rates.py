"""How much of a backdoor goes from an ANN to the SNN it is converted to.

Jin et al. (2024) give a migration rate, but its formula was not available. Two are used here:

- MR1 = (ASR_snn - floor_snn) / (ASR_ann - floor_ann), of a whole test set;
- MR2 = P(SNN says target | ANN says target), sample by sample, over triggered samples of the other
  classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from snnbd_core.metrics import Rate, Report, predict
from snnbd_core.poisoning import Triggered


def compare(
    net: nn.Module,
    source: nn.Module,
    test: Any,
    trigger: Any,
    target: int,
    steps: int,
    device: torch.device,
) -> dict[str, Rate]:
    """What the ANN answers, and how often the SNN answers the same.

    Args:
        net, source: the SNN and the ANN that it comes from.
        test, trigger, target: as for `snnbd_core.evaluate`.
        steps: T of the SNN for static images.
        device: where both are run.

    Returns:
        "ann_clean_accuracy"; under a trigger also "ann_success", "migration_per_sample" (MR2) and
        "agreement" (share of triggered samples of other classes with the same answer).
    """
    truth = np.asarray(test.labels)
    clean = predict(source, test, device=device, steps=1)
    figures = {"ann_clean_accuracy": _rate(clean == truth)}
    if trigger is None:
        return figures
    others, lit = truth != target, Triggered(test, trigger)
    ann = predict(source, lit, device=device, steps=1)[others]
    snn = predict(net, lit, device=device, steps=steps)[others]
    return figures | {
        "ann_success": _rate(ann == target),
        "migration_per_sample": _rate(snn[ann == target] == target),
        "agreement": _rate(snn == ann),
    }


def migration_rate(snn: Report, ann: Report) -> float:
    """MR1 of two reports with floors; nan where the ANN has no backdoor to migrate.

    Raises:
        ValueError: a report without a trigger or without a floor.
    """
    gains = []
    for name, report in (("snn", snn), ("ann", ann)):
        if report.attack_success_rate is None or report.floor is None:
            raise ValueError(f"{name} has no success rate with a floor: it needs a trigger")
        gains.append(report.attack_success_rate.value - report.floor.value)
    return gains[0] / gains[1] if gains[1] > 0 else float("nan")


def _rate(hits: np.ndarray) -> Rate:
    return Rate(int(hits.sum()), len(hits))
