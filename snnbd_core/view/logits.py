"""What a network has to give: logits [B, classes]."""

from __future__ import annotations

from typing import Any

from torch import Tensor

WANTED = "allowed is one tensor of logits [B, classes]"


def checked_logits(output: Any, batch: int, classes: int | None = None) -> Tensor:
    """The output if it is logits.

    Args:
        output: what a network gave for a sequence of `batch` samples.
        batch: B.
        classes: how many there must be; None takes any number.

    Raises:
        ValueError: anything but [B, classes], with what it is instead.
    """
    if not isinstance(output, Tensor):
        raise ValueError(
            f"net gives {type(output).__name__}: {WANTED}; return the first part alone, or wrap "
            "the network by snnbd_core.adapt"
        )
    if output.dim() == 3:
        raise ValueError(
            f"net gives an output of shape {list(output.shape)}: {WANTED}; if it is [T, B, "
            "classes], average over time, as in output.mean(0)"
        )
    wanted = "classes" if classes is None else classes
    if output.dim() != 2 or len(output) != batch or classes not in (None, output.shape[1]):
        raise ValueError(
            f"net gives logits of shape {list(output.shape)}: allowed is [B, classes] = "
            f"[{batch}, {wanted}]"
        )
    return output
