"""How well scores tell attacked from clean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbd_core.defenses.detectors.verdict import LARGEST

__all__ = ["FIGURES", "Roc", "pooled", "pooled_scores", "roc", "scored"]

FIGURES = ("detection_area",)


@dataclass(frozen=True)
class Roc:
    """A ROC curve.

    Attributes:
        false_positives, true_positives: rates along the curve.
        area: under it; 0.5 is chance.
        interval: 95 % of the area, by Hanley and McNeil (1982).
    """

    false_positives: np.ndarray
    true_positives: np.ndarray
    area: float
    interval: tuple[float, float]


def roc(clean: Sequence[float] | np.ndarray, attacked: Sequence[float] | np.ndarray) -> Roc:
    """The curve of two sets of scores, larger being more suspicious.

    Raises:
        ValueError: an empty set, or scores that are NaN.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    scores = np.concatenate([np.asarray(clean, float), np.asarray(attacked, float)])
    if not len(clean) or not len(attacked) or np.isnan(scores).any():
        raise ValueError(
            f"{len(clean)} clean and {len(attacked)} attacked scores: allowed is at least one of "
            "each and no NaN"
        )
    scores = np.nan_to_num(scores, posinf=LARGEST)
    truth = np.r_[np.zeros(len(clean)), np.ones(len(attacked))]
    false, true, _ = roc_curve(truth, scores)
    area = float(roc_auc_score(truth, scores))
    half = 1.96 * _error(area, len(clean), len(attacked))
    return Roc(false, true, area, (max(0.0, area - half), min(1.0, area + half)))


def scored(clean: np.ndarray, attacked: np.ndarray) -> dict[str, Any]:
    """Scores of samples as `Report.extra` holds them, with the area under their curve; see `roc`."""
    return {
        "detection_area": roc(clean, attacked).area,
        "clean_scores": clean.tolist(),
        "attacked_scores": attacked.tolist(),
    }


def pooled(found: Iterable[Mapping[str, Any]]) -> Roc:
    """One curve for the samples of several reports; raises as `pooled_scores`."""
    return roc(*pooled_scores(found))


def pooled_scores(found: Iterable[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Clean and attacked scores of several reports, from what `scored` put into each.

    Raises:
        ValueError: figures of something else than a detector of samples.
    """
    reports = list(found)
    for figures in reports:
        if "clean_scores" not in figures:
            raise ValueError(
                f"figures {sorted(figures)} hold no scores: they need the probe of samples"
            )
    clean = np.concatenate([figures["clean_scores"] for figures in reports])
    return clean, np.concatenate([figures["attacked_scores"] for figures in reports])


def _error(area: float, clean: int, attacked: int) -> float:
    """Standard error of an area (Hanley and McNeil 1982, eq. 1)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (attacked - 1) * (q1 - area**2) + (clean - 1) * (q2 - area**2)
    return float(np.sqrt(max(0.0, spread) / (clean * attacked)))
