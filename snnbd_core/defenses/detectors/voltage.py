"""Voltages and spike patterns of single inputs (proposed by Jin et al. 2024; statistic ours)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from torch import nn

from snnbd_core.defenses.channels import check_clean
from snnbd_core.defenses.detectors.features import Features, check_kind, features
from snnbd_core.metrics import decide


@dataclass(frozen=True)
class Voltage:
    """How unusual an input's read-out is for the class it is given.

    Of each input: the mean potential of every read-out neuron over time (its cumulative voltage
    divided by T) and its spikes' rate, pooled over the neurons of a class. The score is the
    Mahalanobis distance to the clean samples that get the same answer, with a covariance shrunk as
    by Ledoit and Wolf (2004) and shared by all classes: a backdoored answer comes about by another
    way and leaves other losers behind than a rightly given one. The paper says only that voltages
    and spike patterns differ.
    """

    data_free: ClassVar[bool] = False

    def score(
        self,
        net: nn.Module,
        data: Any,
        clean_samples: Any,
        *,
        seed: int,
        device: torch.device,
        steps: int,
    ) -> np.ndarray:
        """One number for each sample of `data`, larger is more suspicious, float64 [N].

        Raises:
            ValueError: a network without spiking layers, or clean samples as for repairs.
        """
        check_kind(net, "potentials")
        check_clean(net, clean_samples)
        known = features(net, clean_samples, device=device, steps=steps)
        asked = features(net, data, device=device, steps=steps)
        return distances(_columns(known), _answers(known), _columns(asked), _answers(asked))


def distances(
    known: np.ndarray, known_answers: np.ndarray, asked: np.ndarray, answers: np.ndarray
) -> np.ndarray:
    """Mahalanobis distances of rows to the mean of the known rows with the same answer.

    Answers that no known row has are measured from the mean of all.
    """
    centres = {
        int(answer): known[known_answers == answer].mean(axis=0)
        for answer in np.unique(known_answers)
    }
    middle = known.mean(axis=0)
    residuals = known - np.stack([centres[int(answer)] for answer in known_answers])
    precision = LedoitWolf(assume_centered=True).fit(residuals).precision_
    away = asked - np.stack([centres.get(int(answer), middle) for answer in answers])
    return np.asarray(np.sqrt(np.einsum("ni,ij,nj->n", away, precision, away)))


def _answers(found: Features) -> np.ndarray:
    return decide(torch.from_numpy(found.votes)).numpy()


def _columns(found: Features) -> np.ndarray:
    classes = found.votes.shape[1]
    pooled = found.potentials.reshape(len(found.votes), classes, -1).mean(axis=2)
    return np.concatenate((pooled, found.votes), axis=1)
