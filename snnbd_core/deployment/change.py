"""What all changes on the way to a device have in common: a changed copy of a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

from snnbd_core.defenses import Repair
from snnbd_core.defenses.bench import Bench

__all__ = ["Change", "held"]


class Change(Repair):
    """A frozen dataclass of a change's settings; looks at no sample.

    `repair` makes the changed copy, as it does for repairs: experiments call it.
    """

    data_free: ClassVar[bool] = True
    again: ClassVar[bool] = False  # True does nothing more when it is done twice

    def apply(self, net: nn.Module) -> nn.Module:
        """A changed copy of a network, in evaluation mode on the CPU; the network stays as it is.

        Raises:
            ValueError: weights that are not finite.
            NotVisible: a network that does not show what is changed.
        """
        return self.repair(net, None, device="cpu")


def held(bench: Bench, name: str) -> Iterator[Tensor]:
    """The tensor of each spiking layer that holds its "threshold" or "beta", to be written to.

    Layers come in the order of the network's modules.

    Raises:
        NotVisible: no spiking layer, or neurons that hold no such tensor.
    """
    if not bench.view.spiking:
        raise bench.view.blind(f"a {name}", "it has no spiking layer")
    for module, adapter in bench.view.neurons:
        values = getattr(module, name, None)
        if not isinstance(values, Tensor):
            needed = "needed are neurons that hold it as a tensor, as LIF and snnTorch's Leaky do"
            raise adapter.blind(module, f"a {name} to write", needed)
        if name in module._buffers:  # layers may share one
            values = values.clone()
            setattr(module, name, values)
        yield values.data
