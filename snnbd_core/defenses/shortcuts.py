"""Shortcut suppression: in a residual network the backdoor is said to use the shortcuts."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.defenses.channels import check_clean
from snnbd_core.defenses.fine_tuning import tuned
from snnbd_core.networks.layers import Residual


class _Scale:
    """A forward hook that multiplies a shortcut's output."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return self.factor * output


@dataclass(frozen=True, kw_only=True)
class ShortcutSuppression:
    """Scales the shortcuts down, where the backdoor travels, then fine-tunes.

    The current of a residual block's neurons becomes body(x) + factor * shortcut(x). Which
    shortcuts carry the backdoor is not known without the trigger, so the last `blocks` are taken.

    Args:
        factor: in [0, 1).
        blocks: how many, counted from the read-out; at least 1.
        epochs: of the fine-tuning after it; 0 only scales.
        learning_rate: of the fine-tuning, > 0.

    Raises:
        ValueError: for any argument outside what is said above; when repairing, for a network with
            fewer shortcuts.
    """

    data_free: ClassVar[bool] = False

    factor: float = 0.5
    blocks: int = 1
    epochs: int = 30
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        checks.share("factor", self.factor)
        checks.whole("blocks", self.blocks, 1)
        checks.whole("epochs", self.epochs, 0)
        checks.above("learning_rate", self.learning_rate, 0)

    def repair(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> nn.Module:
        """A copy of the network with weaker shortcuts, fine-tuned."""
        check_clean(net, clean_samples)
        out = copy.deepcopy(net).to(device).eval()
        found = [layer for layer in out.modules() if isinstance(layer, Residual)]
        if len(found) < self.blocks:
            raise ValueError(
                f"net={type(net).__name__} has {len(found)} residual blocks: ShortcutSuppression "
                f"needs blocks={self.blocks}"
            )
        for block in found[-self.blocks :]:
            block.shortcut.register_forward_hook(_Scale(self.factor))
        return tuned(
            out, clean_samples, self.epochs, self.learning_rate,
            seed=seed, device=device, steps=steps,
        )  # fmt: skip
