"""The fixed split of the sets that come without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SPLIT_SEED", "Rows", "stratified"]

SPLIT_SEED = 2015
"""One seed for ever: experiments with different seeds share their test samples."""

Rows = npt.NDArray[np.int64]


def stratified(labels: npt.NDArray[Any], test_share: float) -> tuple[Rows, Rows]:
    """Split sample numbers so that each class gives the same share (rounded) to the test part.

    Args:
        labels: [N].
        test_share: share of each class for the test part, between 0 and 1.

    Returns:
        the rows for training and for testing, each sorted, together all N.
    """
    draw = np.random.default_rng(SPLIT_SEED)
    in_test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = draw.permutation(np.flatnonzero(labels == label))
        in_test[rows[: round(test_share * len(rows))]] = True
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)
