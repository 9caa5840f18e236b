"""Keep freed memory in the process and take it in large pages, for fresh memory is slow to touch.

A training step frees and allocates the same hundreds of megabytes again and again. By default
glibc gives large blocks back to the operating system at once and asks for them anew, and each new
page costs a page fault on first touch. On machines where page faults are slow (virtual machines
above all) they take more time than the arithmetic.

``keep()`` tells glibc to keep what it has. The price: the process holds its peak memory until it
ends. It holds for threads that have not allocated yet, by one heap for all; where runs are not in
the main thread, as in workers of Dask, ``MALLOC_ARENA_MAX=1`` in the process's environment does
the same.

It also asks for pages of 2 MB instead of 4 kB, where Linux gives them to those who ask, for what
the heap takes next, up to half of the machine's memory: that spares page faults, and arithmetic
the search for pages. (torch has a switch of its own for that, ``THP_MEM_ALLOC_ENABLE``, which
aligns each large tensor to 2 MB. In a heap that is kept, a tensor then does not fit where one of
its size was, and the heap grows.)

On macOS, Windows and musl it does nothing. Set ``SNNBD_KEEP_MEMORY=0`` to opt out.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from pathlib import Path

# From glibc's malloc.h; part of its stable interface, see mallopt(3).
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
M_ARENA_MAX = -8
# From Linux's mman.h, see madvise(2).
MADV_HUGEPAGE = 14

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")
LARGE_PAGE = 2 * 1024**2
OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")


@functools.cache
def keep() -> bool:
    """Stops malloc from returning memory to the system; True if it took effect.

    Idempotent: only the first call of a process does anything, so ``SNNBD_KEEP_MEMORY`` is read
    once.
    """
    if os.environ.get("SNNBD_KEEP_MEMORY", "1") == "0":
        return False
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    # No block comes from mmap, which always returns it; -1 as the trim threshold means never; and
    # there is one heap, for the others are small and leave large blocks to mmap.
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_ARENA_MAX, 1))
    kept = all([libc.mallopt(*setting) for setting in settings])
    if kept and large_pages_on_request() and _addresses_are_free():
        _ask_for_large_pages(libc, _most_memory() // 2)
    return kept


def large_pages_on_request() -> bool:
    """Whether Linux gives pages of 2 MB to those who ask, and only to them."""
    policy, size = LARGE_PAGES / "enabled", LARGE_PAGES / "hpage_pmd_size"
    if not (policy.exists() and size.exists()):
        return False
    return "[madvise]" in policy.read_text() and int(size.read_text()) == LARGE_PAGE


def _addresses_are_free() -> bool:
    """Whether one may reserve addresses without memory being counted or touched for them.

    It is counted where Linux does not overcommit, and touched where malloc fills all it gives, as
    its users ask it to when they look for errors.
    """
    counted = OVERCOMMIT.exists() and OVERCOMMIT.read_text().strip() == "2"
    filled = "MALLOC_PERTURB_" in os.environ or "perturb" in os.environ.get("GLIBC_TUNABLES", "")
    return not (counted or filled)


def _ask_for_large_pages(libc: ctypes.CDLL, size: int) -> None:
    """Grows the heap by ``size`` bytes of addresses and asks for large pages there."""
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    block = libc.malloc(size)
    if block:
        first = -(-block // LARGE_PAGE) * LARGE_PAGE
        length = (block + size - first) // LARGE_PAGE * LARGE_PAGE
        libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), MADV_HUGEPAGE)
        libc.free(ctypes.c_void_p(block))


def _most_memory() -> int:
    """Bytes that this process may have: the machine's memory, or less where a limit says so."""
    import resource  # not on Windows

    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [resource.getrlimit(of)[0] for of in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min([have, *(limit for limit in limits if limit != resource.RLIM_INFINITY)])
