"""Checks of settings; each error names the argument, its value and what is allowed.

A number is any real number of Python, NumPy or a 0-d torch tensor; True and False are none. Each
check gives the value back as Python's own type, so that settings compare, print and hash alike
whatever library a number came from.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import nn

T = TypeVar("T")
Module = TypeVar("Module", bound=nn.Module)


def plain(value: Any) -> Any:
    """A 0-d tensor or array as the number in it, of its own precision; anything else as it is."""
    if isinstance(value, torch.Tensor) and value.ndim == 0:
        exact = value.detach().float() if value.dtype == torch.bfloat16 else value.detach()
        value = exact.cpu().numpy()
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def whole(name: str, value: Any, least: int) -> int:
    """The value as an int; ValueError unless it is a whole number from `least` on."""
    given = plain(value)
    if not isinstance(given, Integral) or isinstance(given, bool) or given < least:
        raise ValueError(f"{name}={value!r} must be a whole number >= {least}")
    return int(given)


def number(name: str, value: Any, fits: Callable[[float], bool], words: str) -> float:
    """The value as an int or float; ValueError unless it is a finite number that fits."""
    given = plain(value)
    if not is_number(given) or not fits(given):
        raise ValueError(f"{name}={value!r} must be a number {words}")
    return int(given) if isinstance(given, Integral) else decimal(given)


def above(name: str, value: Any, least: float) -> float:
    """The value; ValueError unless it is a finite number above `least`."""
    return number(name, value, lambda x: x > least, f"> {least:g}")


def share(name: str, value: Any) -> float:
    """The value; ValueError unless it is a number from 0 to less than 1."""
    return number(name, value, lambda x: 0 <= x < 1, "in [0, 1)")


def within(name: str, value: Any, low: float, high: float) -> float:
    """The value; ValueError unless it is a number from `low` to `high`."""
    return number(name, value, lambda x: low <= x <= high, f"in {low:g}..{high:g}")


def all_above(name: str, values: Any, least: float) -> tuple[float, ...]:
    """The values as a tuple; ValueError unless they are finite numbers above `least`."""
    several = isinstance(values, tuple | list | np.ndarray | torch.Tensor)
    if not several or not len(values):
        raise ValueError(f"{name}={values!r} must be a list of at least one number")
    return tuple(above(name, value, least) for value in values)


def whole_row(values: Any) -> tuple[int, ...] | None:
    """A tuple, list, array or tensor of whole numbers as ints; None for anything else."""
    row = (
        values.tolist() if isinstance(values, np.ndarray | torch.Tensor) and values.ndim else values
    )
    if not isinstance(row, tuple | list):
        return None
    plain_row = [plain(value) for value in row]
    if not all(isinstance(x, Integral) and not isinstance(x, bool) for x in plain_row):
        return None
    return tuple(map(int, plain_row))


def flag(name: str, value: Any) -> bool:
    """The value as a bool; ValueError unless it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={value!r} must be true or false")
    return bool(value)


def instance(name: str, value: Any, kind: type[T], words: str) -> T:
    """The value; ValueError unless it is of a class, which the words describe."""
    if not isinstance(value, kind):
        raise ValueError(f"{name}={value!r} must be {words}")
    return value


