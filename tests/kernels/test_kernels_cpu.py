"""The compiled CPU kernel against the reference, and its behaviour where it is called."""

from __future__ import annotations

import _thread
import ctypes
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from snnbd_core import kernels
from snnbd_core.kernels import RESETS, SURROGATES, UPDATES, Rule

pytest.importorskip("numba")
from snnbd_core.kernels import choice, cpu, machine_code, threads

RULES = [
    Rule(reset, update, surrogate, 1.7, detach, decay)
    for reset, update, surrogate, detach, decay in itertools.product(
        RESETS, UPDATES, SURROGATES, (True, False), (True, False)
    )
]


def random_inputs(shape, dtype=torch.float32, seed=0, beta_shape=(), threshold_shape=()):
    draw = torch.Generator().manual_seed(seed)
    current = 1.5 * torch.randn(shape, dtype=dtype, generator=draw)
    beta = torch.rand(beta_shape, dtype=dtype, generator=draw)
    threshold = 0.2 + torch.rand(threshold_shape, dtype=dtype, generator=draw)
    return current, beta, threshold


def outputs_and_gradients(kernel, inputs, rule, return_potential=True):
    """Spikes, potential and the gradients of current, beta and threshold."""
    inputs = [value.detach().clone().requires_grad_() for value in inputs]
    spikes, potential = kernels.step(
        *inputs, rule, return_potential=return_potential, kernel=kernel
    )
    draw = torch.Generator().manual_seed(99)
    outputs = [spikes] if potential is None else [spikes, potential]
    upstream = [torch.randn(out.shape, dtype=out.dtype, generator=draw) for out in outputs]
    gradients = torch.autograd.grad(outputs, inputs, upstream, allow_unused=True)
    gradients = [
        torch.zeros_like(value) if gradient is None else gradient
        for gradient, value in zip(gradients, inputs, strict=True)
    ]
    return spikes.detach(), None if potential is None else potential.detach(), gradients


def assert_same(inputs, rule, return_potential=True, rtol=1e-5, atol=1e-9, equal_nan=False):
    ours = outputs_and_gradients("cpu", inputs, rule, return_potential)
    expected = outputs_and_gradients("reference", inputs, rule, return_potential)
    bits = {"rtol": 0, "atol": 0, "equal_nan": equal_nan}
    torch.testing.assert_close(ours[0], expected[0], **bits)
    if return_potential:
        torch.testing.assert_close(ours[1], expected[1], **bits)
    for ours_grad, expected_grad in zip(ours[2], expected[2], strict=True):
        torch.testing.assert_close(
            ours_grad, expected_grad, rtol=rtol, atol=atol, equal_nan=equal_nan
        )


@pytest.mark.parametrize("return_potential", [True, False])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_rule_gives_the_references_values_and_gradients(rule, return_potential):
    shapes = (((), ()), ((3, 1), (3, 1)), ((40,), (3, 40)), ((1, 1), (40,)))
    for beta_shape, threshold_shape in shapes:
        inputs = random_inputs((7, 3, 40), torch.float64, 1, beta_shape, threshold_shape)
        assert_same(inputs, rule, return_potential)


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("reset", RESETS)
def test_float32_spikes_and_potentials_have_the_references_bits(reset, update):
    # Large enough that vector code, its remainder and several blocks and threads all take part.
    current, beta, threshold = random_inputs((16, 5, 4099), beta_shape=(4099,))
    for decay in (True, False):
        rule = Rule(reset, update, decay_input=decay)
        ours = kernels.step(current, beta, threshold, rule, kernel="cpu")
        expected = kernels.step(current, beta, threshold, rule, kernel="reference")
        assert all(map(torch.equal, ours, expected))
        assert 0.05 < ours[0].mean() < 0.5


