"""Keep freed memory in the process and take it in large pages, for fresh memory is slow to touch.

A training step frees and allocates the same hundreds of megabytes again and again. By default
glibc gives large blocks back to the operating system at once and asks for them anew, and each new
page costs a page fault on first touch. On machines where page faults are slow (virtual machines
above all) they take more time than the arithmetic.

``keep()`` tells glibc to keep what it has. The price: the process holds its peak memory until it
ends. It also has the heap lie in pages of 2 MB instead of 4 kB, where Linux gives them to those
who ask: that spares page faults, and arithmetic the search for pages. (torch has a switch of its
own for that, ``THP_MEM_ALLOC_ENABLE``, which aligns each large tensor to 2 MB. In a heap that is
kept, a tensor then does not fit where one of its size was, and the heap grows.)

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
# From Linux's mman.h, see madvise(2).
MADV_HUGEPAGE = 14

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
LARGE_PAGE = 2 * 1024**2


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
    # -1 as the trim threshold means never; no block comes from mmap, which always returns it.
    kept = bool(libc.mallopt(M_MMAP_MAX, 0)) and bool(libc.mallopt(M_TRIM_THRESHOLD, -1))
    if kept and large_pages_on_request():
        _ask_for_large_pages(libc, _physical_memory() // 2)
    return kept


def large_pages_on_request() -> bool:
    """Whether Linux gives large pages to those who ask, and only to them."""
    return LARGE_PAGES.exists() and "[madvise]" in LARGE_PAGES.read_text()


def _ask_for_large_pages(libc: ctypes.CDLL, size: int) -> None:
    """Grows the heap by ``size`` bytes of addresses, not of memory, and has them in large pages.

    Where a limit forbids so many addresses, nothing happens.
    """
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    block = libc.malloc(size)
    if block:
        first = -(-block // LARGE_PAGE) * LARGE_PAGE
        length = (block + size - first) // LARGE_PAGE * LARGE_PAGE
        libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), MADV_HUGEPAGE)
        libc.free(ctypes.c_void_p(block))


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
