"""Pickles as data: only files whose hash is published are opened, and they may hold arrays only.

A pickle is a program. torchvision's version of CIFAR is made of pickles; each is compared with the
hash that its publisher names before anything of it is read.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbd_core.data.errors import CorruptData

__all__ = ["Published", "unpickled"]

# What a pickled array is put together from; anything else is refused.
_ARRAYS: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
}


@dataclass(frozen=True)
class Published:
    """What is known of a published pickle: which part of its set it is, and its md5."""

    split: str
    md5: str


class _Plain(pickle.Unpickler):
    """Makes dicts, lists, text, numbers and arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return _ARRAYS[module, name]


def unpickled(data: bytes, md5: str, name: str) -> Mapping[str, Any]:
    """The mapping in a pickle that Python 2 or 3 wrote.

    Args:
        data: the file's bytes.
        md5: that its publisher names, hex.
        name: for messages.

    Raises:
        CorruptData: another file than the published; it is then not unpickled.
    """
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != md5:
        raise CorruptData(
            f"{name}: its md5 is {found}, that of the published file {md5}. A pickle is a program, "
            "so another than the published one is never opened: get it again, or the binary "
            "version"
        )
    try:
        values = _Plain(io.BytesIO(data), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError) as error:
        raise CorruptData(f"{name}: is no pickle of arrays ({error})") from error
    if not isinstance(values, Mapping):
        raise CorruptData(f"{name}: holds a {type(values).__name__}; a mapping is needed")
    return values