@settings(max_examples=60, deadline=None)
@given(
    rule=st.sampled_from(RULES),
    shape=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    neurons=st.sampled_from([1, 2, 17, 300]),
    seed=st.integers(0, 1000),
    per_neuron=st.booleans(),
)
def test_any_shape_and_hyper_parameters_agree_with_the_reference(
    rule, shape, neurons, seed, per_neuron
):
    shape = (*shape, neurons)
    sizes = shape[1:] if per_neuron else ()
    assert_same(random_inputs(shape, torch.float64, seed, sizes, sizes), rule)


@pytest.mark.parametrize(
    "arrange",
    [
        lambda x: x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
        lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
        lambda x: x.repeat_interleave(2, -1)[..., ::2],
        lambda x: x[:1].expand(6, -1, -1, -1, -1),
        lambda x: x[:, :1].expand(-1, 4, -1, -1, -1),
        lambda x: x.flip(0),
        lambda x: x[:1, :1, :1, :1, :1].expand(6, 4, 3, 5, 2),
        lambda x: x.repeat_interleave(2, -1)[:1, ..., ::2].expand(6, -1, -1, -1, -1),
    ],
    ids=[
        "channels last",
        "batch first",
        "strided",
        "repeated in time",
        "one sample",
        "reversed",
        "one number",
        "strided and repeated",
    ],
)
def test_a_current_of_any_memory_layout_is_stepped_as_the_reference_does(arrange):
    current, beta, threshold = random_inputs(
        (6, 4, 3, 5, 2), torch.float64, 2, (3, 1, 1), (4, 1, 1, 1)
    )
    current = arrange(current)
    results = []
    for kernel in ("cpu", "reference"):
        leaf = current.detach().requires_grad_()
        spikes, potential = kernels.step(leaf, beta, threshold, Rule(), kernel=kernel)
        (gradient,) = torch.autograd.grad(spikes.sum() + potential.square().sum(), leaf)
        results.append((spikes, potential, gradient))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_channels_last_currents_give_channels_last_spikes_without_a_copy():
    image = torch.randn(2 * 3, 4, 5, 5).to(memory_format=torch.channels_last)
    spikes, _ = kernels.step(
        image.view(2, 3, 4, 5, 5), torch.tensor(0.5), torch.tensor(1.0), Rule(), kernel="cpu"
    )
    assert spikes.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(5, 0, 4), (5, 3, 0)])
def test_an_empty_current_gives_empty_outputs_and_gradients(shape):
    inputs = random_inputs(shape)
    spikes, potential, gradients = outputs_and_gradients("cpu", inputs, Rule())
    assert spikes.shape == potential.shape == gradients[0].shape == shape
    assert gradients[1] == gradients[2] == 0


def test_no_steps_give_no_spikes():
    spikes, potential = kernels.step(*random_inputs((0, 3, 4)), Rule(), kernel="cpu")
    assert spikes.shape == potential.shape == (0, 3, 4)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("detach", [True, False])
def test_nan_and_infinity_travel_as_in_the_reference(reset, update, surrogate, detach):
    current, beta, threshold = random_inputs((8, 2, 64), torch.float64, 3, (64,), (64,))
    current[2, 0, 3] = torch.nan
    current[3, 1, 20] = torch.inf
    current[4, 0, 40] = -torch.inf
    threshold[50] = -0.1  # what a learned threshold may become
    rule = Rule(reset, update, surrogate, 2.0, detach)
    assert_same((current, beta, threshold), rule, equal_nan=True)


def test_half_precision_is_integrated_in_float32_and_returned_in_its_own_dtype():
    current, beta, threshold = random_inputs((5, 3, 20))
    for dtype in (torch.bfloat16, torch.float16):
        half = current.to(dtype)
        ours = kernels.step(half, beta, threshold, Rule(), kernel="cpu")
        expected = kernels.step(half.float(), beta, threshold, Rule(), kernel="reference")
        assert torch.equal(ours[0], expected[0].to(dtype)) and ours[0].dtype == dtype
        assert torch.equal(ours[1], expected[1].to(dtype))


