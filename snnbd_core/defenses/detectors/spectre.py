"""SPECTRE (Hayase et al. 2021): poison is sought after the clean part's spread is divided out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from snnbd_core.checks import Count, fitting
from snnbd_core.defenses.detectors.detector import SetDetector
from snnbd_core.defenses.detectors.features import Kind
from snnbd_core.defenses.detectors.spectre_filter import published_scores

__all__ = ["Spectre", "projections", "quantum_entropy", "standing_out", "whitened"]

SQUARES = tuple(number**2 for number in range(1, 11))  # dimensions that are tried, as the authors'
SAMPLES = 5  # of a label for each dimension at least
ALPHA = 4.0
FLOOR = 1e-6  # least variance in proportion to the largest
REMOVED = 1.5  # times `share`: what is put aside when dimensions are compared
# Beginnings of what MinCovDet warns of where many rows are alike, or vary little in some direction.
TOLD = (
    "Determinant has increased",  # of a subset without variance: see FLOOR
    "The covariance matrix associated to your dataset is not full rank",  # squares sum to < 1e-8
    "Mean of empty slice",  # half of the rows are the same; a ValueError follows
    "invalid value encountered in divide",  # the same
)


@dataclass(frozen=True, kw_only=True)
class Spectre(SetDetector):
    """Hayase et al. 2021: quantum entropy (QUE) scores of a label's whitened features.

    The features of a label are projected on their first k singular directions and whitened with a
    robust mean and covariance, so that a direction in which clean samples vary much hides nothing;
    `quantum_entropy` then weighs the directions by what spread is left. As in the authors' code, k
    is that of 1, 4, 9, ..., 100 after which the samples that are put aside stand out most; a label
    has at least 5 samples for each dimension.

    The paper's covariance is that of the filter of Diakonikolas et al. (2017), `estimator="filter"`
    (see `spectre_filter`). The default is another method: mean and covariance are those of the
    minimum covariance determinant (Rousseeuw and Van Driessen 1999); it ranks samples otherwise
    (rank correlation about 0.5 to 0.6 with the authors' code) and finds more poison here. The
    plain ones stand in where most samples of a label are the same. The share of poison is assumed,
    while the paper knows it. Labels with fewer than 5 samples, or with all alike, get scores of 0.

    Args:
        of: "rates" of the last hidden layer's neurons, or mean "potentials" of the read-out's,
            which a network must show.
        components: k; None searches it.
        share: of a label that may be poisoned, in (0, 0.5). The search puts 1.5 times as much
            aside, the filter at most twice as much.
        estimator: "determinant", or "filter" as published.
    """

    of: Kind = "rates"
    components: Count | None = None
    share: Annotated[float, fitting(lambda x: 0 < x < 0.5, "in (0, 0.5)")] = 0.2
    estimator: Literal["determinant", "filter"] = "determinant"

    def _judged(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """Scores of one label's features, [n]."""
        projected = projections(rows)
        if not projected.shape[1]:
            return np.zeros(len(rows))
        most = projected.shape[1]
        tried = [k for k in SQUARES if k <= most]
        if self.components is not None:
            tried = [min(self.components, most)]
        if self.estimator == "filter":
            scores = [published_scores(projected[:, :k], self.share) for k in tried]
        else:
            scores = [quantum_entropy(whitened(projected[:, :k], seed)) for k in tried]
        return max(scores, key=lambda some: standing_out(projected, some, self.share))


def projections(rows: np.ndarray) -> np.ndarray:
    """Centred rows on their singular directions, the widest first, [n, most].

    As many as have variance, 100 at most, and one for every 5 samples.
    """
    centred = rows - rows.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    rounding = FLOOR**2 * np.abs(rows).max() * np.sqrt(rows.size)
    rank = int((values > max(FLOOR * values[0], rounding)).sum())
    most = min(rank, len(rows) // SAMPLES, SQUARES[-1])
    return np.asarray(left[:, :most] * values[:most])


def whitened(rows: np.ndarray, seed: int) -> np.ndarray:
    """Rows less a robust mean, times the inverse root of a robust covariance, [n, k]."""
    from sklearn.covariance import EmpiricalCovariance, MinCovDet

    try:
        with warnings.catch_warnings():
            for message in TOLD:
                warnings.filterwarnings("ignore", message)
            fitted = MinCovDet(random_state=seed).fit(rows)
    except ValueError:  # most rows are the same
        fitted = EmpiricalCovariance().fit(rows)
    return _white(rows - fitted.location_, fitted.covariance_)


def quantum_entropy(rows: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """QUE scores of whitened rows h: h' Q h / tr Q, [n] (Dong et al. 2019).

    Q = exp(alpha (S - 1) / (|S| - 1)), S being the rows' second moments and |S| its largest
    eigenvalue. alpha = 0, which is also taken where |S| <= 1, gives the squared length over k; a
    large alpha the squared projection on the widest direction.
    """
    from scipy.linalg import expm

    moments = rows.T @ rows / len(rows)
    excess = float(np.linalg.eigvalsh(moments)[-1]) - 1
    unit = np.eye(len(moments))
    weights = expm(alpha * (moments - unit) / excess) if excess > 0 else unit
    return np.asarray(np.einsum("ni,ij,nj->n", rows, weights, rows) / np.trace(weights))


def standing_out(projected: np.ndarray, scores: np.ndarray, share: float) -> float:
    """The mean QUE score of all after whitening without the 1.5 `share` with the highest scores."""
    from sklearn.covariance import EmpiricalCovariance

    count = len(scores) - round(REMOVED * share * len(scores))
    fitted = EmpiricalCovariance().fit(projected[np.argsort(scores)[:count]])
    white = _white(projected - fitted.location_, fitted.covariance_)
    return float(quantum_entropy(white).mean())


def _white(centred: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    values, directions = np.linalg.eigh(covariance)
    least = FLOOR * max(float(values[-1]), 1e-300)
    return np.asarray(centred @ directions / np.sqrt(np.maximum(values, least)))
