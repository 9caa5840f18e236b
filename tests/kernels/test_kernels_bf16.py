"""The CPU kernel on bfloat16: the bits of float32, rounded once, without a conversion."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from snnbd_core import kernels
from snnbd_core.kernels import RESETS, SURROGATES, UPDATES, Rule

pytest.importorskip("numba")
import numba

from snnbd_core.kernels import cpu
from snnbd_core.kernels.lanes import fill, load, rounded, store
from snnbd_core.kernels.machine_code import LINE

RULES = [
    Rule(reset, update, surrogate, 1.7, detach, decay)
    for reset, update, surrogate, detach, decay in itertools.product(
        RESETS, UPDATES, SURROGATES, (True, False), (True, False)
    )
]


def drawn(shape, seed=0, spread=1.5):
    draw = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(shape, generator=draw)).to(torch.bfloat16)


def outputs_and_gradients(current: Tensor, beta: Tensor, threshold: Tensor, rule: Rule):
    """Spikes and potential, and their gradients, all in bfloat16 as the current was given."""
    given = current.dtype
    inputs = [value.detach().clone().requires_grad_() for value in (current, beta, threshold)]
    outputs = kernels.step(*inputs, rule, kernel="cpu")
    upstream = [drawn(current.shape, 9), drawn(current.shape, 10)]
    gradients = torch.autograd.grad(outputs, inputs, [one.to(given) for one in upstream])
    halves = [one.to(torch.bfloat16) for one in (*outputs, gradients[0])]
    return [*halves, *gradients[1:]]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_rule_gives_what_float32_gives_rounded(rule):
    for neurons, each in ((1, False), (17, True), (300, True), (4099, False)):
        shape = (7, 3, neurons)
        parameter = shape[1:] if each else ()
        beta = torch.rand(parameter, generator=torch.Generator().manual_seed(1))
        threshold = 0.2 + torch.rand(parameter, generator=torch.Generator().manual_seed(2))
        current = drawn(shape)
        ours = outputs_and_gradients(current, beta, threshold, rule)
        expected = outputs_and_gradients(current.float(), beta, threshold, rule)
        assert all(map(torch.equal, ours, expected))
        assert ours[3].dtype == torch.float32  # beta's gradient, and its state


@pytest.mark.parametrize(
    "arrange",
    [
        lambda x: x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
        lambda x: x[:1].expand(6, -1, -1, -1, -1),
        lambda x: x.repeat_interleave(2, -1)[..., ::2],
    ],
    ids=["channels last", "repeated in time", "strided"],
)
def test_any_memory_layout_is_stepped_the_same(arrange):
    current = arrange(drawn((6, 4, 3, 5, 8)))
    beta, threshold = torch.tensor(0.7), torch.tensor(0.9)
    ours = outputs_and_gradients(current, beta, threshold, Rule())
    expected = outputs_and_gradients(current.float(), beta, threshold, Rule())
    assert all(map(torch.equal, ours, expected))


@pytest.mark.parametrize("large", [0, 2**60], ids=["past the cache", "through it"])
def test_a_layer_of_several_blocks_and_threads_has_the_same_bits(monkeypatch, large):
    monkeypatch.setattr(cpu, "LARGE", large)
    current = drawn((5, 4, 4096))
    ours = outputs_and_gradients(current, torch.tensor(0.7), torch.tensor(0.9), Rule())
    expected = outputs_and_gradients(current.float(), torch.tensor(0.7), torch.tensor(0.9), Rule())
    assert all(map(torch.equal, ours, expected))


def test_neither_current_nor_spikes_are_converted(monkeypatch):
    current, beta, threshold = drawn((5, 4, 64)).requires_grad_(), torch.tensor(0.7), torch.ones(())

    def refuse(self, *given, **named):
        raise AssertionError(f"converted: {given}, {named}")

    monkeypatch.setattr(Tensor, "to", refuse)
    spikes, _ = kernels.step(current, beta, threshold, Rule(), return_potential=False, kernel="cpu")
    (gradient,) = torch.autograd.grad(spikes, current, torch.ones_like(spikes))
    assert spikes.dtype == gradient.dtype == torch.bfloat16


def test_numbers_are_rounded_as_torch_rounds_them():
    line = LINE // 2

    @numba.njit(error_model="numpy")
    def run(numbers, halves):
        for i in range(0, len(numbers), line):
            store(halves, i, rounded(load(numbers, i, fill(np.float32(0), line)), halves))

    draw = torch.Generator().manual_seed(3)
    bits = torch.randint(-(2**31), 2**31, (2**16,), generator=draw).to(torch.int32)
    bits[: 2**15] &= ~0x7FFF  # half of them lie in the middle of two bfloat16 or are one
    bits[:3] = torch.tensor([0x7F800001, 0x7FFFFFFF, -1])  # NaN in the lower half alone, and all
    numbers = bits.view(torch.float32)
    halves = torch.empty(2**16, dtype=torch.bfloat16)
    run(numbers.numpy(), halves.view(torch.uint16).numpy())
    expected = numbers.to(torch.bfloat16)
    torch.testing.assert_close(halves, expected, rtol=0, atol=0, equal_nan=True)
    here = ~expected.isnan()
    assert torch.equal(halves.signbit()[here], expected.signbit()[here])
