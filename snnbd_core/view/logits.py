"""What a network is given, a sequence, and has to give: logits [B, classes]."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["as_read", "brief", "checked_logits", "finite"]


def as_read(net: nn.Module, sequence: Tensor) -> Tensor:
    """The sequence [T, B, ...] in the precision of the network's weights, such as float64.

    ValueError for layers that are built for another T or B, whose neurons would mix samples.
    """
    steps, batch = sequence.shape[:2]
    for module in net.modules():
        if not type(module).__name__.endswith("Squeeze"):
            continue
        for name, given in (("num_timesteps", steps), ("batch_size", batch)):
            built = getattr(module, name, -1)
            if built not in (-1, None, given):
                has = f"net={type(net).__name__} has a {type(module).__name__} with {name}={built}"
                got = f"is given T={steps} steps of B={batch} samples"
                raise ValueError(f"{has} and {got}: needed is num_timesteps=T alone")
    kinds = (weight.dtype for weight in net.parameters() if weight.dtype.is_floating_point)
    return sequence.to(next(kinds, sequence.dtype))


def checked_logits(logits: Any, batch: int, classes: int | None = None) -> Tensor:
    """What a network gave for a batch, if these are logits [B, classes]; None allows any number.

    ValueError for anything else, with what to do about it.
    """
    wanted = f"allowed is [B, classes] = {(batch, 'any' if classes is None else classes)}"
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"net gives a {type(logits).__name__}, no tensor: {wanted}; let forward return the "
            "logits alone, or wrap the network by snnbd_core.adapt"
        )
    shape = tuple(logits.shape)
    if len(shape) == 2 and shape[0] == batch and shape[1] == (classes or shape[1]):
        return logits
    remedy = "; average over time: logits.mean(0)" if len(shape) == 3 else ""
    if len(shape) == 2:
        named = "name the data set's classes by snnbd_core.data.as_set(data, classes=...)"
        remedy = (
            f"; {named if shape[0] == batch else 'the first axis must be the samples, not time'}"
        )
    raise ValueError(f"net gives logits of shape {shape}: {wanted}{remedy}")


def finite(logits: Tensor) -> Tensor:
    """The logits, if none of them is NaN or infinite; ValueError otherwise."""
    if not bool(logits.isfinite().all()):
        raise ValueError("net gives logits that are NaN or infinite: allowed are finite numbers")
    return logits


def brief(logits: Tensor) -> str:
    """A few of one sample's logits, for a message."""
    values = ", ".join(f"{value:.4g}" for value in logits[:5].tolist())
    return f"[{values}{', ...' if len(logits) > 5 else ''}]"
