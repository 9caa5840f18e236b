"""What the fused kernels share: memory layout and the link to autograd.

A kernel sees a layer as T rows of M neurons in the order they lie in memory, whatever the axes
mean. So a channels-last image is stepped in place, and its spikes are channels-last too.

A small layer takes less time than the calls that lead to its kernel, so these are few: a layer
that lies in memory as it is named is not viewed in another shape, and no value is converted that
need not be.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnbd_core.kernels.rule import Rule


class Kernel(Protocol):
    """One device's compiled kernel.

    Currents, and what has their shape, are contiguous, [T, M] or [T, ...] with M neurons in the
    other axes; a current may also be one row for all steps, whose stride is 0. Parameters are [M]
    or one number. ``learns`` says whether beta or the threshold needs a gradient.

    Attributes:
        DTYPES: of the currents that it takes.
    """

    DTYPES: frozenset[torch.dtype]

    def forward(
        self,
        current: Tensor,
        beta: Tensor,
        threshold: Tensor,
        rule: Rule,
        potential: bool,
        learns: bool,
    ) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
        """Spikes, the potential if asked for, and what backward needs."""

    def backward(
        self,
        saved: tuple[Tensor, ...],
        beta: Tensor,
        threshold: Tensor,
        rule: Rule,
        d_spikes: Tensor | None,
        d_potential: Tensor | None,
        learns: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Gradients of the current and, if asked for, of beta and threshold [M]."""


@dataclass(frozen=True)
class Layout:
    """How the neurons' axes [B, ...] of a current [T, B, ...] lie in memory.

    Attributes:
        shape: sizes of the neurons' axes.
        order: those axes, from the slowest to the fastest in memory.
        plain: whether that is the order in which they are named.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    plain: bool

    @staticmethod
    @functools.lru_cache
    def of(shape: tuple[int, ...], strides: tuple[int, ...]) -> Layout:
        """That of a current of this shape and these strides."""
        named = tuple(range(len(shape) - 1))
        order = tuple(sorted(named, key=lambda axis: -strides[1 + axis]))
        return Layout(tuple(shape[1:]), order, order == named)

    def flat(self, tensor: Tensor) -> Tensor:
        """[T, B, ...] as a kernel takes it; itself or a view if it has this layout, else a copy."""
        if self.plain and tensor.is_contiguous():  # as in most layers
            return tensor
        tensor = tensor.permute(0, *(axis + 1 for axis in self.order))
        if tensor.stride(0) == 0:  # one step repeated by expand: flatten that one
            return tensor[:1].reshape(1, -1).contiguous().expand(tensor.shape[0], -1)
        return tensor.reshape(tensor.shape[0], -1).contiguous()

    def parameter(self, value: Tensor) -> Tensor:
        """A value that broadcasts to [B, ...] as [M], or itself if it is the same for all."""
        if value.numel() == 1:
            return value
        return value.expand(self.shape).permute(self.order).reshape(-1).contiguous()

    def gradient(self, tensor: Tensor | None) -> Tensor | None:
        """As `flat`, and an expanded gradient (that of a sum, say) is written out."""
        return None if tensor is None else self.flat(tensor).contiguous()

    def shaped(self, flat: Tensor) -> Tensor:
        """What a kernel gives, [T, ...] or [M], as [T, B, ...] or [B, ...] in this layout."""
        if flat.dim() == 1 + len(self.shape):  # [T, B, ...] already
            return flat
        if self.plain:
            return flat.view(*flat.shape[:-1], *self.shape)
        lead = flat.dim() - 1
        back = sorted(range(len(self.order)), key=lambda position: self.order[position])
        sizes = [self.shape[axis] for axis in self.order]
        out = flat.view(*flat.shape[:-1], *sizes)
        return out.permute(*range(lead), *(position + lead for position in back))

    def summed(self, flat: Tensor | None, value: Tensor) -> Tensor | None:
        """A gradient [M] in the shape of the parameter that was spread by `parameter`."""
        return None if flat is None else self.shaped(flat).sum_to_size(value.shape)


def step(
    kernel: Kernel,
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    rule: Rule,
    return_potential: bool,
) -> tuple[Tensor, Tensor | None]:
    """Runs a kernel on a current [T, B, ...] that is not empty; gradients by autograd, once."""
    out: tuple[Tensor, Tensor | None] = _Step.apply(
        current, beta, threshold, rule, return_potential, kernel
    )
    return out


def forward(
    kernel: Kernel,
    layout: Layout,
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    rule: Rule,
    potential: bool,
    learns: bool,
) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
    """As the kernel's, of a current [T, B, ...] with its layout; ``saved`` is left as it lies."""
    spikes, reported, saved = kernel.forward(
        layout.flat(current),
        layout.parameter(beta),
        layout.parameter(threshold),
        rule,
        potential,
        learns,
    )
    return layout.shaped(spikes), None if reported is None else layout.shaped(reported), saved


def backward(
    kernel: Kernel,
    layout: Layout,
    saved: tuple[Tensor, ...],
    beta: Tensor,
    threshold: Tensor,
    rule: Rule,
    upstream: tuple[Tensor | None, Tensor | None],
    wanted: tuple[bool, bool],
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """As the kernel's, of a current with a layout.

    Args:
        upstream: the gradients of spikes and potential.
        wanted: whether those of beta and threshold are, each in its own shape.
    """
    d_current, d_beta, d_threshold = kernel.backward(
        saved,
        layout.parameter(beta),
        layout.parameter(threshold),
        rule,
        layout.gradient(upstream[0]),
        layout.gradient(upstream[1]),
        any(wanted),
    )
    return (
        layout.shaped(d_current),
        layout.summed(d_beta, beta) if wanted[0] else None,
        layout.summed(d_threshold, threshold) if wanted[1] else None,
    )


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        beta: Tensor,
        threshold: Tensor,
        rule: Rule,
        return_potential: bool,
        kernel: Kernel,
    ) -> tuple[Tensor, Tensor | None]:
        layout = Layout.of(current.shape, current.stride())
        learns = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        spikes, potential, saved = forward(
            kernel, layout, current, beta, threshold, rule, return_potential, learns
        )
        ctx.save_for_backward(beta, threshold, *saved)
        ctx.layout, ctx.rule, ctx.kernel = layout, rule, kernel
        ctx.set_materialize_grads(False)
        return spikes, potential

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_spikes: Tensor | None, d_potential: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        beta, threshold, *saved = ctx.saved_tensors
        gradients = backward(
            ctx.kernel,
            ctx.layout,
            tuple(saved),
            beta,
            threshold,
            ctx.rule,
            (d_spikes, d_potential),
            ctx.needs_input_grad[1:3],
        )
        return (*gradients, None, None, None)
