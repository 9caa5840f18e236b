"""Splits work over threads without a threading layer of numba's.

numba's own layers do not fit here: ``workqueue`` aborts the process when two threads call at
once, ``omp`` aborts a forked child, ``tbb`` is another package. Compiled code releases the GIL,
so plain Python threads do. The calling thread takes part, which makes one thread the simple case,
and chunks are handed out as they are asked for, so a busy core does less.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

CHUNKS_PER_THREAD = 4

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def split(work: Callable[[int, int], None], total: int, size: int, smallest: int) -> None:
    """Calls ``work(first, last)`` on ranges that cover 0..total, in up to torch's thread count.

    Returns when all is done; an error in any range is raised here. After a KeyboardInterrupt no
    new range is begun; one that is running keeps its arrays alive until it ends.

    Args:
        work: must release the GIL and write only to its own range.
        total: number of items.
        size: ranges begin at multiples of it.
        smallest: items below which a range is not worth a thread.
    """
    threads = min(torch.get_num_threads(), max(1, total // smallest))
    if threads == 1:
        work(0, total)
        return
    chunk = max(smallest, -(-total // (threads * CHUNKS_PER_THREAD)))
    chunk = -(-chunk // size) * size
    todo = deque((first, min(first + chunk, total)) for first in range(0, total, chunk))

    def take() -> None:
        while True:
            try:
                first, last = todo.popleft()
            except IndexError:
                return
            work(first, last)

    pool = _shared_pool()
    helpers = [pool.submit(take) for _ in range(threads - 1)]
    try:
        take()
    finally:
        todo.clear()
        # A helper that never got a thread (others use the pool) has nothing left to do.
        started = [helper for helper in helpers if not helper.cancel()]
    for helper in started:
        helper.result()


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="snnbd-neurons")
        return _pool


def _forget_pool() -> None:
    """Threads do not survive a fork, and a lock may have been held at that moment."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
