"""What a backdoor does, in numbers that carry their sample sizes.

report = evaluate(net, test, trigger, target=0, clean_net=clean)
report.attack_success_rate              # Rate(hits=..., total=...)
report.attack_success_rate.confidence_interval
"""

from __future__ import annotations

from snnbd_core.metrics.answers import NO_PREDICTION, decide
from snnbd_core.metrics.evaluation import check_batch_axis, evaluate, predict
from snnbd_core.metrics.migration_rates import Migration, migration
from snnbd_core.metrics.report import Rate, Report, revived
from snnbd_core.metrics.trial import Trial

__all__ = [
    "NO_PREDICTION",
    "Migration",
    "Rate",
    "Report",
    "Trial",
    "check_batch_axis",
    "decide",
    "evaluate",
    "migration",
    "predict",
    "revived",
]
