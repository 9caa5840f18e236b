"""An attacker who leaves the read-out alone: whoever looks there finds a clean network's weights.

That the authors of TMPBD (RAID 2025, arXiv 2510.06629) also try an attacker who freezes the last
layers is all that was at hand; how it is done here is ours. The network is trained clean first, by
the same settings, and then goes on with the poisoned set while its last layers stay as they are. So
the backdoor must be built from hidden features that a clean read-out already listens to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from snnbd_core.checks import Checked, Count
from snnbd_core.learning import Rule, Task, Trained

__all__ = ["FrozenReadout", "held", "last_layers"]


@dataclass(frozen=True, kw_only=True)
class FrozenReadout(Checked, Rule):
    """Starts from the clean twin and trains on the poisoned set, but for the last layers.

    Epochs and learning rate are the experiment's, a second time. Weights, batch norm with its
    statistics, and what neurons have learnt are frozen from the first of the last layers on.

    Args:
        layers: how many convolutions and dense layers are frozen, counted from the end in the order
            in which the network lists them.

    Raises:
        ValueError: when trained, a number that leaves nothing to train.
    """

    attacks: ClassVar[bool] = True

    layers: Count = 1

    def source(self, experiment: Any) -> Any:
        """The clean network that is attacked."""
        return experiment.clean_twin

    def fit(self, task: Task) -> Trained:
        """Trains the task's source on its poisoned set."""
        net = task.source
        assert net is not None  # `source` names one
        with held(last_layers(net, self.layers)):
            return task.fitted(net)


def last_layers(net: nn.Module, count: int) -> list[nn.Module]:
    """All modules from the count-th last convolution or dense layer on, in the network's order."""
    modules = list(net.modules())
    places = [at for at, part in enumerate(modules) if isinstance(part, nn.Conv2d | nn.Linear)]
    if count >= len(places):
        raise ValueError(
            f"layers={count} leaves nothing to train in a network with {len(places)} layers of "
            f"weights: allowed is 1..{len(places) - 1}"
        )
    return modules[places[-count] :]


@contextmanager
def held(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Keeps weights and the statistics of batch norm bit by bit, whatever is trained meanwhile."""
    weights = [weight for module in modules for weight in module.parameters()]
    wanted = [weight.requires_grad for weight in weights]
    hooks = [
        module.register_forward_pre_hook(_evaluating)
        for module in modules
        if isinstance(module, _BatchNorm)
    ]
    try:
        for weight in weights:
            weight.requires_grad_(False)
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for weight, before in zip(weights, wanted, strict=True):
            weight.requires_grad_(before)


def _evaluating(norm: nn.Module, _: Any) -> None:
    norm.eval()  # a training loop puts all modules in training mode, as often as it likes
