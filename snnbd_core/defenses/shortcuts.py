"""Shortcut suppression: in a residual network the backdoor is said to use the shortcuts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from snnbd_core import guards
from snnbd_core.checks import Count, Natural, Positive, Share
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.repair import Repair, tuned
from snnbd_core.networks.layers import Residual

__all__ = ["ShortcutSuppression"]


@dataclass(frozen=True, kw_only=True)
class ShortcutSuppression(Repair):
    """Scales the shortcuts down, where the backdoor travels, then fine-tunes.

    The current of a residual block's neurons becomes body(x) + factor * shortcut(x). Which
    shortcuts carry the backdoor is not known without the trigger, so the last `blocks` are taken.
    Needs blocks of this library, whose shortcuts alone can be told from other sums.

    Args:
        factor: of the shortcuts.
        blocks: how many, counted from the read-out.
        epochs, learning_rate: of the fine-tuning after it; 0 epochs only scales.
    """

    factor: Share = 0.5
    blocks: Count = 1
    epochs: Natural = 30
    learning_rate: Positive = 1e-2

    def _repaired(self, bench: Bench) -> nn.Module:
        found = [module for module in bench.net.modules() if isinstance(module, Residual)]
        if len(found) < self.blocks:
            raise bench.view.blind(
                f"blocks={self.blocks} shortcuts",
                f"it has {len(found)} residual blocks of snnbd_core.networks.layers",
            )
        factor = torch.tensor(float(self.factor), device=bench.device)
        for block in found[-self.blocks :]:
            guards.attach(bench.net, block.shortcut, "scale", factor)
        return tuned(bench, self.epochs, self.learning_rate)
