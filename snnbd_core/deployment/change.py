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


def held(bench: Bench, what: str) -> Iterator[list[Tensor]]:
    """The tensors of each spiking layer that hold its "threshold" or "decay", to be written to.

    Of decays the potential's comes first, and then a synapse's. Layers come in the order of the
    network's modules.

    Raises:
        NotVisible: no spiking layer, or neurons that no such tensor acts on.
    """
    if not bench.view.spiking:
        raise bench.view.blind(f"a {what}", "it has no spiking layer")
    for module, adapter in bench.view.neurons:
        names = adapter.decays(module) if what == "decay" else ("threshold",)
        if not names or not all(isinstance(getattr(module, name, None), Tensor) for name in names):
            needed = "needed are neurons that hold it as a tensor, as LIF and snnTorch's Leaky do"
            raise adapter.blind(module, f"a {what} to write", needed)
        yield [_own(module, name) for name in names]


def _own(module: nn.Module, name: str) -> Tensor:
    """A tensor of a module that no other shares any more."""
    values: Tensor = getattr(module, name)
    own = values.detach().clone()
    if isinstance(values, nn.Parameter):
        own = nn.Parameter(own, requires_grad=values.requires_grad)
    setattr(module, name, own)
    return own.data
