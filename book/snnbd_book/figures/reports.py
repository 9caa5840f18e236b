"""A report as a table."""

from __future__ import annotations

import pandas as pd

from snnbd_core.metrics import Rate, Report

# field of a report -> what the table calls it, in the order of reading
_ROWS = {
    "clean_accuracy": "clean accuracy",
    "no_prediction_clean": "no prediction, without trigger",
    "untriggered_target_rate": "untriggered target rate",
    "attack_success_rate": "attack success rate",
    "floor": "its floor, on a clean network",
    "attack_success_rate_all": "attack success rate, all classes",
    "floor_all": "its floor, all classes",
    "robust_accuracy": "robust accuracy",
    "no_prediction_triggered": "no prediction, under the trigger",
}


def report_table(report: Report) -> pd.DataFrame:
    """A report as a table: one row per rate, in percent, with its interval and its counts.

    Rates that the report does not have (no trigger, no clean network) are left out.
    """
    rows: dict[str, dict[str, str]] = {}
    for field, name in _ROWS.items():
        rate = getattr(report, field)
        if isinstance(rate, Rate):
            rows[name] = {
                "%": percent(rate.value),
                "95 % interval": interval(rate.confidence_interval),
                "samples": f"{rate.hits} of {rate.total}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def percent(share: float) -> str:
    """A share as a percentage with one decimal, without the sign."""
    return f"{100 * share:.1f}"


def interval(bounds: tuple[float, float]) -> str:
    """Two shares as percentages: ``97.2 to 99.1``."""
    low, high = bounds
    return f"{percent(low)} to {percent(high)}"
