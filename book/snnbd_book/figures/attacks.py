"""What an attack looks like and what it did: outlined patches, and a report as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from snnbd_book.figures.events import Box
from snnbd_core.metrics import Rate, Report
from snnbd_core.triggers.placement import Patch

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


def patch_boxes(trigger: Any, frames: torch.Tensor | np.ndarray) -> list[Box | None]:
    """Where a trigger with a ``schedule`` lies in each of T frames, for ``draw_frames(box=...)``.

    Args:
        trigger: ``Static`` or ``Moving``.
        frames: [T, 2, H, W]; only its shape is used.

    Returns:
        One box per frame; None where the trigger is absent or wraps around the edge.
    """
    steps, _, height, width = frames.shape
    boxes: list[Box | None] = [None] * steps
    for patch, when in trigger.schedule(steps, width, height):
        for step in range(*when.indices(steps)):
            boxes[step] = _box(patch)
    return boxes


def _box(patch: Patch) -> Box | None:
    first, count = patch.columns[0], len(patch.columns)
    if patch.columns[-1] != first + count - 1:
        return None
    return first, patch.rows.start, count, patch.rows.stop - patch.rows.start


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