def choice(name: str, value: Any, allowed: Iterable[str]) -> str:
    """The value; ValueError unless it is one of some names."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={value!r} is unknown; allowed: {', '.join(allowed)}")
    return value


def is_number(value: Any) -> bool:
    """Whether the value is a finite real number, and not True or False."""
    given = plain(value)
    return isinstance(given, Real) and not isinstance(given, bool) and math.isfinite(given)


def decimal(value: Any) -> float:
    """The decimal number meant: a float32 of 0.1 is 0.1, not 0.10000000149.

    NumPy prints a number by the shortest decimal that reads back to the same bits in its own
    precision.
    """
    given = plain(value)
    return float(str(given)) if isinstance(given, np.floating) else float(given)


def settings(owner: Any, /, **checked: Any) -> None:
    """Writes checked values into a frozen dataclass, from its ``__post_init__``."""
    for name, value in checked.items():
        object.__setattr__(owner, name, value)


def fields(owner: Any, names: Iterable[str], check: Callable[..., Any], *limits: float) -> None:
    """Checks fields of a frozen dataclass alike, and writes them back as `settings` does."""
    settings(owner, **{name: check(name, getattr(owner, name), *limits) for name in names})


def network(net: Any) -> None:
    """Raises ValueError for what is no network, as a function, a class or a state dict."""
    if not isinstance(net, nn.Module):
        raise ValueError(
            f"net is a {type(net).__name__}: needed is a torch.nn.Module, with its weights loaded"
        )


def finite(net: nn.Module, done: str) -> None:
    """Raises ValueError for values that are not finite: nothing can be "inspected", "repaired".

    Buffers count too: a neuron whose batch norm has a mean of NaN never fires, and looks harmless.
    """
    network(net)
    for name, values in (*net.named_parameters(), *net.named_buffers()):
        wrong = None
        if nn.parameter.is_lazy(values):
            wrong = "have no shape yet; run the network once on a batch, or train it"
        elif values.dtype in (torch.float16, torch.bfloat16):
            wrong = f"are {values.dtype}: allowed is float32 or float64, as net.float() gives them"
        elif not bool(torch.isfinite(values).all()):
            wrong = "are not finite"
        if wrong is not None:
            raise ValueError(f"nothing can be {done}: the weights {name} {wrong}")


def copied(net: Module) -> Module:
    """A deep copy; ValueError naming a tensor that hangs on a graph, which torch cannot copy."""
    try:
        return copy.deepcopy(net)
    except RuntimeError as error:
        held = {
            f"{name}.{key}".lstrip("."): value
            for name, part in net.named_modules()
            for key, value in (*vars(part).items(), *part._buffers.items())
        }
        bound = (key for key, one in held.items() if isinstance(one, torch.Tensor) and one.grad_fn)
        if (found := next(bound, None)) is None:
            raise
        raise ValueError(
            f"net={type(net).__name__} cannot be copied: {found!r} is computed from other tensors. "
            "Weights are so after torch.nn.utils.prune, weight_norm or spectral_norm, until their "
            "remove function makes them weights; a state is so until it is reset or detached"
        ) from error


def trainable(net: nn.Module) -> None:
    """Raises ValueError for a network all of whose weights are frozen, or that has none."""
    network(net)
    if not any(weight.requires_grad for weight in net.parameters()):
        raise ValueError(
            f"net={type(net).__name__} has no weights to train: needed are parameters with "
            "requires_grad=True, as net.requires_grad_(True) sets it; quantised layers have none"
        )


def classes(count: int, least: int, method: str) -> None:
    """Raises ValueError for a network with fewer classes than a method can compare."""
    if count < least:
        words = "compares each class with the others and needs at least"
        raise ValueError(f"classes={count}: {method} {words} {least}")


Check = Callable[[str, Any], Any]


class Checked:
    """A frozen dataclass whose types say which values its fields may have: `epochs: Count = 30`.

    Values are written back in Python's own types; one outside its type's is a ValueError.
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, check in _checks_of(kind).items():
            settings(self, **{name: check(name, getattr(self, name))})


def fitting(fits: Callable[[float], bool], words: str) -> Check:
    """The check of a type of one's own, as in `Annotated[float, fitting(...)]`; see `number`."""
    return lambda name, value: number(name, value, fits, words)


Natural = Annotated[int, lambda name, value: whole(name, value, 0)]
"""A whole number from 0 on."""
Count = Annotated[int, lambda name, value: whole(name, value, 1)]
"""A whole number from 1 on."""
Positive = Annotated[float, lambda name, value: above(name, value, 0)]
"""A number above 0."""
Share = Annotated[float, share]
"""A number from 0 to less than 1."""
Part = Annotated[float, fitting(lambda x: 0 < x <= 1, "in (0, 1]")]
"""A number above 0 and up to 1."""
Inner = Annotated[float, fitting(lambda x: 0 < x < 1, "in (0, 1)")]
"""A number between 0 and 1, neither of them."""
Unit = Annotated[float, lambda name, value: within(name, value, 0, 1)]
"""A number from 0 to 1."""
Flag = Annotated[bool, flag]
"""True or False."""
Levels = Annotated[tuple[float, ...], lambda name, values: all_above(name, values, 0)]
"""At least one number, each above 0."""


@functools.cache
def _checks_of(kind: Any) -> dict[str, Check]:
    """The checks of a dataclass's fields by name, of those that have one."""
    hints = get_type_hints(kind, include_extras=True)
    found = {item.name: _check_of(hints[item.name]) for item in dataclasses.fields(kind)}
    return {name: check for name, check in found.items() if check is not None}


def _check_of(hint: Any) -> Check | None:
    """The check of a type: the names of a Literal, what is Annotated, either of them or None."""
    if get_origin(hint) is Literal:
        return lambda name, value: choice(name, value, get_args(hint))
    if get_origin(hint) is Annotated:
        check: Check = get_args(hint)[1]
        return check
    if not isinstance(hint, UnionType) and get_origin(hint) is not Union:
        return None
    inner = next(filter(None, map(_check_of, get_args(hint))), None)
    if inner is None:
        return None
    return lambda name, value: None if value is None else inner(name, value)
