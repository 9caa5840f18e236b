"""Tests of claims and findings: a small language, parsed as Python and evaluated by hand.

    mean(moving.attack_success_rate) >= 0.9 and upper(static.attack_success_rate) < 0.2
    all(lower(t["BadSNN"][1.2].attack_success_rate) > 0.5 for t in thresholds)

A name stands for a group of runs: the seeds of one setting, or settings by their names, of which
``group["name"]`` is one. ``setting.figure`` is a field of the reports of its seeds. It may stand
only inside of a function that makes one number of it:

=========================  =========================================================================
mean(x)                    mean over the seeds
min(x), max(x)             least and greatest seed (also of several numbers)
lower(x), upper(x)         ends of the 95 % interval of the mean, see `intervals`
abs(number)                without sign
all(..), any(..)           of a test ``for each in group``; min(..) and max(..) of a number likewise
names(group)               in a loop, the names of its members in their place, for ``other[name]``
only(group, "a", ..)       the settings of these names
but(group, "a", ..)        the others
=========================  =========================================================================

In the place of ``setting.figure`` may stand ``der(before, after)``, ``mr1(snn, ann)``,
``auc(clean, attacked)`` and ``named(attacked)``, see `pairs`. A figure of several settings at once
is refused: an average over targets or attacks would hide one of them.

Numbers, + - * /, comparisons (chained ones too), and, or, not are as in Python. Nothing else is
allowed, and nothing is ever given to Python to run.
"""

from __future__ import annotations

import ast
import itertools
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from snnbd_book.claims.grammar import (
    ARITHMETIC,
    COMPARISONS,
    NAMES,
    OVER_MEMBERS,
    OVER_NUMBERS,
    OVER_SEEDS,
    called,
    check,
    is_loop,
    is_sample,
    says,
)
from snnbd_book.claims.pairs import OF_GROUPS
from snnbd_book.claims.sample import Sample

Groups = Mapping[str, Any]
"""Name -> records of the seeds of one setting, or a mapping of names to such."""

_LONGEST = 2000


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
        check(tree, text)
        if not says(tree):
            raise ValueError(f"test={text!r} must be a comparison: it says neither true nor false")
        return cls(text.strip(), tree)

    @property
    def figures(self) -> tuple[tuple[str, str], ...]:
        """(name, figure) of all that it looks at by a plain name, in order, each once."""
        found = [
            (node.value.id, node.attr)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        ]
        return tuple(dict.fromkeys(found))

    def holds(self, groups: Groups) -> bool:
        """Whether it is true of some groups of records.

        Raises:
            ValueError: a division by zero, a name or key that is not among the groups, several
                settings where one is needed, a figure that was not measured.
        """
        try:
            return bool(_value(self.tree, groups))
        except ZeroDivisionError as error:
            raise ValueError(f"test={self.text!r} divides by zero") from error

    def explained(self, groups: Groups) -> str:
        """The text with each function of a figure followed by its value."""
        return ast.unparse(_Explained(groups).visit(ast.parse(self.text, mode="eval").body))


class _Explained(ast.NodeTransformer):
    """Puts "mean(a.b)[0.973]" where mean(a.b) stood; of a loop, the values for each member."""

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if is_loop(node):
            (loop,) = node.args
            assert isinstance(loop, ast.GeneratorExp)
            shown = [
                f"{name}: {_numbers(loop.elt, inner)}"
                for name, inner in _bound(loop.generators, self.groups)
            ]
            # unparse gives the loop brackets of its own
            words = f"{ast.unparse(node.func)}{ast.unparse(loop)}"
            return ast.Name(f"{words}[{'; '.join(shown)}]")
        if not (len(node.args) == 1 and is_sample(node.args[0])):
            self.generic_visit(node)
            return node
        return ast.Name(f"{ast.unparse(node)}[{_value(node, self.groups):.4g}]")


