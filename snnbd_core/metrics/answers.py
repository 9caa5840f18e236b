"""What a network answers: the class of its largest logit.

Where several classes share the largest logit (a silent network gives 0 to all) there is no answer:
argmax would return the first of them, which is often class 0, the usual target.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["NO_PREDICTION", "decide"]

NO_PREDICTION = -1

# Logits closer than this share of the largest are tied: equal votes summed in another order differ
# in their last bits, and different votes by 1 / (voters * T), some 1e-3.
_TIE = 1e-6


def decide(logits: Tensor) -> Tensor:
    """The class of the largest logit, int64 [B]; `NO_PREDICTION` where several share it.

    Args:
        logits: [B, classes], finite. Within one part in a million of the largest counts as equal.
    """
    largest, answer = logits.max(dim=1)
    tied = logits >= (largest - _TIE * largest.abs()).unsqueeze(1)
    return torch.where(tied.sum(dim=1) > 1, NO_PREDICTION, answer)
