"""Beatrix (Ma et al. 2023): inputs whose channels go together in ways that no clean input's do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnbd_core.checks import Count, Positive
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors.detector import InputDetector
from snnbd_core.defenses.detectors.features import Kind
from snnbd_core.metrics import decide
from snnbd_core.view import View

__all__ = ["Beatrix", "deviations", "gram", "map_rates"]

FOLDS = 5
TINY = 1e-6  # added to what a deviation is divided by, as in the authors' code


@dataclass(frozen=True, kw_only=True)
class Beatrix(InputDetector):
    """How far an input's Gram matrices lie outside those of clean samples with the same answer.

    A Gram matrix of order p has the entries sign(s) |s|^(1/p), s = sum over x of (v_ix v_jx)^p, v
    being what channels i and j do at x. An entry is bounded by its median over the clean samples
    with the same answer, minus and plus `width` times their median absolute deviation; beyond, it
    counts the distance to the bound over the bound's size. An input's deviation is the mean over
    the entries i <= j and the orders p. The score is the deviation over the answer's threshold, the
    95th percentile of its clean samples' deviations in five folds. Fewer than five clean samples
    with the answer are replaced by all.

    v is a feature map, as in the authors' code, here the spikes' rates in the last hidden layer
    that has places x (in the last where none has any); of the read-out's potentials, x is the time
    step. The paper goes on to test whole classes (RMMD), with 30 clean samples each.

    Args:
        of: "rates", which needs a hidden layer of neurons, or "potentials", which a network must
            show.
        orders: the largest p; the authors' code has 8.
        width: of the bounds; 10 in the authors' code.
        channels: of a layer with more, this many are drawn (ours).

    Raises:
        ValueError: when scoring, a single clean sample.
    """

    of: Kind = "rates"
    orders: Count = 8
    width: Positive = 10.0
    channels: Count = 256

    def _scores(self, bench: Bench, data: Any) -> np.ndarray:
        if len(bench.data) < 2:
            raise ValueError("clean_samples holds 1 sample: bounds need at least 2")
        known, known_answers = self._traces(bench, bench.data)
        asked, answers = self._traces(bench, data)
        drawn = _drawn(known.shape[1], self.channels, bench.seed)
        scores = np.zeros(len(answers))
        for answer in np.unique(answers):
            rows, same = answers == answer, known_answers == answer
            alike = known[same] if same.sum() >= FOLDS else known
            scores[rows] = self._judged(alike[:, drawn], asked[rows][:, drawn])
        return scores

    def _judged(self, known: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Scores [n] of asked traces [n, C, X] among known ones [m, C, X]."""
        found, held_out = np.zeros(len(asked)), np.zeros(len(known))
        for order in range(1, self.orders + 1):
            entries = gram(known, order)
            found += deviations(entries, gram(asked, order), self.width) / self.orders
            for fold in np.array_split(np.arange(len(known)), FOLDS):
                others = np.delete(entries, fold, axis=0)
                held_out[fold] += deviations(others, entries[fold], self.width) / self.orders
        return np.asarray(found / (np.quantile(held_out, 0.95, method="higher") + TINY))

    def _traces(self, bench: Bench, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """What channels do, [N, C, X], and answers, [N]."""
        found, answers = [], []
        for sequence in bench.batches(data):
            if self.of == "rates":
                votes, trace = map_rates(bench.view, sequence)
            else:
                votes, potential = bench.view.potentials(sequence)
                trace = potential.permute(1, 2, 0)
            found.append(trace.cpu())
            answers.append(decide(votes).cpu())
        return torch.cat(found).numpy(), torch.cat(answers).numpy()


def map_rates(view: View, sequence: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [B, classes], and rates [B, C, places] of the last hidden layer that has places.

    Where none has any, each channel of the last hidden layer is one place.
    """
    mapped = next((layer for layer in reversed(view.hidden) if len(layer.shape) > 1), None)
    with view.read([mapped or view.hidden[-1]], "spikes") as spikes:
        votes = view(sequence)
    return votes, spikes[0].mean(dim=0).unsqueeze(2).flatten(2)


def gram(traces: np.ndarray, order: int) -> np.ndarray:
    """The upper triangles of the Gram matrices of traces [n, C, X], [n, C (C + 1) / 2]."""
    raised = traces.astype(np.float64) ** order
    rows, columns = np.triu_indices(traces.shape[1])
    entries = (raised @ raised.transpose(0, 2, 1))[:, rows, columns]
    return np.asarray(np.sign(entries) * np.abs(entries) ** (1 / order))


def deviations(known: np.ndarray, asked: np.ndarray, width: float) -> np.ndarray:
    """Mean deviation of asked entries [n, E] from the bounds by known ones [m, E], [n]."""
    median = np.median(known, axis=0)
    spread = width * np.median(np.abs(known - median), axis=0)
    low, high = median - spread, median + spread
    below = np.maximum(low - asked, 0) / (np.abs(low) + TINY)
    above = np.maximum(asked - high, 0) / (np.abs(high) + TINY)
    return np.asarray((below + above).mean(axis=1))


def _drawn(channels: int, most: int, seed: int) -> np.ndarray:
    """Which channels are looked at: all, or as many as allowed."""
    if channels <= most:
        return np.arange(channels)
    return np.sort(np.random.default_rng(seed).choice(channels, most, replace=False))
