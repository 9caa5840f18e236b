"""Values to JSON and back: one canonical text per meaning, errors that name the field."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
import torch

CHANGES_NO_NUMBER = True


def part_to_dict(part: Any) -> dict[str, Any] | None:
    """A trigger, rule or repair as {"kind": its class, field: value, ...}; None stays None.

    A field that is a part itself is written likewise.
    """
    if part is None:
        return None
    fields = {item.name: getattr(part, item.name) for item in dataclasses.fields(part)}
    return {
        "kind": type(part).__name__,
        **{
            name: part_to_dict(value) if dataclasses.is_dataclass(value) else plain(value)
            for name, value in fields.items()
        },
    }


def part_from_dict(name: str, values: Any, kinds: Mapping[str, type[Any]]) -> Any:
    """The inverse of `part_to_dict`; fields left out take their defaults.

    A field with a kind is a part itself, of the same classes.

    Args:
        name: of the experiment's field, for errors.
        values: {"kind": ..., field: value, ...}, or None.
        kinds: the classes allowed, by name.

    Raises:
        ValueError: no mapping, an unknown kind or field, one that is missing, a value that the
            part refuses.
    """
    if values is None:
        return None
    kind, fields = split_kind(name, values, kinds)
    for inner, value in fields.items():
        if isinstance(value, Mapping) and "kind" in value:
            fields[inner] = part_from_dict(f"{name}.{inner}", value, kinds)
    _check_complete(name, fields, kind)
    try:
        return kind(**fields)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def split_kind(
    name: str, values: Any, kinds: Mapping[str, type[Any]]
) -> tuple[type[Any], dict[str, Any]]:
    """The class that ``values["kind"]`` names, and the other values, all fields of it."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{name}={values!r} must be a mapping with a kind, or null")
    fields = dict(values)
    kind = fields.pop("kind", None)
    if kind not in kinds:
        raise ValueError(f"{name}.kind={kind!r} is unknown; allowed: {', '.join(kinds)}")
    check_known(name, fields, kinds[kind])
    return kinds[kind], fields


def check_known(name: str, values: Mapping[str, Any], kind: type[Any]) -> None:
    """Raises ValueError naming the first key of `values` that is no field of the dataclass."""
    allowed = [field.name for field in dataclasses.fields(kind)]
    for key in values:
        if key not in allowed:
            where = f"{name}.{key}" if name else str(key)
            raise ValueError(
                f"{where} is not a field of {kind.__name__}; allowed: {', '.join(allowed)}"
            )


def needed(kind: type[Any]) -> list[str]:
    """The fields of a dataclass that have no default."""
    unset = dataclasses.MISSING
    return [
        item.name
        for item in dataclasses.fields(kind)
        if item.default is unset and item.default_factory is unset
    ]


def _check_complete(name: str, values: Mapping[str, Any], kind: type[Any]) -> None:
    missing = [field for field in needed(kind) if field not in values]
    if missing:
        raise ValueError(f"{name}.{missing[0]} is missing: {kind.__name__} needs one")


def plain(value: Any) -> Any:
    """The value in JSON's own types: tuples and arrays as lists, NumPy numbers as Python's."""
    if type(value) in (str, int, float, bool):  # most are, and the questions below take long
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | torch.Tensor):
        return value.tolist()
    return value


def canonical(value: Any) -> str:
    """One text per meaning: keys sorted, no spaces, 1 and 1.0 alike, no NaN or infinity.

    Python writes a float by its shortest decimal form that reads back to the same bits, in every
    version since 3.1, so the text is the same everywhere.
    """
    return json.dumps(
        _whole_as_int(plain(value)), sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def _whole_as_int(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole_as_int(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_as_int(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def write_all(file: BinaryIO, text: bytes) -> None:
    """Writes the bytes; a buffered file takes them all, so that its count is of no use."""
    file.write(text)
