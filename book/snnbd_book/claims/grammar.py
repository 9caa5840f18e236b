"""What a test may say: `check` refuses everything else before anything is evaluated."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from snnbd_book.claims.pairs import OF_GROUPS
from snnbd_book.claims.sample import Sample
from snnbd_book.runs.parts import EXTRA_FIGURES
from snnbd_core.metrics import Report

FIGURES = (
    *(field.name for field in fields(Report) if field.name not in ("target", "extra")),
    *EXTRA_FIGURES,
)
PARTS = ("only", "but")
NAMES = "names"
OVER_SEEDS: dict[str, Callable[[Sample], float]] = {
    "mean": lambda sample: sample.mean,
    "min": lambda sample: min(sample.floats),
    "max": lambda sample: max(sample.floats),
    "lower": lambda sample: sample.interval[0],
    "upper": lambda sample: sample.interval[1],
}
OVER_NUMBERS: dict[str, Callable[..., float]] = {"min": min, "max": max, "abs": abs}
OVER_MEMBERS: dict[str, Callable[..., Any]] = {"all": all, "any": any, "min": min, "max": max}
ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def check(node: ast.expr, text: str) -> None:
    """Raises ValueError unless the node and all below are of the language."""
    match node:
        case ast.BoolOp(values=values):
            parts = values
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            parts = [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            parts = [left, right]
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in COMPARISONS for op in ops
        ):
            parts = [left, *others]
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            parts = []
        case ast.Call(args=[ast.GeneratorExp(elt=elt, generators=loops)]) if is_loop(node):
            for loop in loops:
                if loop.ifs or not isinstance(loop.target, ast.Name):
                    raise ValueError(f"test={text!r}: only 'for NAME in GROUP' is allowed")
                names = called(loop.iter) == NAMES
                _check_group(loop.iter.args[0] if names else loop.iter, text)  # type: ignore[attr-defined]  # a call
            parts = [elt]
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if (
            name in OVER_SEEDS and is_sample(argument)
        ):
            _check_sample(argument, text)
            parts = []
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if (
            name in OVER_NUMBERS and (len(arguments) == 1) == (name == "abs")
        ):
            parts = arguments
        case _:
            raise _refused(node, text)
    for part in parts:
        check(part, text)


def _check_sample(node: ast.expr, text: str) -> None:
    match node:
        case ast.Attribute(value=group, attr=figure) if figure in FIGURES:
            _check_group(group, text)
        case ast.Attribute():
            raise ValueError(
                f"test={text!r}: {ast.unparse(node)} is no figure; allowed after the "
                f"experiment's name: {', '.join(FIGURES)}"
            )
        case ast.Call(func=ast.Name(id=name), args=groups) if len(groups) == OF_GROUPS[name][0]:
            for group in groups:
                _check_group(group, text)
        case _:
            raise _refused(node, text)


def _check_group(node: ast.expr, text: str) -> None:
    match node:
        case ast.Name():
            return
        case ast.Subscript(value=group, slice=ast.Constant() | ast.Name()):
            _check_group(group, text)
        case ast.Call(func=ast.Name(id=name), args=[group, *keys], keywords=[]) if (
            name in PARTS and keys and all(isinstance(key, ast.Constant) for key in keys)
        ):
            _check_group(group, text)
        case _:
            raise _refused(node, text)


def _refused(node: ast.expr, text: str) -> ValueError:
    return ValueError(
        f"test={text!r}: {ast.unparse(node)!r} is not allowed; allowed are numbers, + - * /, "
        "< <= > >=, and, or, not, abs(), mean(), min(), max(), lower(), upper() of "
        f"experiment.figure or of {', '.join(OF_GROUPS)}, all(), any(), min(), max() of a test "
        "'for each in group' or 'in names(group)', group[name], only() and but()"
    )


def is_sample(node: ast.expr) -> bool:
    """Whether it gives one value for each seed."""
    return isinstance(node, ast.Attribute) or called(node) in OF_GROUPS


def is_loop(node: ast.expr) -> bool:
    return called(node) in OVER_MEMBERS and isinstance(node.args[0], ast.GeneratorExp)  # type: ignore[attr-defined]  # a call


def says(node: ast.expr) -> bool:
    """Whether it is true or false, and no number."""
    negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    return isinstance(node, ast.Compare | ast.BoolOp) or negated or called(node) in ("all", "any")


def called(node: ast.expr) -> str:
    """The name of a function that is called with arguments by position; empty for another node."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[_, *_], keywords=[]):
            return name
    return ""
