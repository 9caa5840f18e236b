"""Several data sets as one."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnbd_core.data.samples import Indices, SampleSet, checked_indices

__all__ = ["Joined"]


class Joined(SampleSet):
    """One set after the other, read in batches; all else is as in the first.

    Args:
        first: a set of this library.
        others: sets of samples of the same shape.
    """

    def __init__(self, first: Any, *others: Any) -> None:
        self.sets = (first, *others)
        self.labels = np.concatenate([one.labels for one in self.sets])
        self.classes, self.input_shape, self.kind = first.classes, first.input_shape, first.kind
        self.spaces = (first.kind,)

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of the sets' fingerprints."""
        facts = "|".join(one.fingerprint for one in self.sets)
        return hashlib.sha256(facts.encode()).hexdigest()

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Samples float32 [B, ...] and labels int64 [B]."""
        rows = checked_indices(indices, len(self))
        samples, begin = [], 0
        for one in self.sets:
            here = rows[(rows >= begin) & (rows < begin + len(one))] - begin
            samples += [one.batch(here)[0]] if len(here) else []
            begin += len(one)
        edges = np.cumsum([len(one) for one in self.sets])
        order = np.argsort(np.searchsorted(edges, rows, side="right"), kind="stable")
        found = torch.cat(samples)
        return found[np.argsort(order)], torch.from_numpy(self.labels[rows])
