"""Vectors as numbers: the same results as numpy's, number by number."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest
import torch

pytest.importorskip("numba")
import numba

from snnbd_core.kernels.lanes import (
    count,
    counted,
    fence,
    fetch,
    fill,
    load,
    select,
    spread,
    store,
    store_past,
)
from snnbd_core.kernels.machine_code import LINE

TYPES = [np.float32, np.float64]
_COUNTERS = ctypes.POINTER(ctypes.c_int64)


def numbers(size, number, seed=0):
    """Random numbers with some that are special, in memory that begins at a cache line."""
    values = torch.randn(size, generator=torch.Generator().manual_seed(seed)).numpy()
    values = torch.from_numpy(values.astype(number)).clone().numpy()
    values[[1, 5, 9, 13]] = np.nan, np.inf, -np.inf, -0.0
    assert values.ctypes.data % LINE == 0
    return values


def loop(operation, number):
    """Compiles a loop that applies an operation of two numbers, a line at once."""
    line = LINE // np.dtype(number).itemsize
    operation = numba.njit(operation, error_model="numpy")

    @numba.njit(error_model="numpy")
    def run(a, b, out):
        like = fill(number(0), line)
        for i in range(0, len(out), count(like)):
            store(out, i, operation(load(a, i, like), load(b, i, like)))

    return run


@pytest.mark.parametrize("number", TYPES)
@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda a, b: a + b, np.add),
        (lambda a, b: a - b, np.subtract),
        (lambda a, b: a * b, np.multiply),
        (lambda a, b: a / b, np.divide),
        (lambda a, b: abs(a) - b, lambda a, b: np.abs(a) - b),
        (lambda a, b: select(a < b, a, b), lambda a, b: np.where(a < b, a, b)),
        (lambda a, b: select(a <= b, a, b), lambda a, b: np.where(a <= b, a, b)),
        (lambda a, b: select(a > b, a, b), lambda a, b: np.where(a > b, a, b)),
        (lambda a, b: select(a >= b, a, b), lambda a, b: np.where(a >= b, a, b)),
    ],
)
@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")  # numpy on inf - inf
def test_lanes_compute_as_numpy_does_also_with_nan_and_infinity(operation, expected, number):
    a, b = numbers(64, number), numbers(64, number, seed=1)[::-1].copy()
    a[20] = b[20]
    out = np.empty(64, number)
    loop(operation, number)(a, b, out)
    np.testing.assert_array_equal(out, expected(a, b))
    assert np.array_equal(np.signbit(out), np.signbit(expected(a, b)))


@pytest.mark.parametrize("number", TYPES)
def test_a_number_spreads_to_as_many_lanes_as_another_value_has(number):
    line = LINE // np.dtype(number).itemsize

    @numba.njit
    def run(out, value):
        like = fill(number(0), line)
        store(out, 0, spread(value, like))
        return count(like)

    out = np.zeros(2 * line, number)
    assert run(out, number(3)) == line
    assert out.tolist() == [3] * line + [0] * line


@pytest.mark.parametrize("number", TYPES)
def test_what_is_written_past_the_cache_is_what_was_to_be_written(number):
    line = LINE // np.dtype(number).itemsize

    @numba.njit
    def run(a, out):
        like = fill(number(0), line)
        for i in range(0, len(a), line):
            fetch(a, i + 10 * line)  # past the end, too
            store_past(out, i, load(a, i, like))
        fence()

    a = numbers(1024, number)
    out = numbers(1024, number, seed=1)
    run(a, out)
    np.testing.assert_array_equal(out, a)


def test_stores_past_the_cache_are_that_in_machine_code():
    @numba.njit
    def run(a):
        store_past(a, 0, fill(np.float32(1), 16))

    run(numbers(16, np.float32))
    (code,) = run.inspect_llvm().values()
    assert "!nontemporal" in code


def test_a_counter_gives_each_number_to_one_thread_only():
    signature = numba.types.void(numba.types.CPointer(numba.types.int64))

    @numba.cfunc(signature)
    def count_up(address):
        counters = numba.carray(address, 10_002)
        while True:
            mine = counted(address, 1)
            if mine >= 10_000:
                break
            counters[2 + mine] += 1

    counters = np.zeros(10_002, np.int64)
    work = [
        threading.Thread(target=count_up.ctypes, args=(counters.ctypes.data_as(_COUNTERS),))
        for _ in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert counters[0] == 0
    assert (counters[2:] == 1).all()
    assert counters[1] == 10_004  # each of the four was told once that none is left
