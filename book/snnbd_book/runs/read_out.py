"""What `argmax` makes of a network: it answers class 0 where a silent network says nothing.

Published figures are often read so. The probe puts them beside those of `evaluate`, which counts
silence and ties as no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core.checks import Checked
from snnbd_core.metrics import Rate, evaluate


@dataclass(frozen=True)
class ArgmaxReadOut(Checked):
    """Accuracy, target rate without trigger and success, the first of equal votes being the answer.

    Success and the target rate leave the target class out, as everywhere.
    """

    data_free: ClassVar[bool] = True
    figures: ClassVar[tuple[str, ...]] = (
        "argmax_accuracy",
        "argmax_untriggered",
        "argmax_success",
    )

    def compare(
        self,
        net: nn.Module,
        test: Any,
        trigger: Any,
        target: int,
        *,
        device: torch.device,
        steps: int,
    ) -> dict[str, Rate]:
        """The three rates on a test set under a trigger."""
        found = evaluate(FirstOfLargest(net), test, trigger, target, device=device, steps=steps)
        values = (
            found.clean_accuracy,
            found.untriggered_target_rate,
            found.attack_success_rate,
        )
        return {name: rate for name, rate in zip(self.figures, values, strict=True) if rate}


class FirstOfLargest(nn.Module):
    """A network whose answer is the first of its largest logits.

    Args:
        net: [T, B, C, H, W] -> logits [B, classes].
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, frames: Tensor) -> Tensor:
        """1 for the class that argmax names, 0 for the others: [B, classes]."""
        logits: Tensor = self.net(frames)
        return functional.one_hot(logits.argmax(dim=1), logits.shape[1]).to(logits.dtype)
