"""SPECTRE's own robust covariance: the filter of Diakonikolas et al. (2017), as its authors set it.

Source: the authors' code (SewoongLab/spectre-defense, commit 15da18b, ``dkk17.jl`` and
``quantum_filters.jl``), whose constants are kept: the filter puts the same samples aside and
suspects the same ones. To compare dimensions the authors take moments about the mean of all
samples, `Spectre` about that of those that are left; the two measures differ by up to 3 % on the
tests' data.
"""

from __future__ import annotations

import numpy as np

__all__ = ["entropy_weights", "fourth_moment", "published_scores", "trusted"]

TAU = 0.1  # chance of failure that the bounds are for
SCALE = 10.0  # the authors' C
SHIFT = 3.0  # deviations below it never put a sample aside
REMOVED = 2.0  # times the share of poison: so many samples are put aside at most


def published_scores(rows: np.ndarray, share: float, alpha: float = 4.0) -> np.ndarray:
    """QUE scores of projected rows [n, k], whitened by the covariance of those that are trusted."""
    if rows.shape[1] == 1:
        return np.asarray(rows[:, 0] ** 2)
    white = rows @ _inverse_root(np.cov(rows[trusted(rows, share)].T, bias=True))
    weights = entropy_weights(white, alpha)
    return np.asarray(np.einsum("ni,ij,nj->n", white, weights, white))


def entropy_weights(white: np.ndarray, alpha: float = 4.0) -> np.ndarray:
    """exp(alpha (S - 1) / (|S| - 1)) of whitened rows' covariance S, its trace 1, [k, k]."""
    from scipy.linalg import expm

    covariance = np.atleast_2d(np.cov(white.T))
    unit = np.eye(len(covariance))
    excess = float(np.linalg.norm(covariance, 2)) - 1
    weights = expm(alpha * (covariance - unit) / excess) if excess > 0 else unit
    return np.asarray(weights / np.trace(weights))


def trusted(rows: np.ndarray, share: float) -> np.ndarray:
    """Indices of the rows that the filter leaves, of centred rows [n, k] with a share of poison.

    While some quadratic form of the whitened rows varies more than a Gaussian's would, those on
    which it is largest are put aside, at most twice the share.
    """
    chosen, left = np.arange(len(rows)), round(REMOVED * share * len(rows))
    while left > 0:
        keep = _step(rows[chosen], share, left)
        if keep is None or bool(keep.all()):
            break
        left -= int((~keep).sum())
        chosen = chosen[keep]
    return chosen


def _step(rows: np.ndarray, share: float, left: int) -> np.ndarray | None:
    """Which rows stay; None where the filter is content."""
    count, width = rows.shape
    white = rows @ _inverse_root(rows.T @ rows / count)
    lengths = np.einsum("ni,ni->n", white, white)
    far = lengths >= SCALE * width * np.log(count / TAU)
    if far.any():
        return ~far | _lowest(lengths, count - left)
    value, form = fourth_moment(white)
    if value <= 1 + SCALE * share * np.log(1 / share) ** 2:
        return None
    sizes = (np.einsum("ni,ij,nj->n", white, form, white) - np.trace(form)) / np.sqrt(2)
    away = np.abs(sizes - np.median(sizes))
    ordered = np.sort(away)
    beyond = ordered - SHIFT
    shares = np.arange(1, count + 1) / count
    found = np.flatnonzero((beyond > 0) & (shares >= _tail(beyond, share)))
    if not len(found):
        return None
    return (away <= beyond[found[0]]) | _lowest(away, count - left)


def fourth_moment(white: np.ndarray) -> tuple[float, np.ndarray]:
    """The quadratic form V, |V| = 1, whose value on whitened rows varies most, and its variance."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    count, width = white.shape

    def applied(flat: np.ndarray) -> np.ndarray:
        form = flat.reshape(width, width)
        values = np.einsum("ni,ij,nj->n", white, form, white)
        moment = (white * values[:, None]).T @ white / count - np.trace(form) * np.eye(width)
        return moment.ravel()

    square = LinearOperator((width**2, width**2), matvec=applied, dtype=np.float64)
    # A start that is not symmetric in the directions, so that no eigenvector is out of its reach.
    start = np.arange(1.0, width**2 + 1)
    values, vectors = eigsh(square, k=1, which="LA", v0=start)
    form = vectors[:, 0].reshape(width, width)
    return float(values[0]), (form + form.T) / 2


def _tail(beyond: np.ndarray, share: float) -> np.ndarray:
    """The share of samples that may lie so far out before the filter cuts there."""
    far = np.maximum(beyond, 1.01)  # where the logarithm is 0 the bound is 1 anyway
    bound = 3 * share / (far * np.log(far)) ** 2
    return np.asarray(np.where(beyond <= SCALE * np.log(1 / share), 1.0, bound))


def _lowest(values: np.ndarray, count: int) -> np.ndarray:
    """Whether a value is among the lowest so many, ties with the last of them included."""
    if count <= 0:
        return np.zeros(len(values), dtype=bool)
    return np.asarray(values <= np.partition(values, count - 1)[count - 1])


def _inverse_root(covariance: np.ndarray) -> np.ndarray:
    values, directions = np.linalg.eigh(np.atleast_2d(covariance))
    floor = 1e-6 * max(float(values[-1]), 1e-300)
    return np.asarray(directions / np.sqrt(np.maximum(values, floor)) @ directions.T)
