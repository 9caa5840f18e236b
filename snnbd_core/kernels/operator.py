"""The step as operators of torch's own, for torch.compile and torch.export.

Those see shapes in place of numbers, which compiled code does not take. An operator stays whole in
their graphs: `snnbd::step` forward, `snnbd::step_backward` backward, each with a function that
says what shapes it gives. It chooses its kernel when it runs. Where nothing is captured,
``kernels.step`` calls the kernel without them, which takes less time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from snnbd_core.kernels import choice, fused
from snnbd_core.kernels.rule import Rule

__all__ = ["captured", "step"]

_RULE = "str reset, str update, str surrogate, float slope, bool detach, bool decay_input"
_SETTINGS = f"str? kernel, {_RULE}, bool potential, bool[] wanted"


def captured(current: Tensor) -> bool:
    """Whether somebody captures what is computed; a subclass of Tensor may hold no numbers."""
    return torch.compiler.is_compiling() or type(current) is not Tensor


def step(
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    rule: Rule,
    return_potential: bool,
    kernel: str | None,
) -> tuple[Tensor, Tensor | None]:
    """As ``kernels.step``, of parameters in the dtype that is integrated in."""
    given = current.dtype
    if given == torch.float16 and current.device.type == "cpu":  # which its kernel does not take
        current = current.float()
    spikes, potential, _ = torch.ops.snnbd.step(
        current,
        beta,
        threshold,
        kernel,
        rule.reset,
        rule.update,
        rule.surrogate,
        rule.slope,
        rule.detach,
        rule.decay_input,
        return_potential,
        [beta.requires_grad, threshold.requires_grad],
    )
    return spikes.to(given), potential.to(given) if return_potential else None


@custom_op(
    "snnbd::step",
    mutates_args=(),
    schema="(Tensor current, Tensor beta, Tensor threshold, "
    f"{_SETTINGS}) -> (Tensor spikes, Tensor potential, Tensor kept)",
)
def _forward(
    current: Tensor, beta: Tensor, threshold: Tensor, kernel: str | None, *settings: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, potential, and what CUDA's kernel keeps for backward; empty what there is not."""
    *rule, potential, wanted = settings
    name = choice.chosen(kernel, current.device.type)
    layout = fused.Layout.of(current.shape, current.stride())
    spikes, reported, saved = fused.forward(
        _kernel(name, current),
        layout,
        current,
        beta,
        threshold,
        Rule(*rule),
        potential,
        any(wanted),
    )
    kept = layout.shaped(saved[0]) if name == "cuda" else None
    return _as(current, spikes), _as(current, reported), _as(current, kept)


@_forward.register_fake
def _(
    current: Tensor, beta: Tensor, threshold: Tensor, kernel: str | None, *settings: Any
) -> tuple[Tensor, Tensor, Tensor]:
    there = (True, settings[-2], choice.chosen(kernel, current.device.type) == "cuda")
    spikes, potential, kept = (
        torch.empty_like(current) if here else current.new_empty(0) for here in there
    )
    return spikes, potential, kept


@custom_op(
    "snnbd::step_backward",
    mutates_args=(),
    schema="(Tensor kept, Tensor? current, Tensor beta, Tensor threshold, Tensor? d_spikes, "
    f"Tensor? d_potential, {_SETTINGS}) -> (Tensor d_current, Tensor d_beta, Tensor d_threshold)",
)
def _backward(
    kept: Tensor,
    current: Tensor | None,
    beta: Tensor,
    threshold: Tensor,
    d_spikes: Tensor | None,
    d_potential: Tensor | None,
    kernel: str | None,
    *settings: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of current, beta and threshold; empty those that are not wanted."""
    *rule, _, wanted = settings
    layout = fused.Layout.of(kept.shape, kept.stride())
    d_current, d_beta, d_threshold = fused.backward(
        _kernel(choice.chosen(kernel, kept.device.type), kept),
        layout,
        tuple(layout.flat(tensor) for tensor in (kept, current) if tensor is not None),
        beta,
        threshold,
        Rule(*rule),
        (d_spikes, d_potential),
        tuple(wanted),
    )
    return _as(kept, d_current), _as(beta, d_beta), _as(threshold, d_threshold)


@_backward.register_fake
def _(
    kept: Tensor, current: Tensor | None, beta: Tensor, threshold: Tensor, *given: Any
) -> tuple[Tensor, Tensor, Tensor]:
    d_current, d_beta, d_threshold = (
        torch.empty_like(value) if here else value.new_empty(0)
        for value, here in zip((kept, beta, threshold), (True, *given[-1]), strict=True)
    )
    return d_current, d_beta, d_threshold


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    current, beta, threshold, *settings = inputs
    decays, wanted = settings[6], settings[-1]
    if output[2].dim() < current.dim():  # nothing is kept beside the current
        ctx.save_for_backward(current, None, beta, threshold)
    else:
        needed = current if decays and any(wanted) else None
        ctx.save_for_backward(output[2], needed, beta, threshold)
    ctx.settings = settings
    ctx.set_materialize_grads(False)


def _differentiated(
    ctx: Any, d_spikes: Tensor | None, d_potential: Tensor | None, _: Tensor | None
) -> tuple[Tensor | None, ...]:
    *_, potential, (decay, level) = ctx.settings
    upstream = (d_spikes, d_potential if potential else None)
    d_current, d_beta, d_threshold = torch.ops.snnbd.step_backward(
        *ctx.saved_tensors, *upstream, *ctx.settings
    )
    parameters = (d_beta if decay else None, d_threshold if level else None)
    return (d_current, *parameters, *(None for _ in ctx.settings))


_forward.register_autograd(_differentiated, setup_context=_keep)


def _kernel(name: str, current: Tensor) -> fused.Kernel:
    return choice.module(name if current.numel() else "reference")


def _as(like: Tensor, tensor: Tensor | None) -> Tensor:
    """A tensor in the strides that the fake kernels say; None as an empty one."""
    if tensor is None:
        return like.new_empty(0)
    made = torch.empty_like(like)
    return tensor if tensor.stride() == made.stride() else made.copy_(tensor)
