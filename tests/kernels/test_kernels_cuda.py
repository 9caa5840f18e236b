"""The Triton kernels against the reference: on a GPU if there is one, and in the interpreter.

Triton decides when it is imported whether it interprets. So the tests below run in a process of
their own, which the last one starts with ``TRITON_INTERPRET=1``; on a GPU they run here as well.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from snnbd_core.kernels import RESETS, SURROGATES, UPDATES, Rule, choice, fused, reference

triton = pytest.importorskip("triton", reason="Triton is not installed")

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
runs_kernels = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(),
    reason="no GPU; the interpreter's test below runs these in a process of its own",
)

RULES = [
    Rule(reset, update, surrogate, 1.7, detach, decay)
    for (reset, update), surrogate, (detach, decay) in itertools.product(
        itertools.product(RESETS, UPDATES),
        SURROGATES,
        ((True, False), (False, False), (False, True)),
    )
]


@pytest.fixture(scope="module")
def cuda():
    from snnbd_core.kernels import cuda

    return cuda


def random_inputs(shape, dtype, beta_shape=(), threshold_shape=()):
    draw = torch.Generator().manual_seed(4)
    current = 1.5 * torch.randn(shape, dtype=torch.float64, generator=draw)
    beta = torch.rand(beta_shape, dtype=torch.float64, generator=draw)
    threshold = 0.2 + torch.rand(threshold_shape, dtype=torch.float64, generator=draw)
    return current.to(DEVICE, dtype), beta.to(DEVICE), threshold.to(DEVICE)


def outputs_and_gradients(step, inputs, wanted=(0, 1)):
    """Spikes and potential, and the gradients of the inputs through those wanted."""
    inputs = [value.detach().clone().requires_grad_() for value in inputs]
    outputs = step(*inputs)
    draw = torch.Generator().manual_seed(5)
    upstream = [torch.randn(out.shape, generator=draw).to(out) for out in outputs]
    gradients = torch.autograd.grad(
        [outputs[i] for i in wanted], inputs, [upstream[i] for i in wanted], allow_unused=True
    )
    gradients = [
        torch.zeros_like(i) if g is None else g for g, i in zip(gradients, inputs, strict=True)
    ]
    return [out.detach() for out in outputs], gradients


def assert_same(cuda, inputs, rule, rtol, atol, wanted=(0, 1), equal_nan=False):
    ours, ours_grad = outputs_and_gradients(
        lambda *values: fused.step(cuda, *values, rule, True), inputs, wanted
    )
    expected, expected_grad = outputs_and_gradients(
        lambda *values: reference.step(*values, rule), inputs, wanted
    )
    torch.testing.assert_close(ours, expected, rtol=0, atol=0, equal_nan=equal_nan)
    torch.testing.assert_close(ours_grad, expected_grad, rtol=rtol, atol=atol, equal_nan=equal_nan)


@runs_kernels
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_rule_gives_the_references_values_and_gradients(cuda, rule):
    for beta_shape, threshold_shape in (((), (3, 1)), ((50,), (3, 50))):
        inputs = random_inputs((5, 3, 50), torch.float64, beta_shape, threshold_shape)
        assert_same(cuda, inputs, rule, 1e-9, 1e-12)


@runs_kernels
@pytest.mark.parametrize("wanted", [(0,), (1,)], ids=["spikes only", "potential only"])
@pytest.mark.parametrize("update", UPDATES)
def test_gradients_through_one_output_alone(cuda, update, wanted):
    inputs = random_inputs((5, 3, 50), torch.float64)
    assert_same(cuda, inputs, Rule("zero", update, detach=False), 1e-9, 1e-12, wanted)


@runs_kernels
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("reset", RESETS)
def test_float32_gives_the_references_bits(cuda, reset, update):
    inputs = [value.float() for value in random_inputs((9, 3, 200), torch.float32)]
    assert_same(cuda, inputs, Rule(reset, update), 1e-4, 1e-5)


@runs_kernels
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_fires_as_float32_does_and_its_gradient_is_close(cuda, dtype):
    current, beta, threshold = random_inputs((9, 3, 200), dtype)
    beta, threshold = beta.float(), threshold.float()
    rule = Rule()
    half = current.clone().requires_grad_()
    whole = current.float().requires_grad_()
    spikes, _ = fused.step(cuda, half, beta, threshold, rule, False)
    expected, _ = reference.step(whole, beta, threshold, rule)
    assert spikes.dtype == dtype
    assert torch.equal(spikes.float(), expected)
    upstream = torch.randn(spikes.shape, generator=torch.Generator().manual_seed(6)).to(half)
    (gradient,) = torch.autograd.grad(spikes, half, upstream)
    (expected_gradient,) = torch.autograd.grad(expected, whole, upstream.float())
    unit = torch.finfo(dtype).eps
    torch.testing.assert_close(gradient.float(), expected_gradient, rtol=4 * unit, atol=4 * unit)


@runs_kernels
def test_a_distance_too_small_for_float16_keeps_its_sign(cuda):
    threshold = torch.tensor([np.nextafter(np.float32(0.125), np.float32(0))], device=DEVICE)
    current = torch.full((1, 10), 0.125, dtype=torch.float16, device=DEVICE)
    spikes, _, (distance,) = cuda.forward(
        current, torch.ones_like(threshold), threshold, Rule(), False, False
    )
    assert (spikes == 1).all()
    assert (distance > 0).all()


@runs_kernels
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # NumPy's, interpreting
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("reset", RESETS)
def test_nan_and_infinity_travel_as_in_the_reference(cuda, reset, update):
    current, beta, threshold = random_inputs((8, 2, 64), torch.float64, (64,), (64,))
    current[2, 0, 3] = torch.nan
    current[3, 1, 20] = torch.inf
    current[4, 0, 40] = -torch.inf
    rule = Rule(reset, update, detach=False)
    assert_same(cuda, (current, beta, threshold), rule, 1e-9, 1e-12, equal_nan=True)


@runs_kernels
def test_a_current_repeated_in_time_is_stepped_in_place(cuda):
    current, beta, threshold = random_inputs((1, 3, 50), torch.float64)
    assert_same(cuda, (current.expand(6, -1, -1), beta, threshold), Rule(), 1e-9, 1e-12)


@runs_kernels
def test_large_layers_take_wide_blocks_and_step_the_same(cuda, monkeypatch):
    monkeypatch.setattr(cuda, "MANY_NEURONS", 1000)
    assert_same(cuda, random_inputs((4, 3, 700), torch.float64), Rule(), 1e-9, 1e-12)


@runs_kernels
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("decay", [True, False])
@pytest.mark.parametrize("learns", [True, False])
def test_the_operator_keeps_what_these_kernels_need(cuda, monkeypatch, decay, learns):
    monkeypatch.setattr(choice, "chosen", lambda name, device: "cuda")
    current, beta, threshold = random_inputs((4, 3, 5, 6, 6), torch.float32, (5, 1, 1))
    image = current.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    for layout in (current, image, current[:1].expand(4, -1, -1, -1, -1)):
        leaves = [layout.detach().requires_grad_(), beta.float().requires_grad_(learns)]
        rule = (None, "zero", "snntorch", "atan", 2.0, True, decay)
        torch.library.opcheck(
            torch.ops.snnbd.step.default,
            (*leaves, threshold.float(), *rule, not learns, [learns, False]),
        )


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is the process it starts")
def test_the_kernels_pass_these_tests_in_tritons_interpreter():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="the interpreter does not compile")
@pytest.mark.parametrize("io", ["fp32", "bf16", "fp16", "fp64"])
@pytest.mark.parametrize("kernel", ["_forward", "_backward"])
def test_the_kernels_compile_for_a_gpu_that_is_not_there(cuda, kernel, io, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    function = getattr(cuda, kernel)
    state = "fp64" if io == "fp64" else "fp32"
    types = dict.fromkeys(("steps", "neurons", "stride"), "i32")
    types |= dict.fromkeys(("beta", "threshold", "d_beta", "d_threshold"), f"*{state}")
    constants = {
        "ONE_BETA": True,
        "ONE_THRESHOLD": False,
        "HARD": False,
        "SOFT": True,
        "INSTANT": True,
        "DECAY": True,
        "BLOCK": 1024,
        "POTENTIAL": True,
        "NUDGE": 2.0**-24,
        "SURROGATE": "atan",
        "K": 2.0,
        "STEEPNESS": 3.14,
        "ATTACHED": True,
        "LEARNS": True,
        "FROM_SPIKES": True,
        "FROM_POTENTIAL": True,
    }
    constants = {name: value for name, value in constants.items() if name in function.arg_names}
    signature = {
        name: "constexpr" if name in constants else types.get(name, f"*{io}")
        for name in function.arg_names
    }
    aligned = {
        (i,): [["tt.divisibility", 16]]
        for i, name in enumerate(function.arg_names)
        if name not in constants and name != "steps"
    }
    source = triton.compiler.ASTSource(function, signature, constants, aligned)
    target = triton.backends.compiler.GPUTarget("cuda", 90, 32)
    compiled = triton.compile(source, target=target, options=cuda.ROUNDING)
    assert ".target sm_90" in compiled.asm["ptx"]
    # What has a row for each step is moved several values at a time; a single beta is not.
    moved = re.findall(r"(?:ld|st)\.global\S*", compiled.asm["ptx"])
    assert len([one for one in moved if ".v" not in one]) == 1