MARGIN = 4096  # numbers before and after an array, a multiple of a cache line


def guarded(rows, neurons, poison):
    """An array between margins, and the memory it lies in."""
    memory = torch.full((rows * neurons + 2 * MARGIN,), poison)
    return memory, memory[MARGIN:-MARGIN].view(rows, neurons)


@pytest.mark.parametrize("neurons", [300, 320])
@pytest.mark.parametrize("past", [True, False])
def test_nothing_outside_the_arrays_is_written_or_read(monkeypatch, neurons, past):
    # Blocks of 64: the last one is not full, and 300 neurons do not fill their last line.
    monkeypatch.setattr(cpu, "BLOCK_SIZES", (64, 64))
    monkeypatch.setattr(cpu, "LARGE", 0 if past else 2**60)
    steps, poison, rule = 5, 123.0, Rule(detach=False)
    _, current = guarded(steps, neurons, torch.nan)
    current.copy_(random_inputs((steps, neurons))[0])
    _, parameters = guarded(2, neurons, torch.nan)
    beta, threshold = parameters.copy_(0.2 + 0.5 * torch.rand(2, neurons))
    kept, written = zip(*(guarded(steps, neurons, poison) for _ in range(3)), strict=True)
    kept_sums, sums = zip(*(guarded(1, neurons, poison) for _ in range(2)), strict=True)
    spikes, potential, d_current = written
    assert cpu._past(spikes, neurons) == (past and neurons == 320)
    inputs = (current, beta, threshold, rule)
    rows = machine_code.FORWARD_ROWS
    cpu._run("forward", rows, *inputs, spikes, potential=potential)
    d_beta, d_threshold = (one[0] for one in sums)
    cpu._run(
        "backward",
        steps + machine_code.BACKWARD_ROWS,
        *inputs,
        d_current,
        d_spikes=current,
        d_beta=d_beta,
        d_threshold=d_threshold,
    )
    for memory, array in zip((*kept, *kept_sums), (*written, *sums), strict=True):
        assert torch.isfinite(array).all() and not (array == poison).any()
        array.fill_(poison)
        assert (memory == poison).all()


@pytest.mark.parametrize("past", [True, False])
def test_large_outputs_are_written_past_the_cache_with_the_same_bits(monkeypatch, past):
    # One beside the other: a layer whose rows are whole lines, and one whose rows are not.
    monkeypatch.setattr(cpu, "LARGE", 0 if past else 2**60)
    asked = []
    run = cpu.threads.run

    def noting(work, arguments, workers, held):
        asked.append(arguments.past)
        run(work, arguments, workers, held)

    monkeypatch.setattr(cpu.threads, "run", noting)
    for neurons in (4096, 4099):
        inputs = random_inputs((16, 5, neurons), beta_shape=(neurons,))
        assert_same(inputs, Rule(), rtol=1e-4, atol=1e-4)
        assert set(asked) == {past and neurons == 4096}
        asked.clear()


