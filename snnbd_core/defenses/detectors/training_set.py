"""Detectors of poisoned training samples: spectral signatures and activation clustering."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnbd_core.checks import Count
from snnbd_core.defenses.detectors.detector import SetDetector

__all__ = ["ActivationClustering", "SpectralSignatures", "outlying"]


@dataclass(frozen=True)
class SpectralSignatures(SetDetector):
    """Tran et al. 2018: squared projection on the first singular vector of a label's features.

    The features are the rates of the last hidden layer's neurons. Poisoned samples of a label share
    a direction that its clean ones do not have. The projection is of features less their mean, as
    in the paper's algorithm 1; the authors' code projects them as they are.
    """

    def _judged(self, rows: np.ndarray, seed: int) -> np.ndarray:
        return outlying(rows)


@dataclass(frozen=True, kw_only=True)
class ActivationClustering(SetDetector):
    """Chen et al. 2018: two clusters among a label's features; the smaller one is suspicious.

    The features are rates as in `SpectralSignatures`, reduced to `components` principal or, as in
    the paper, independent components. The score of a sample is the share of its label that is NOT
    in its cluster: close to 1 in a small cluster, and 0 where all samples of a label are alike.

    Args:
        components: the paper's is 10.
        reduction: "principal", or the paper's "independent" (FastICA, which may stop before it
            converges; fewer components where the features have fewer dimensions).
    """

    components: Count = 10
    reduction: Literal["principal", "independent"] = "principal"

    def _judged(self, rows: np.ndarray, seed: int) -> np.ndarray:
        if len(rows) < 3 or not np.ptp(rows, axis=0).any():
            return np.zeros(len(rows))
        _, side = self.clusters(rows, seed)
        shares = np.bincount(side, minlength=2) / len(side)
        return np.asarray(1 - shares[side])

    def clusters(self, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Features of one label's samples, reduced, and which of two clusters each lies in.

        Args:
            rows: features [N, neurons] of at least 2 samples that are not all alike.
            seed: of the clustering.

        Returns:
            Components float64 [N, at most `components`] and clusters int [N], 0 or 1.
        """
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA

        few = min(self.components, *rows.shape)
        if self.reduction == "independent":
            reduced = _independent(rows, few, seed)
        else:
            reduced = PCA(few, random_state=seed).fit_transform(rows)
        side = KMeans(2, n_init=10, random_state=seed).fit_predict(reduced)
        return reduced, side


def _independent(rows: np.ndarray, few: int, seed: int) -> np.ndarray:
    """Independent components of rows [N, at most `few`], float64."""
    from sklearn.decomposition import PCA, FastICA
    from sklearn.exceptions import ConvergenceWarning

    rank = int(np.linalg.matrix_rank(rows - rows.mean(axis=0)))
    model = FastICA(min(few, rank), whiten="unit-variance", random_state=seed)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # Features of few samples: components that are not quite found still tell clusters apart.
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            return np.asarray(model.fit_transform(rows.astype(np.float64)))
        except ValueError:  # its whitening divides by the first neuron's part, which can be 0
            white = PCA(min(few, rank), whiten=True, random_state=seed)
            model.set_params(whiten=False, n_components=None)
            return np.asarray(model.fit_transform(white.fit_transform(rows.astype(np.float64))))


def outlying(rows: np.ndarray) -> np.ndarray:
    """Squared projections of centred rows on their first right singular vector."""
    centred = rows - rows.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return np.asarray((centred @ directions[0]) ** 2)
