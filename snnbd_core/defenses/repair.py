"""What all repairs have in common: they change a copy of a network and look at clean samples."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from snnbd_core.checks import Checked
from snnbd_core.defenses.bench import Bench, check_clean, copied, covered, taken
from snnbd_core.learning import train

__all__ = ["Repair", "tuned"]


class Repair(Checked):
    """A frozen dataclass of a repair's settings; each repair writes `_repaired`.

    One that repeats something says by ``rounds`` what, with the names of its settings in braces.
    """

    data_free: ClassVar[bool] = False  # True reads at most the shape of samples

    def repair(
        self,
        net: nn.Module,
        clean_samples: Any,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> nn.Module:
        """A repaired copy of a network, in evaluation mode on the device.

        Args:
            net: the network, left where and as it is.
            clean_samples: samples of every class, any set that `snnbd_core.data.as_set` takes; may
                be None for a repair that is `data_free`.
            seed: of all that is drawn.
            device: "auto" is CUDA, MPS or CPU, in this order.
            steps: T for static images.

        Raises:
            ValueError: weights that are not finite, a class without a sample, samples of another
                shape than the network's, a device that is not here, steps below 1.
            NotVisible: a network that does not show what the repair needs.
            FloatingPointError: a repair whose training diverges.
        """
        return self._repaired(
            self._bench(net, clean_samples, seed=seed, device=device, steps=steps)
        )

    def _repaired(self, bench: Bench) -> nn.Module:
        """The network of the bench, changed."""
        raise NotImplementedError  # each repair has its own

    def _bench(self, net: nn.Module, clean: Any, **settings: Any) -> Bench:
        """A copy of the network, with the samples as a set of this library."""
        if self.data_free:
            return copied(net, taken(clean), **settings)
        return covered(copied(net, check_clean(net, clean), **settings))


def tuned(bench: Bench, epochs: int, learning_rate: float, **settings: Any) -> nn.Module:
    """The network of a bench after fine-tuning in place on its samples; with 0 epochs as it is.

    `settings` are others of `snnbd_core.learning.train`; batch_size is 32 unless given.
    """
    if epochs:
        settings = {"batch_size": 32, "progress": False, **settings}
        settings |= {"steps": bench.steps, "seed": bench.seed, "device": bench.device}
        train(bench.net, bench.data, epochs=epochs, learning_rate=learning_rate, **settings)
    return bench.net