def test_backward_keeps_the_current_and_nothing_else_of_its_size():
    current = torch.randn(8, 4, 1000, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        kernels.step(
            current,
            torch.tensor(0.9),
            torch.tensor(1.0),
            Rule(),
            return_potential=False,
            kernel="cpu",
        )
    large = [tensor for tensor in kept if tensor.numel() > 1]
    assert [tensor.data_ptr() for tensor in large] == [current.data_ptr()]


def test_a_current_changed_before_backward_is_an_error_not_a_wrong_gradient():
    leaf = torch.randn(4, 2, 3, requires_grad=True)
    current = leaf * 1
    spikes, _ = kernels.step(current, torch.tensor(0.9), torch.tensor(1.0), Rule(), kernel="cpu")
    current.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        spikes.sum().backward()


def test_a_second_derivative_is_refused():
    current = torch.randn(4, 2, 3, requires_grad=True)
    spikes, _ = kernels.step(current, torch.tensor(0.9), torch.tensor(1.0), Rule(), kernel="cpu")
    (gradient,) = torch.autograd.grad(spikes.square().sum(), current, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


# Where it is called: threads, forks, interrupts.


@pytest.fixture
def two_threads():
    """As many torch threads as make the kernel share its work, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def large_step(seed=0, kernel="cpu"):
    inputs = random_inputs((16, 8, 4000), seed=seed)
    spikes, _, gradients = outputs_and_gradients(kernel, inputs, Rule())
    return spikes, gradients[0]


@pytest.fixture(params=["torch's team", "Python threads"])
def kind_of_threads(request, monkeypatch):
    if request.param == "Python threads":
        monkeypatch.setattr(threads, "_team", lambda: None)
    elif threads._team() is None:
        pytest.skip("this torch has no OpenMP library with GOMP_parallel")
    return request.param


def test_work_is_shared_with_a_second_thread(kind_of_threads):
    seen = set()
    barrier = threading.Barrier(2, timeout=10)

    @threads._WORK
    def work(address):
        seen.add(threading.get_ident())
        barrier.wait()

    threads.run(ctypes.cast(work, ctypes.c_void_p).value, machine_code.Arguments(), 2, None)
    assert len(seen) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch may have another OpenMP")
def test_layers_are_stepped_by_torchs_own_threads(two_threads):
    done = subprocess.run(
        [sys.executable, "-c", OWN_THREADS], check=True, capture_output=True, text=True
    )
    names, before, after = map(json.loads, done.stdout.splitlines())
    assert len(before) >= 3 and after == before  # the same threads, none ended and made anew
    assert not any("snnbd-neurons" in name for name in names)


OWN_THREADS = """
import json, os, threading
import torch
from snnbd_core import kernels
def tasks():
    return sorted(map(int, os.listdir("/proc/self/task")))
torch.set_num_threads(3)
# The compiler brings libraries with threads of their own, which are there after the first step.
kernels.step(torch.randn(2, 16), torch.tensor(0.9), torch.tensor(1.0), kernels.Rule())
torch.ones(10**6).add_(1)  # torch has its threads now
before = tasks()
for size in (3000, 300_000):  # blocks for one thread, and for more than there are
    kernels.step(torch.randn(32, size), torch.tensor(0.9), torch.tensor(1.0), kernels.Rule())
    kernels.step(torch.randn(32, 2 * 2048), torch.tensor(0.9), torch.tensor(1.0), kernels.Rule())
    torch.ones(10**6).add_(1)
print(json.dumps([thread.name for thread in threading.enumerate()]))
print(json.dumps(before))
print(json.dumps(tasks()))
"""

# The kernel is first used in a child, of a parent whose torch had threads.
FORKED = """
import os
import torch
import snnbd_core
from snnbd_core import kernels
torch.set_num_threads(2)
torch.ones(10**6).add_(1)
current = torch.randn(16, 100_000)
child = os.fork()
if child == 0:
    kernels.step(current, torch.tensor(0.9), torch.tensor(1.0), kernels.Rule())
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_may_be_the_first_to_step():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == ["0"]


def test_as_many_threads_as_one_likes_give_the_same_bits(kind_of_threads):
    before = torch.get_num_threads()
    expected = large_step(kernel="reference")
    try:
        for count in (1, 2, 3, 5):
            torch.set_num_threads(count)
            spikes, gradient = large_step()
            assert torch.equal(spikes, expected[0])
            torch.testing.assert_close(gradient, expected[1], rtol=1e-4, atol=1e-4)
    finally:
        torch.set_num_threads(before)


def test_several_python_threads_may_step_at_once(two_threads, kind_of_threads):
    expected = [large_step(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as callers:
        for _ in range(5):
            for ours, theirs in zip(callers.map(large_step, range(4)), expected, strict=True):
                assert all(map(torch.equal, ours, theirs))


@pytest.mark.filterwarnings("ignore")  # distributed's own, about ports and open sockets
def test_a_dask_worker_with_one_thread_steps_as_the_main_thread_does(two_threads):
    distributed = pytest.importorskip("distributed")
    expected = large_step()
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        ours = client.submit(large_step, pure=False).result(timeout=60)
    assert all(map(torch.equal, ours, expected))


class _Stepped(Dataset):
    """A data set whose samples are spikes, so that a loader's worker must step neurons."""

    def __init__(self, threads):
        self.threads = threads

    def __len__(self):
        return 3

    def __getitem__(self, index):
        inputs = random_inputs((16, 8, 4000), seed=index)
        torch.set_num_threads(self.threads)
        try:
            return kernels.step(*inputs, Rule(), kernel="cpu")[0]
        finally:
            torch.set_num_threads(1)  # what loaders set: torch's own threads do not survive a fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("in_worker", [1, 2])
def test_a_forked_loader_worker_steps_too(two_threads, kind_of_threads, in_worker):
    # The fork inherits a team, or a pool, without threads.
    expected = [large_step(seed)[0] for seed in range(3)]
    loader = DataLoader(
        _Stepped(in_worker),
        batch_size=None,
        num_workers=1,
        multiprocessing_context="fork",
        timeout=60,
    )
    assert all(map(torch.equal, loader, expected))


def interrupted(seconds=10):
    """Whether an interrupt stops the stepping."""
    timer = threading.Timer(0.3, _thread.interrupt_main)  # what a notebook's stop button does
    end = time.monotonic() + seconds
    try:
        timer.start()
        while time.monotonic() < end:
            large_step()
    except KeyboardInterrupt:
        return True
    finally:
        timer.join()
    return False


def test_after_an_interrupt_the_kernel_steps_on(two_threads, kind_of_threads):
    expected = large_step()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    try:
        assert interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert all(map(torch.equal, large_step(), expected))


# The dispatcher.


@pytest.fixture
def named(monkeypatch):
    """Names a kernel for the process, as SNNBD_KERNEL does before the first step."""

    def name(kernel):
        monkeypatch.setenv("SNNBD_KERNEL", kernel)
        choice.default.cache_clear()

    yield name
    choice.default.cache_clear()


def test_auto_takes_the_compiled_kernel_on_the_cpu(monkeypatch, named):
    named("auto")
    calls = []
    original = cpu.forward
    monkeypatch.setattr(cpu, "forward", lambda *a: calls.append(1) or original(*a))
    current, beta, threshold = random_inputs((2, 3, 20))
    kernels.step(current, beta, threshold, Rule())
    assert calls == [1]
    named("reference")
    kernels.step(current, beta, threshold, Rule())
    assert calls == [1]


def test_without_numba_the_reference_runs_and_says_so_once(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named 'numba' ({name})")

    monkeypatch.setattr(choice.importlib, "import_module", missing)
    choice.available.cache_clear()
    choice.module.cache_clear()
    inputs = random_inputs((2, 3, 4))
    try:
        with pytest.warns(RuntimeWarning, match="numba is not available") as said:
            ours = [kernels.step(*inputs, Rule(), kernel="auto") for _ in range(3)]
        with pytest.raises(ImportError, match="numba"):
            kernels.step(*inputs, Rule(), kernel="cpu")
    finally:
        choice.available.cache_clear()
    assert len(said) == 1
    assert torch.equal(ours[2][0], kernels.step(*inputs, Rule(), kernel="reference")[0])


def test_an_unknown_kernel_or_one_of_another_device_is_refused(named):
    inputs = random_inputs((2, 3, 4))
    with pytest.raises(ValueError, match="kernel='gpu' is unknown; allowed: auto, cpu"):
        kernels.step(*inputs, Rule(), kernel="gpu")
    named("cuda")
    with pytest.raises(ValueError, match="kernel='cuda' does not run on 'cpu'"):
        kernels.step(*inputs, Rule())
