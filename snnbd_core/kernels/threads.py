"""Runs a compiled function in several threads at once: in torch's own team, where it has one.

torch's CPU build computes with OpenMP. Its threads wait busily for a while after each operation,
so threads of anybody else find the cores taken: on two cores, a layer that followed an operation
of torch's ran no faster in two Python threads than in one. OpenMP's ``GOMP_parallel``, which
GCC's library and LLVM's both have, hands the work to those very threads. It is taken from the
library that this torch has loaded.

Where it is missing (Windows), and in a forked child, whose team did not survive the fork, Python
threads do the same. numba's own layers do not fit here: ``workqueue`` aborts the process when two
threads call at once, ``omp`` aborts a forked child, ``tbb`` is another package.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)  # a call gives up the GIL

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_forked = False


def run(work: int, arguments: ctypes.Structure, threads: int, held: object) -> None:
    """Calls a C function in up to ``threads`` threads, the caller's among them; waits for all.

    Args:
        work: address of a ``void (*)(void *)`` that shares its work out by itself, so that any
            number of threads may do it.
        arguments: passed to it by address.
        threads: at most so many; 1 is a plain call.
        held: what owns the memory that is worked on. After a KeyboardInterrupt a Python thread
            may still be at work, and holds it until it ends.
    """
    address = ctypes.addressof(arguments)
    if threads == 1:
        _callable(work)(address)
    elif not _forked and (team := _team()) is not None:
        team(work, address, threads, 0)
    else:
        _in_python_threads(_callable(work), address, threads, (arguments, held))


@functools.cache
def _team() -> Callable[[int, int, int, int], None] | None:
    """``GOMP_parallel`` of the OpenMP library that torch uses; None without one."""
    if not torch.backends.openmp.is_available():
        return None
    try:
        # Looked up in what torch's own library depends on: other packages bring other copies.
        parallel = ctypes.CDLL(torch._C.__file__).GOMP_parallel
    except (AttributeError, OSError):
        return None
    parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    parallel.restype = None
    team: Callable[[int, int, int, int], None] = parallel
    return team


@functools.cache
def _callable(work: int) -> Callable[[int], None]:
    call: Callable[[int], None] = _WORK(work)
    return call


def _in_python_threads(
    call: Callable[[int], None], address: int, threads: int, held: object
) -> None:
    def help_out(held: object) -> None:
        call(address)

    pool = _shared_pool()
    helpers = [pool.submit(help_out, held) for _ in range(threads - 1)]
    call(address)
    # A helper that never got a thread (others use the pool) has nothing left to do.
    for helper in [helper for helper in helpers if not helper.cancel()]:
        helper.result()


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="snnbd-neurons")
        return _pool


def _after_fork() -> None:
    """Threads do not survive a fork, and a lock may have been held at that moment."""
    global _lock, _pool, _forked
    _lock, _pool, _forked = threading.Lock(), None, True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
