"""The tests of claims: a small language, parsed as Python and evaluated by hand.

    mean(moving.attack_success_rate) >= 0.9 and upper(static.attack_success_rate) < 0.2

``experiment.figure`` is that field of the `Report` of all seeds of a named experiment. It may
stand only inside of a function, which makes one number of it:

=====================  ============================================================
mean(x)                mean over the seeds
min(x), max(x)         least and greatest seed (also of several numbers)
lower(x), upper(x)     ends of the 95 % interval of the mean, see `Sample.interval`
abs(number)            without sign
=====================  ============================================================

Numbers, + - * /, comparisons (chained ones too), and, or, not are as in Python. Nothing else is
allowed, and nothing is ever given to Python to run.
"""

from __future__ import annotations

import ast
import itertools
import operator
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from snnbd_book.claims.sample import Sample
from snnbd_book.runs.parts import EXTRA_FIGURES
from snnbd_core.metrics import Report

Lookup = Callable[[str, str], Sample]

FIGURES = (
    *(field.name for field in fields(Report) if field.name not in ("target", "extra")),
    *EXTRA_FIGURES,
)
_OVER_SEEDS: dict[str, Callable[[Sample], float]] = {
    "mean": lambda sample: sample.mean,
    "min": lambda sample: min(sample.floats),
    "max": lambda sample: max(sample.floats),
    "lower": lambda sample: sample.interval[0],
    "upper": lambda sample: sample.interval[1],
}
_OVER_NUMBERS: dict[str, Callable[..., float]] = {"min": min, "max": max, "abs": abs}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_LONGEST = 1000


@dataclass(frozen=True)
class Expression:
    """A checked expression; made by `parse`."""

    text: str
    tree: ast.expr

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Reads a test.

        Raises:
            ValueError: not an expression, a part that is not allowed (named), a figure that
                `Report` does not have, or one outside of a function.
        """
        if not isinstance(text, str) or len(text) > _LONGEST:
            raise ValueError(f"test={text!r} must be a text of at most {_LONGEST} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"test={text!r} cannot be read: {error}") from error
        _check(tree, text)
        if not isinstance(tree, ast.Compare | ast.BoolOp) and not _is_not(tree):
            raise ValueError(f"test={text!r} must be a comparison: it says neither true nor false")
        return cls(text.strip(), tree)

    @property
    def figures(self) -> tuple[tuple[str, str], ...]:
        """(experiment, figure) of all that it looks at, in order, each once."""
        found = [_figure(node) for node in ast.walk(self.tree) if isinstance(node, ast.Attribute)]
        return tuple(dict.fromkeys(found))

    def holds(self, lookup: Lookup) -> bool:
        """Whether it is true of the samples that `lookup(experiment, figure)` gives.

        Raises:
            ValueError: a division by zero.
        """
        try:
            return bool(_value(self.tree, lookup))
        except ZeroDivisionError as error:
            raise ValueError(f"test={self.text!r} divides by zero") from error

    def explained(self, lookup: Lookup) -> str:
        """The text with each function of a figure followed by its value."""
        return ast.unparse(_Explained(lookup).visit(ast.parse(self.text, mode="eval").body))


class _Explained(ast.NodeTransformer):
    """Puts "mean(a.b)[0.973]" where mean(a.b) stood."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if not any(isinstance(argument, ast.Attribute) for argument in node.args):
            self.generic_visit(node)
            return node
        value = _value(node, self.lookup)
        return ast.Name(f"{ast.unparse(node)}[{value:.4g}]")


def _check(node: ast.expr, text: str) -> None:
    """Raises ValueError unless the node and all below are of the language."""
    match node:
        case ast.BoolOp(values=values):
            for part in values:
                _check(part, text)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            _check(operand, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            _check(left, text)
            _check(right, text)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in _COMPARISONS for op in ops
        ):
            for part in (left, *others):
                _check(part, text)
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            pass
        case ast.Call(func=ast.Name(id=name), args=[ast.Attribute() as argument], keywords=[]) if (
            name in _OVER_SEEDS
        ):
            experiment, figure = _figure(argument)
            if not experiment or figure not in FIGURES:
                raise ValueError(
                    f"test={text!r}: {ast.unparse(argument)} is no figure; allowed after the "
                    f"experiment's name: {', '.join(FIGURES)}"
                )
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if (
            name in _OVER_NUMBERS
            and len(arguments) >= (1 if name == "abs" else 2)
            and (name != "abs" or len(arguments) == 1)
        ):
            for part in arguments:
                _check(part, text)
        case _:
            raise ValueError(
                f"test={text!r}: {ast.unparse(node)!r} is not allowed; allowed are numbers, "
                "+ - * /, < <= > >=, and, or, not, abs(), and mean(), min(), max(), lower(), "
                "upper() of experiment.figure"
            )


def _value(node: Any, lookup: Lookup) -> Any:
    """The value of a checked node."""
    match node:
        case ast.BoolOp(op=op, values=values):
            combine = all if isinstance(op, ast.And) else any
            return combine(_value(value, lookup) for value in values)
        case ast.UnaryOp(op=op, operand=operand):
            value = _value(operand, lookup)
            return not value if isinstance(op, ast.Not) else -value
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_value(left, lookup), _value(right, lookup))
        case ast.Compare(left=left, ops=ops, comparators=others):
            numbers: list[float] = [_value(item, lookup) for item in (left, *others)]
            pairs = zip(ops, itertools.pairwise(numbers), strict=True)
            return all(_COMPARISONS[type(op)](*pair) for op, pair in pairs)
        case ast.Constant(value=value):
            return value
        case ast.Call(func=ast.Name(id=name), args=[ast.Attribute() as argument]):
            return _OVER_SEEDS[name](lookup(*_figure(argument)))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _OVER_NUMBERS[name](*(_value(argument, lookup) for argument in arguments))
    raise AssertionError(f"unchecked node {ast.dump(node)}")


def _figure(node: ast.Attribute) -> tuple[str, str]:
    experiment = node.value.id if isinstance(node.value, ast.Name) else ""
    return experiment, node.attr


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
