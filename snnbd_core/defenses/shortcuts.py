"""Shortcut suppression: in a residual network the backdoor is said to use the shortcuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from snnbd_core import checks, guards
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.fine_tuning import tuned
from snnbd_core.defenses.repair import Repair
from snnbd_core.networks.layers import Residual

__all__ = ["ShortcutSuppression"]


@dataclass(frozen=True, kw_only=True)
class ShortcutSuppression(Repair):
    """Scales the shortcuts down, where the backdoor travels, then fine-tunes.

    The current of a residual block's neurons becomes body(x) + factor * shortcut(x). Which
    shortcuts carry the backdoor is not known without the trigger, so the last `blocks` are taken.

    Args:
        factor: in [0, 1).
        blocks: how many, counted from the read-out; at least 1.
        epochs: of the fine-tuning after it; 0 only scales.
        learning_rate: of the fine-tuning, > 0.

    Raises:
        ValueError: for any argument outside what is said above.
        NotVisible: when repairing, a network with fewer blocks of this library, whose shortcuts
            alone can be told from other sums.
    """

    factor: float = 0.5
    blocks: int = 1
    epochs: int = 30
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        checks.settings(
            self,
            factor=checks.share("factor", self.factor),
            blocks=checks.whole("blocks", self.blocks, 1),
            epochs=checks.whole("epochs", self.epochs, 0),
            learning_rate=checks.above("learning_rate", self.learning_rate, 0),
        )

    def _repaired(self, bench: Bench, clean: Any, seed: int) -> nn.Module:
        found = [module for module in bench.net.modules() if isinstance(module, Residual)]
        if len(found) < self.blocks:
            raise bench.view.blind(
                f"blocks={self.blocks} shortcuts",
                f"it has {len(found)} residual blocks of snnbd_core.networks.layers",
            )
        factor = torch.tensor(float(self.factor), device=bench.device)
        for block in found[-self.blocks :]:
            guards.attach(bench.net, block.shortcut, "scale", factor)
        return tuned(bench, clean, self.epochs, self.learning_rate, seed)
