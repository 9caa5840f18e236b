"""Fine-tuning on clean samples: the plainest repair, and the measure of all others."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.defenses.channels import check_clean
from snnbd_core.learning import train
from snnbd_core.view import override


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Trains on for some epochs, on clean samples only; through spikes by surrogate gradients.

    Args:
        epochs: at least 1; BadSNN's Table 2 has 10 on larger sets.
        learning_rate: > 0.
        batch_size: at least 1.
        threshold: of all neurons while training; None leaves them. Against an attack that ships
            another threshold, the one that is shipped.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    data_free: ClassVar[bool] = False

    epochs: int = 30
    learning_rate: float = 1e-2
    batch_size: int = 32
    threshold: float | None = None

    def __post_init__(self) -> None:
        checks.whole("epochs", self.epochs, 1)
        checks.whole("batch_size", self.batch_size, 1)
        checks.above("learning_rate", self.learning_rate, 0)
        if self.threshold is not None:
            checks.above("threshold", self.threshold, 0)

    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A fine-tuned copy of the network."""
        check_clean(net, clean_samples)
        out = copy.deepcopy(net)
        at = nullcontext() if self.threshold is None else override(out, threshold=self.threshold)
        with at:
            train(
                out, clean_samples, epochs=self.epochs, learning_rate=self.learning_rate,
                batch_size=self.batch_size, steps=steps, seed=seed, device=device, progress=False,
            )  # fmt: skip
        return out


def tuned(
    net: nn.Module,
    clean_samples: Any,
    epochs: int,
    learning_rate: float,
    *,
    seed: int,
    device: torch.device,
    steps: int,
) -> nn.Module:
    """What repairs that first change a network end with: fine-tuning, or with 0 epochs nothing."""
    if epochs == 0:
        return net
    tuning = FineTuning(epochs=epochs, learning_rate=learning_rate)
    return tuning.repair(net, clean_samples, seed=seed, device=device, steps=steps)
