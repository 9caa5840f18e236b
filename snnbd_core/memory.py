"""Keep freed memory in the process, because fresh memory is slow to touch.

A training step frees and allocates the same hundreds of megabytes again and again. By default
glibc gives large blocks back to the operating system at once and asks for them anew, and each new
page costs a page fault on first touch. On machines where page faults are slow (virtual machines
above all) they take more time than the arithmetic.

``keep()`` tells glibc to keep what it has. The price: the process holds its peak memory until it
ends. Set ``SNNBD_KEEP_MEMORY=0`` to opt out. Elsewhere (macOS, Windows, musl) it does nothing.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform

# From glibc's malloc.h; part of its stable interface, see mallopt(3).
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


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
    mallopt = ctypes.CDLL(None).mallopt
    # -1 as the trim threshold means never; no block comes from mmap, which always returns it.
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
