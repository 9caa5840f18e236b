"""What the detectors have in common: how they are asked, and what they are given to work with.

Each is a frozen dataclass of its settings. None changes what it is given: networks are looked at in
evaluation mode on the device, and are afterwards as and where they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from snnbd_core.checks import Checked
from snnbd_core.data.samples import frames_of
from snnbd_core.defenses.bench import Bench, check_clean, covered, frozen, taken
from snnbd_core.defenses.detectors.features import features
from snnbd_core.defenses.detectors.verdict import Verdict

__all__ = ["InputDetector", "ModelDetector", "SetDetector"]


class ModelDetector(Checked):
    """Says whether a network is attacked; each writes `_verdict`."""

    data_free: ClassVar[bool] = False  # True reads at most the shape of samples

    def inspect(
        self,
        net: nn.Module,
        clean_samples: Any = None,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> Verdict:
        """What the detector says of a network.

        Args:
            net: the network.
            clean_samples: samples of every class, any set that `snnbd_core.data.as_set` takes; may
                be None for a detector that is `data_free`.
            seed: of all that is drawn.
            device: "auto" is CUDA, MPS or CPU, in this order.
            steps: T for static images.

        Raises:
            ValueError: weights that are not finite, a class without a sample, samples of another
                shape than the network's, a device that is not here, steps below 1.
            NotVisible: a network that does not show what the detector needs.
        """
        settings = {"seed": seed, "device": device, "steps": steps}
        with self._bench(net, clean_samples, **settings) as bench:
            return self._verdict(bench)

    def _verdict(self, bench: Bench) -> Verdict:
        """The answer about the network of a bench."""
        raise NotImplementedError  # each detector has its own

    @contextmanager
    def _bench(self, net: nn.Module, clean: Any, **settings: Any) -> Iterator[Bench]:
        """The block in which the network is looked at, with the samples as a set."""
        data = taken(clean) if self.data_free else check_clean(net, clean)
        with frozen(net, data, **settings) as bench:
            yield bench if self.data_free else covered(bench)


class InputDetector(Checked):
    """Says how suspicious inputs are; each writes `_scores`."""

    data_free: ClassVar[bool] = False

    def score(
        self,
        net: nn.Module,
        data: Any,
        clean_samples: Any,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> np.ndarray:
        """One number for each sample of `data`, larger is more suspicious, float64 [N].

        Args, Raises: as `ModelDetector.inspect`; `data` has the kind, T and shape of the clean
        samples.
        """
        data, clean = taken(data), check_clean(net, clean_samples)
        given, wanted = _form(data), _form(clean)
        if given != wanted:
            raise ValueError(
                f"data holds {given}, clean_samples {wanted}: they are laid beside each other, so "
                "both must be alike"
            )
        with frozen(net, clean, device=device, steps=steps, seed=seed) as bench, torch.no_grad():
            return self._scores(covered(bench), data)

    def _scores(self, bench: Bench, data: Any) -> np.ndarray:
        """Scores of inputs, beside the bench's clean samples."""
        raise NotImplementedError  # each detector has its own


class SetDetector(Checked):
    """Says which samples of a training set are poisoned; each writes `_judged`."""

    data_free: ClassVar[bool] = True

    of: Any = "rates"

    def score(
        self,
        net: nn.Module,
        data: Any,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> np.ndarray:
        """One number for each training sample, larger is more suspicious, float64 [N].

        A sample is judged among those of its own label.

        Args, Raises: as `ModelDetector.inspect`; `data` is any set.
        """
        data = taken(data)
        found = features(net, data, device=device, steps=steps, of=self.of).of(self.of)
        labels, scores = np.asarray(data.labels), np.zeros(len(data))
        for label in np.unique(labels):
            scores[labels == label] = self._judged(found[labels == label], seed)
        return scores

    def _judged(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """Scores [n] of one label's features [n, neurons]."""
        raise NotImplementedError  # each detector has its own


def _form(data: Any) -> str:
    """What a set's samples are: "frames, T=4, [2, 34, 34]" or "image, [1, 28, 28]"."""
    times = "" if data.kind == "image" else f", T={frames_of(data)}"
    return f"{data.kind}{times}, {list(data.input_shape)}"
