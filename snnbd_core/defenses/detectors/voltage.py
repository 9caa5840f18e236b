"""Voltages and spike patterns of single inputs (proposed by Jin et al. 2024; statistic ours)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors.detector import InputDetector
from snnbd_core.defenses.detectors.features import Features, features_of
from snnbd_core.metrics import decide
from snnbd_core.metrics.margins import per_class

__all__ = ["Voltage", "distances"]


@dataclass(frozen=True)
class Voltage(InputDetector):
    """How unusual an input's read-out is for the class it is given.

    Of each input: the mean potential of every read-out neuron over time (its cumulative voltage
    divided by T) and its spikes' rate, pooled over the neurons of a class. The score is the
    Mahalanobis distance to the clean samples that get the same answer, with a covariance shrunk as
    by Ledoit and Wolf (2004) and shared by all classes: a backdoored answer comes about by another
    way and leaves other losers behind than a rightly given one. The paper says only that voltages
    and spike patterns differ.

    Needs potentials, which an ANN has not, and clean samples of which two have the same answer.
    """

    def _scores(self, bench: Bench, data: Any) -> np.ndarray:
        known, asked = (features_of(bench, some, "potentials") for some in (bench.data, data))
        return distances(_columns(known), _answers(known), _columns(asked), _answers(asked))


def distances(
    known: np.ndarray, known_answers: np.ndarray, asked: np.ndarray, answers: np.ndarray
) -> np.ndarray:
    """Mahalanobis distances of rows to the mean of the known rows with the same answer.

    Answers that no known row has are measured from the mean of all.

    Raises:
        ValueError: known rows that do not differ from others with the same answer.
    """
    from sklearn.covariance import LedoitWolf

    centres = {
        int(answer): known[known_answers == answer].mean(axis=0)
        for answer in np.unique(known_answers)
    }
    middle = known.mean(axis=0)
    residuals = known - np.stack([centres[int(answer)] for answer in known_answers])
    if not residuals.any():
        raise ValueError(
            f"clean_samples: none of {len(known)} differs from another with the same answer: "
            "needed are at least two that do, for a covariance"
        )
    precision = LedoitWolf(assume_centered=True).fit(residuals).precision_
    away = asked - np.stack([centres.get(int(answer), middle) for answer in answers])
    return np.asarray(np.sqrt(np.einsum("ni,ij,nj->n", away, precision, away)))


def _answers(found: Features) -> np.ndarray:
    return decide(torch.from_numpy(found.votes)).numpy()


def _columns(found: Features) -> np.ndarray:
    pooled = per_class(found.potentials, found.votes.shape[1])
    return np.concatenate((pooled, found.votes), axis=1)