class _Numbers(_Explained):
    """Puts the number alone."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        value = _value(node, self.groups)
        return ast.Name(str(value) if isinstance(value, bool) else f"{value:.4g}")


def _numbers(node: ast.expr, groups: Groups) -> str:
    copy = ast.parse(ast.unparse(node), mode="eval").body
    return ast.unparse(_Numbers(groups).visit(copy))


def _value(node: Any, groups: Groups) -> Any:
    """The value of a checked node."""
    match node:
        case ast.BoolOp(op=op, values=values):
            combine = all if isinstance(op, ast.And) else any
            return combine(_value(value, groups) for value in values)
        case ast.UnaryOp(op=op, operand=operand):
            value = _value(operand, groups)
            return not value if isinstance(op, ast.Not) else -value
        case ast.BinOp(left=left, op=op, right=right):
            return ARITHMETIC[type(op)](_value(left, groups), _value(right, groups))
        case ast.Compare(left=left, ops=ops, comparators=others):
            numbers: list[float] = [_value(item, groups) for item in (left, *others)]
            pairs = zip(ops, itertools.pairwise(numbers), strict=True)
            return all(COMPARISONS[type(op)](*pair) for op, pair in pairs)
        case ast.Constant(value=value):
            return value
        case ast.Call(func=ast.Name(id=name), args=[ast.GeneratorExp(elt=elt, generators=loops)]):
            return OVER_MEMBERS[name](_value(elt, inner) for _, inner in _bound(loops, groups))
        case ast.Call(func=ast.Name(id=name), args=[argument]) if is_sample(argument):
            return OVER_SEEDS[name](_sample(argument, groups))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return OVER_NUMBERS[name](*(_value(argument, groups) for argument in arguments))
    raise AssertionError(f"unchecked node {ast.dump(node)}")


def _sample(node: Any, groups: Groups) -> Sample:
    """The figure's values over the seeds of one setting."""
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        _, make = OF_GROUPS[node.func.id]
        return make(*(_setting(group, groups) for group in node.args))
    records = _setting(node.value, groups)
    sample = Sample.of(records, node.attr) if _measured(records, node.attr) else None
    if sample is None or len(sample.values) < len(records):
        raise ValueError(f"{ast.unparse(node)} was not measured: no trigger, or another probe")
    return sample


def _measured(records: Any, figure: str) -> bool:
    return any(one.report.figure(figure) is not None for one in records)


def _setting(node: ast.expr, groups: Groups) -> Any:
    """The records of one setting."""
    found = _group(node, groups)
    if isinstance(found, Mapping):
        raise ValueError(
            f"{ast.unparse(node)} holds several settings, {', '.join(map(str, found))}: name one, "
            "or test each of them"
        )
    return found


def _group(node: ast.expr, groups: Groups) -> Any:
    match node:
        case ast.Name(id=name):
            return _member(groups, name, "the groups")
        case ast.Subscript(value=group, slice=ast.Constant(value=key)):
            return _member(_group(group, groups), key, ast.unparse(group))
        case ast.Subscript(value=group, slice=ast.Name(id=name)):
            key = _member(groups, name, "the groups")
            if isinstance(key, Mapping | list):
                raise ValueError(f"{name} is no name: go through names(..) for one")
            return _member(_group(group, groups), key, ast.unparse(group))
        case ast.Call(func=ast.Name(id=name), args=[group, *keys]):
            found, chosen = _group(group, groups), [key.value for key in keys]  # type: ignore[attr-defined]  # constants
            for key in chosen:
                _member(found, key, ast.unparse(group))
            return {k: v for k, v in found.items() if (k in chosen) == (name == "only")}
    raise AssertionError(f"unchecked node {ast.dump(node)}")


def _member(found: Any, key: Any, where: str) -> Any:
    if not isinstance(found, Mapping):
        raise ValueError(f"{where} is one setting and has no {key!r}")
    if key not in found:
        raise ValueError(f"{key!r} is not in {where}; there are: {', '.join(map(str, found))}")
    return found[key]


def _bound(loops: list[ast.comprehension], groups: Groups) -> Iterator[tuple[str, Groups]]:
    """The members of a loop, by the names of all their loops, each with the groups and itself."""
    first, *rest = loops
    assert isinstance(first.target, ast.Name)
    names = called(first.iter) == NAMES
    found = _group(first.iter.args[0] if names else first.iter, groups)  # type: ignore[attr-defined]  # a call
    if not isinstance(found, Mapping) or not found:
        raise ValueError(f"{ast.unparse(first.iter)} has no members to go through")
    for key, member in found.items():
        inner: Groups = ChainMap({first.target.id: key if names else member}, groups)  # type: ignore[arg-type]  # is only read
        if not rest:
            yield str(key), inner
            continue
        for name, innermost in _bound(rest, inner):
            yield f"{key}, {name}", innermost
