"""The compiled loops as machine code, kept on disk and loaded without numba.

Importing numba takes many times as long as a layer's first step. So what it makes of `cpu_loops`
is kept as an object file, and LLVM (llvmlite) loads that within some milliseconds. The file's name
holds a digest of all that the code depends on: the loops' source, the processor, numba and LLVM,
and numba's settings. It begins with a digest of itself. A damaged file is made anew, and so is one
that another user owns; the digest tells damage and no tampering, so the folder must be one's own.

The loops raise nothing and allocate nothing, but numba leaves calls of its own library for the
case that they did. Loaded without that library these calls end the process.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from snnbd_core import files

LINE = 64  # bytes that are fetched together
TAKEN, BEGUN = 0, 1  # fields of `Arguments`
FORWARD_ROWS, BACKWARD_ROWS = 1, 4

ON_DISK = sys.platform == "linux"  # elsewhere numba keeps its code by itself

_SOURCES = ("cpu_loops.py", "lanes.py", "machine_code.py")
_NUMBA = importlib.metadata.version("numba")  # raises ImportError without it
_held: list[object] = []  # machine code lives as long as what it was loaded by


def _named(kind: type, names: str) -> list[tuple[str, type]]:
    return [(name, kind) for name in names.split()]


class Arguments(ctypes.Structure):
    """Addresses of arrays, sizes and choices.

    ``taken`` and ``begun`` are 0 and count the blocks and threads that have begun. current is
    [T, M], or [1, M] with stride 0 if all steps are equal; beta and threshold are [M] or [1]. M is
    at least what a cache line holds. ``written`` [T, M] are the spikes or d_current; ``past``: it
    is written past the cache, and its rows begin at multiples of a cache line. Arrays with 0 rows
    are not written (potential, d_beta, d_threshold) or hold zeros (d_spikes, d_potential). scratch
    holds rows of ``size``, a multiple of a cache line, for each thread: `FORWARD_ROWS`, or
    T + `BACKWARD_ROWS`.
    """

    _fields_ = (
        *_named(ctypes.c_int64, "taken begun steps neurons size scratch current stride"),
        *_named(ctypes.c_int64, "beta threshold reset instant decays surrogate attached"),
        *_named(ctypes.c_double, "half_slope steepness slope slope_squared"),
        *_named(ctypes.c_int64, "written past potential potential_rows d_spikes d_spikes_rows"),
        *_named(ctypes.c_int64, "d_potential d_potential_rows d_beta d_beta_rows"),
        *_named(ctypes.c_int64, "d_threshold d_threshold_rows"),
    )


@functools.cache
def address(loops: str, held: type, each: bool) -> int:
    """The address of a C function of a pointer to `Arguments`, from the disk or compiled now.

    Args:
        loops: ``forward`` or ``backward`` of `cpu_loops`.
        held: the type of the current and of what has its shape, see there.
        each: whether beta and threshold hold a value for each neuron.
    """
    name = f"{loops}-{np.dtype(held)}-{'each' if each else 'one'}-{_key()}.object"
    for folder in _folders():
        if found := _loaded(folder / name):
            return found
    from snnbd_core.kernels import cpu_loops  # brings numba

    made = cpu_loops.compiled(getattr(cpu_loops, loops)(held, each), _key())
    _held.append(made)
    with suppress(AttributeError):  # of a numba that holds its object code elsewhere
        _keep(name, made)
    return cast(int, made.address)


def _folders() -> Iterator[Path]:
    """Where machine code is kept: where numba's is, or else with what can be made again."""
    if ON_DISK:
        yield Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__")
        with suppress(PermissionError):
            yield files.cache_dir()


@functools.cache
def _key() -> str:
    """A digest of all that machine code depends on beside what its file's name says."""
    host = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    digest = hashlib.sha256(repr((_NUMBA, llvmlite.__version__, host, settings)).encode())
    for source in _SOURCES:
        digest.update(Path(__file__).with_name(source).read_bytes())
    return digest.hexdigest()[:16]


def _keep(name: str, made: Any) -> None:
    """Writes what numba compiled to the first folder that takes it."""
    module = llvm.parse_assembly(made.inspect_llvm())
    symbols = [one for one in (*module.functions, *module.global_variables) if one.is_declaration]
    head = {"entry": made.native_name, "called": [one.name for one in symbols]}
    body = json.dumps(head).encode() + b"\n" + made._library._get_compiled_object()
    whole = hashlib.sha256(body).digest() + body
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            files.write_atomically(folder / name, lambda file: file.write(whole))
            return


def _loaded(path: Path) -> int | None:
    """The address of the function in a file; None if there is none, or a damaged one."""
    try:
        if path.stat().st_uid not in _owners():
            return None  # code of others is not run
        whole = path.read_bytes()
    except OSError:
        return None
    digest, body = whole[:32], whole[32:]
    if hashlib.sha256(body).digest() != digest:
        return None
    head, _, code = body.partition(b"\n")
    told = json.loads(head)
    with suppress(RuntimeError):  # LLVM does not take it
        return _linked(code, told["entry"], told["called"])
    return None


def _owners() -> set[int]:
    """Whose code is run: one's own and the administrator's."""
    return {0, os.getuid()}


def _linked(code: bytes, entry: str, called: list[str]) -> int:
    """The address of a function in object code; ``called`` are the symbols that it asks for."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    process = ctypes.CDLL(None)
    end = cast(int, ctypes.cast(process.abort, ctypes.c_void_p).value)
    for name in called:
        if not hasattr(process, name):  # LLVM ends the process over a symbol that it cannot find
            builder.import_symbol(name, end)
    compiler = llvm.create_lljit_compiler()
    linked = builder.export_symbol(entry).link(compiler, entry)
    _held.append((compiler, linked))
    return cast(int, linked[entry])
