"""The code that a run's numbers come from: the modules that its parts use, found by reading them.

A module depends on those whose names it uses. Three uses change no number and are passed over:
annotations, the second argument of ``isinstance``, and tables of a package's ``__init__``, such as
that of all defences: an experiment's own defence is followed from its class. A module of the book
that only describes runs says ``CHANGES_NO_NUMBER = True``. Loaders are not followed either: what
a data set holds is in its fingerprint, which records have besides.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnbd_core.data import FrameDataset, ImageDataset

if TYPE_CHECKING:
    from snnbd_book.runs.settings import Experiment

CHANGES_NO_NUMBER = True

_HOUSES = ("snnbd_core", "snnbd_book")
_TRUNK = tuple(f"snnbd_book.runs.{name}" for name in ("computing", "resolving", "twins"))
# What is loaded is compared by its content.
_LOADED = "snnbd_core.data.load"
_SETS = (FrameDataset.__module__, ImageDataset.__module__)


def fingerprint(experiment: Experiment) -> str:
    """16 hex digits over `modules` of an experiment, without comments, docstrings and layout."""
    return _digest(frozenset(modules(experiment)))


def modules(experiment: Experiment) -> list[str]:
    """The modules that an experiment's numbers come from, sorted."""
    names = ("neuron", "trigger", "rule", "defence", "probe")
    parts = {written for name in names for written in _written_in(getattr(experiment, name))}
    found: set[str] = set()
    for start in (*_TRUNK, *_SETS, *parts):
        found |= _closure(start)
    return sorted(found)


def _written_in(part: Any) -> Iterator[str]:
    """The module of a part's class, and those of the parts in its fields."""
    yield type(part).__module__
    for item in fields(part) if is_dataclass(part) else ():
        value = getattr(part, item.name)
        if is_dataclass(value):
            yield from _written_in(value)


def meaning(source: str) -> str:
    """What a source says to Python: its syntax tree, docstrings left out."""
    tree = ast.parse(source)
    for node in [tree, *_statements(tree)]:
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree)


@functools.cache
def _digest(names: frozenset[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name} {_meaning_hash(name)}\n".encode())
    return digest.hexdigest()[:16]


@functools.cache
def _meaning_hash(name: str) -> str:
    return hashlib.sha256(meaning(_path(name).read_text(encoding="utf-8")).encode()).hexdigest()


@functools.cache
def _closure(start: str) -> frozenset[str]:
    """A module and all that it leads to; empty for one of another package."""
    found: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name in found or not _counts(name):
            continue
        found.add(name)
        todo += _read(name).uses
    return frozenset(found)


def _counts(name: str) -> bool:
    """Whether a module can change a number: of the two houses, not marked."""
    return name.split(".")[0] in _HOUSES and _read(name).counts


@dataclass(frozen=True)
class _Module:
    """What a module uses of the houses, and whether it can change a number.

    `provides` says of each imported name where it comes from, `defines` names its functions and
    classes.
    """

    uses: tuple[str, ...]
    provides: Mapping[str, str]
    defines: frozenset[str]
    counts: bool


@functools.cache
def _read(name: str) -> _Module:
    tree = ast.parse(_path(name).read_text(encoding="utf-8"))
    names = dict(_imported(tree))
    marked = any(
        isinstance(node, ast.Assign) and ast.unparse(node) == "CHANGES_NO_NUMBER = True"
        for node in tree.body
    )
    written = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    visitor = _Uses(names)
    for node in written if _is_package(name) else tree.body:
        visitor.visit(node)
    origins = (_origin(used) for used in visitor.found)
    uses = {origin for origin in origins if origin is not None and origin != name}
    defines = frozenset(node.name for node in written)
    return _Module(tuple(sorted(uses)), names, defines, not marked)


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Name in a module -> the full name of what it stands for, of the houses' own only."""
    for node in _statements(tree):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if _is_ours(alias.name):
                    yield (
                        alias.asname or alias.name.split(".")[0],
                        (alias.name if alias.asname else alias.name.split(".")[0]),
                    )


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements within one, at any depth, without their expressions, which are many."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, field, ()):
            yield child
            yield from _statements(child)


class _Uses(ast.NodeVisitor):
    """Collects the full dotted names of what a module uses, see the module's docstring."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.found: set[str] = set()

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted, value = [node.attr], node.value
        while isinstance(value, ast.Attribute):
            dotted.append(value.attr)
            value = value.value
        if isinstance(value, ast.Name) and value.id in self.names:
            self.found.add(".".join([self.names[value.id], *reversed(dotted)]))
        else:
            self.visit(value)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in self.names:
            self.found.add(self.names[node.id])

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            self.visit(node.args[0])
            return
        if isinstance(node.func, ast.Attribute) and node.func.attr == "import_module":
            self.found |= set(_chosen(node.args[0]))
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        """Passes over an argument's annotation."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for part in (*node.decorator_list, node.args, *node.body):
            self.visit(part)


def _chosen(name: ast.expr) -> Iterator[str]:
    """The modules that ``import_module(f"package.{name}")`` chooses from."""
    start = name.values[0] if isinstance(name, ast.JoinedStr) else name
    if isinstance(start, ast.Constant) and _is_ours(str(start.value)):
        package = str(start.value).rstrip(".")
        for found in pkgutil.iter_modules(_spec(package).submodule_search_locations):
            yield f"{package}.{found.name}"


def _origin(dotted: str) -> str | None:
    """The module that a full dotted name is written in; None for a table of an ``__init__``."""
    if dotted == _LOADED:
        return None
    parts = dotted.split(".")
    name, rest = parts[0], parts[1:]
    # From the package down: to ask for what is in a module would import it.
    while rest and _is_package(name) and _exists(f"{name}.{rest[0]}"):
        name, rest = f"{name}.{rest[0]}", rest[1:]
    if not _is_package(name):
        return name
    if not rest:
        return None
    package, wanted = _read(name), rest[0]
    if wanted in package.defines:
        return name
    found = package.provides.get(wanted)
    return None if found is None else _origin(".".join([found, *rest[1:]]))


def _is_ours(name: str) -> bool:
    return name.split(".")[0] in _HOUSES


@functools.cache
def _spec(name: str) -> Any:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None


def _exists(name: str) -> bool:
    return _spec(name) is not None


def _is_package(name: str) -> bool:
    return _spec(name).submodule_search_locations is not None


def _path(name: str) -> Path:
    return Path(_spec(name).origin)
