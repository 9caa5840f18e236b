"""A trigger's identity: its class and all that it holds, byte for byte.

Its ``repr`` is not enough: NumPy abbreviates large arrays, and an object without a ``repr`` of its
own prints its address.
"""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import hashlib
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

__all__ = ["fingerprint"]

# Their code counts by its name alone: users do not change it.
_LIBRARIES = sys.stdlib_module_names | {"numpy", "snnbd_core", "tonic", "torch", "torchvision"}
_PLAIN = bool | int | float | complex | str | bytes


class _Told(NamedTuple):
    """What distinguishes a value from others of its type: bytes, and the values it is made of."""

    own: bytes = b""
    parts: list[Any] | tuple[Any, ...] = ()
    ordered: bool = True


def fingerprint(trigger: Any) -> str:
    """sha256 (hex) of a trigger's class and contents; the same in every process.

    A dataclass counts with its fields, arrays and tensors with their bytes, the user's own
    functions and classes with their code and all that it names, other objects with what they
    would be pickled as. ValueError where it holds what has no contents, such as an open file.
    """
    try:
        return _digest(trigger, ()).hex()
    except TypeError as error:
        raise ValueError(f"trigger={trigger!r} holds what cannot be compared: {error}") from error


def _digest(value: Any, above: tuple[int, ...]) -> bytes:
    """``above`` are the values that this one is part of: a circle ends at them."""
    if id(value) in above:
        return hashlib.sha256(b"circle").digest()
    kind = type(value)
    told = _told(value)
    parts = [_digest(part, (*above, id(value))) for part in told.parts]
    name = f"{kind.__module__}.{kind.__qualname__}|{len(told.own)}|{len(parts)}|".encode()
    parts = parts if told.ordered else sorted(parts)
    return hashlib.sha256(name + told.own + b"".join(parts)).digest()


def _told(value: Any) -> _Told:
    if isinstance(value, _PLAIN):
        return _Told(repr(value).encode())
    if isinstance(value, torch.Tensor):
        dense = value.detach().cpu().to_dense().contiguous()
        octets = dense.reshape(-1).view(torch.uint8).numpy().tobytes()
        return _Told(f"{dense.dtype} {tuple(dense.shape)}|".encode() + octets)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return _Told(f"{value.dtype.descr} {value.shape}|".encode() + value.tobytes())
    if isinstance(value, types.ModuleType):
        return _Told(value.__name__.encode())
    if isinstance(value, type | types.FunctionType | types.CodeType):
        return _told_of_code(value)
    if type(value) in (tuple, list):
        return _Told(parts=value)
    if type(value) in (set, frozenset):
        return _Told(parts=list(value), ordered=False)
    if type(value) is dict:
        return _Told(parts=list(value.items()), ordered=False)
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return _Told(parts=[type(value), *((name, getattr(value, name)) for name in names)])
    return _told_by_pickle(value)


def _told_by_pickle(value: Any) -> _Told:
    reduce = copyreg.dispatch_table.get(type(value))
    # TypeError where it cannot be pickled
    reduced = reduce(value) if reduce else value.__reduce_ex__(4)
    if isinstance(reduced, str):
        return _Told(reduced.encode())
    return _Told(parts=[list(part) if isinstance(part, Iterator) else part for part in reduced])


def _told_of_code(value: Any) -> _Told:
    if isinstance(value, types.CodeType):
        return _Told(value.co_code, [value.co_consts, value.co_names])
    name = f"{value.__module__}.{value.__qualname__}".encode()
    if str(value.__module__).partition(".")[0] in _LIBRARIES:
        return _Told(name)
    if isinstance(value, type):
        return _Told(name, [value.__bases__, *_namespace(value)])
    enclosed = [cell.cell_contents for cell in value.__closure__ or ()]
    names = _names(value.__code__, value.__globals__)
    named = [(each, value.__globals__[each]) for each in names]
    defaults = (value.__defaults__, value.__kwdefaults__)
    return _Told(name, [value.__code__, defaults, enclosed, named, vars(value)])


def _namespace(kind: type) -> Iterator[tuple[str, Any]]:
    """A class's own functions and values, without what Python itself stores there."""
    for name, value in sorted(vars(kind).items()):
        if isinstance(value, property):
            yield name, (value.fget, value.fset, value.fdel)
        elif isinstance(value, staticmethod | classmethod):
            yield name, value.__func__
        elif isinstance(value, functools.cached_property):
            yield name, value.func
        elif isinstance(value, types.FunctionType) or not (
            name.startswith(("__", "_abc")) or isinstance(value, types.MemberDescriptorType)
        ):
            yield name, value


def _names(code: types.CodeType, known: dict[str, Any]) -> list[str]:
    """The global names that some code, or a function inside it, uses."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    names = {name for name in code.co_names if name in known}
    return sorted(names.union(*(_names(part, known) for part in inner)))
