"""From a data set to what a network reads: order of samples, time axis, device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from snnbd_core import checks

__all__ = ["as_sequence", "choose_device", "shuffled"]


def shuffled(count: int, batch_size: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """Indices of one epoch's batches: a permutation that depends on seed and epoch alone.

    So a resumed run needs no stored random state. The last batch is smaller if it must be.
    """
    order = np.random.default_rng([seed, epoch]).permutation(count)
    for start in range(0, count, batch_size):
        yield order[start : start + batch_size]


def as_sequence(batch: Tensor, steps: int) -> Tensor:
    """Puts time first: frames [B, T, C, H, W] -> [T, B, C, H, W], a view.

    A static image [B, C, H, W] is repeated: [steps, B, C, H, W], by ``expand``, without a copy.
    For frames ``steps`` is not used: their T is what the data set has.

    Raises:
        ValueError: another number of axes, or steps < 1 for static images.
    """
    if batch.dim() == 5:
        return batch.transpose(0, 1)
    if batch.dim() != 4:
        raise ValueError(
            f"batch of shape {list(batch.shape)} must be [B, T, C, H, W] or [B, C, H, W]"
        )
    return batch.expand(checks.whole("steps", steps, 1), *batch.shape)


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device named, or for ``"auto"`` the first there is of CUDA, MPS, CPU.

    Raises:
        ValueError: a device that this machine does not have.
    """
    there = ["cuda"] if torch.cuda.is_available() else []
    there += ["mps", "cpu"] if torch.backends.mps.is_available() else ["cpu"]
    if device == "auto":
        return torch.device(there[0])
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in there:
        raise ValueError(f"device={str(device)!r} is not here; allowed: auto, {', '.join(there)}")
    return chosen
