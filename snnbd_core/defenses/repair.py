"""What all repairs have in common: they change a copy of a network and look at clean samples."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from snnbd_core.defenses.bench import Bench, check_clean, copied, taken
from snnbd_core.defenses.choice import Choice

__all__ = ["Pruning", "Repair"]


class Repair:
    """A frozen dataclass of a repair's settings; each repair writes `_repaired`.

    Attributes:
        data_free: True for a repair that works without samples, and reads at most their shape.
    """

    data_free: ClassVar[bool] = False

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
        """
        return self._repaired(*self._bench(net, clean_samples, device, steps), seed)

    def _repaired(self, bench: Bench, clean: Any, seed: int) -> nn.Module:
        """The network of the bench, changed."""
        raise NotImplementedError  # each repair has its own

    def _bench(
        self, net: nn.Module, clean_samples: Any, device: str | torch.device, steps: int
    ) -> tuple[Bench, Any]:
        """A copy of the network, and the samples as a set of this library."""
        clean = taken(clean_samples) if self.data_free else check_clean(net, clean_samples)
        return copied(net, clean, device=device, steps=steps), clean


class Pruning(Repair):
    """A repair that silences channels, and can show which; each writes `_choice` too."""

    def choose(
        self,
        net: nn.Module,
        clean_samples: Any,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> Choice:
        """Scores of all channels, and which of them stay; the network is not changed.

        Args, Raises: as `repair`.
        """
        return self._choice(*self._bench(net, clean_samples, device, steps), seed)

    def _choice(self, bench: Bench, clean: Any, seed: int) -> Choice:
        """Made on a bench of its own, whose weights may lose their gradients."""
        raise NotImplementedError  # each repair has its own
