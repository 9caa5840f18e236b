"""One number for a repair: what it takes from the attack, less what it takes from the task."""

from __future__ import annotations

from snnbd_core.metrics import Report

__all__ = ["defence_effectiveness"]


def defence_effectiveness(before: Report, after: Report) -> float:
    """DER (Zhu et al. 2023): (max(0, dASR) - max(0, dCA) + 1) / 2, in 0..1.

    d is before less after. 1 is a perfect attack undone for nothing, 0.5 nothing gained.

    Raises:
        ValueError: a report without a success rate.
    """
    if before.attack_success_rate is None or after.attack_success_rate is None:
        raise ValueError("a report has no attack_success_rate: it needs a trigger")
    gained = before.attack_success_rate.value - after.attack_success_rate.value
    lost = before.clean_accuracy.value - after.clean_accuracy.value
    return (max(0.0, gained) - max(0.0, lost) + 1) / 2
