"""What detectors say: of a network, and how well scores tell attacked samples from clean ones."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbd_core.metrics import Rate

__all__ = ["FIGURES", "LARGEST", "Roc", "Verdict", "pooled", "pooled_scores", "roc", "scored"]

LARGEST = sys.float_info.max / 2  # stands for infinity, which JSON has no word for
FIGURES = (
    "alarm",
    "suspicion",
    "suspicion_threshold",
    "suspected_class",
    "p_value",
    "detection_area",
)


@dataclass(frozen=True)
class Verdict:
    """The answer of a detector about one network.

    Attributes:
        backdoored: whether `score` is beyond `threshold`.
        target: the suspected class; None where the method names none.
        score: larger is more suspicious.
        threshold: set by the method's paper, never on the networks that are judged.
        p_value: where the method gives one.
        values: what the score was made from, one number a class; empty where there is none.
    """

    backdoored: bool
    target: int | None
    score: float
    threshold: float
    p_value: float | None = None
    values: tuple[float, ...] = ()

    def figures(self) -> dict[str, Any]:
        """As `Report.extra` holds it: "alarm" is a share, of one network; None is left out.

        Raises:
            ValueError: a score that is NaN.
        """
        if self.score != self.score:
            raise ValueError(f"score={self.score!r} of a verdict must be a number")
        found = {
            "alarm": Rate(int(self.backdoored), 1),
            "suspicion": min(self.score, LARGEST),
            "suspicion_threshold": self.threshold,
            "suspected_class": self.target,
            "p_value": self.p_value,
            "suspicion_by_class": list(self.values) or None,
        }
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def from_figures(cls, figures: Mapping[str, Any]) -> Verdict:
        """The inverse of `figures`, from all that a report holds.

        Raises:
            ValueError: figures of something else than a detector of models.
        """
        if "suspicion" not in figures:
            raise ValueError(f"figures {sorted(figures)} hold no verdict: probe a model")
        return cls(
            backdoored=figures["alarm"].hits == 1,
            target=figures.get("suspected_class"),
            score=figures["suspicion"],
            threshold=figures["suspicion_threshold"],
            p_value=figures.get("p_value"),
            values=tuple(figures.get("suspicion_by_class", ())),
        )


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
    """Scores of samples as `Report.extra` holds them, with the area of their `roc`."""
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
            raise ValueError(f"figures {sorted(figures)} hold no scores: probe samples")
    clean = np.concatenate([figures["clean_scores"] for figures in reports])
    return clean, np.concatenate([figures["attacked_scores"] for figures in reports])


def _error(area: float, clean: int, attacked: int) -> float:
    """Standard error of an area (Hanley and McNeil 1982, eq. 1)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (attacked - 1) * (q1 - area**2) + (clean - 1) * (q2 - area**2)
    return float(np.sqrt(max(0.0, spread) / (clean * attacked)))
