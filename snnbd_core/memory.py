"""Keep freed memory in the process and take it in large pages, for fresh memory is slow to touch.

A training step frees and allocates the same hundreds of megabytes again and again. By default
glibc gives large blocks back to the operating system at once and asks for them anew, and each new
page costs a page fault on first touch. On machines where page faults are slow (virtual machines
above all) they take more time than the arithmetic.

``keep()`` tells glibc to keep what it has. The price: the process holds its peak memory until it
ends. Elsewhere (macOS, Windows, musl) it does nothing.

``use_large_pages()`` has torch ask for pages of 2 MB instead of 4 kB for its large tensors, where
Linux gives them to those who ask. That spares page faults, and arithmetic the search for pages.

Set ``SNNBD_KEEP_MEMORY=0`` to opt out of both.
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

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@functools.cache
def keep() -> bool:
    """Stops malloc from returning memory to the system; True if it took effect.

    Idempotent: only the first call of a process does anything, so ``SNNBD_KEEP_MEMORY`` is read
    once.
    """
    if _refused():
        return False
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # -1 as the trim threshold means never; no block comes from mmap, which always returns it.
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))


def use_large_pages() -> None:
    """Sets torch's own switch, ``THP_MEM_ALLOC_ENABLE``, unless it is set.

    torch looks at it once, when the process makes its first tensor: the package calls this as it
    is imported. Nothing is set where the kernel gives large pages to all or to nobody.
    """
    if not _refused() and LARGE_PAGES.exists() and "[madvise]" in LARGE_PAGES.read_text():
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def _refused() -> bool:
    return os.environ.get("SNNBD_KEEP_MEMORY", "1") == "0"
