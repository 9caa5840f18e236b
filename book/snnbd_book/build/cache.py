"""Executed chapters, kept until something their output depends on changes."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import nbformat

import snnbd_book
import snnbd_core
from snnbd_book.build.settings import Book, Chapter, Parameters
from snnbd_book.runs import results_dir

DISTRIBUTION = "snnbd"
_COMPILED = (".pyc", ".nbc", ".nbi", ".object")
_SOURCES = ("book", "notebooks", "claims", "results", "benchmarks/results")
_NOT_OF_CHAPTERS = ("build", "verify", "cli.py")


def key(chapter: Chapter, parameters: Parameters) -> str:
    """Hash of everything the output of a chapter depends on.

    That is: the notebook's code (its text and captions are put to the outputs afterwards), the
    parameters, every file of ``snnbd_core`` and of the rooms of ``snnbd_book`` that a chapter can
    use, the claims and the committed records, the locked versions, the versions really installed,
    Python, and, outside the quick profile, the folder that real data is read from.
    """
    digest = hashlib.sha256()
    real = parameters.profile != "quick"
    facts = {**_facts(parameters), "data": os.environ.get("SNNBD_DATA", "") if real else ""}
    digest.update(json.dumps(facts, sort_keys=True).encode())
    digest.update(json.dumps(_code(chapter.notebook)).encode())
    for path in _inputs(chapter.root):
        digest.update(f"\n{path.name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def everything(book: Book, parameters: Parameters) -> str:
    """Hash of all that a build of the whole book depends on, and of what it built.

    Where it is what it was after a build that ended well, there is nothing to do: all else would
    read every record and every page again.
    """
    digest = hashlib.sha256()
    facts = {**_facts(parameters), "data": os.environ.get("SNNBD_DATA", "")}
    digest.update(json.dumps(facts, sort_keys=True).encode())
    folders = [book.root / name for name in _SOURCES]
    folders += [book.html, results_dir(), *_packages()]
    files = {path for folder in folders for path in folder.rglob("*")} | set(book.root.glob("*.*"))
    for path in sorted(files):
        if path.is_file() and path.suffix not in _COMPILED:
            digest.update(f"\n{path} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def of_files(folder: Path) -> str:
    """Hash of all files below a folder, their names included, but for compiled ones."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in _COMPILED):
        digest.update(f"\n{path.relative_to(folder)} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stored(book: Book, chapter: Chapter, parameters: Parameters) -> Path:
    """Where the executed copy of a chapter is kept; the file is there if the chapter is done."""
    label = f"{parameters.profile}.{parameters.seed}.{parameters.device}"
    name = f"{chapter.name}.{label}.{key(chapter, parameters)}.ipynb"
    return book.build / "executed" / name


def drop_older(path: Path) -> None:
    """Removes the copies of the same chapter and parameters that ``path`` supersedes."""
    prefix = path.name.rsplit(".", 2)[0]
    for other in path.parent.glob(f"{prefix}.*.ipynb"):
        if other != path:
            other.unlink()


def installed_versions() -> dict[str, str]:
    """The installed version of each package the library itself requires (not of its extras).

    Extras are left out so that installing the test tools does not run the chapters anew.
    """
    required = metadata.requires(DISTRIBUTION) or []
    names = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required if "extra" not in line]
    return {name: metadata.version(name) for name in sorted(names)}


def _facts(parameters: Parameters) -> dict[str, object]:
    return {
        "parameters": parameters.values,
        "python": platform.python_version(),
        "versions": installed_versions(),
    }


def _packages() -> list[Path]:
    return [Path(package.__file__ or "").parent for package in (snnbd_core, snnbd_book)]


def _code(notebook: Path) -> list[list[object]]:
    """Source and tags of all code cells."""
    cells = nbformat.read(notebook, as_version=4).cells
    return [
        [cell.source, cell.metadata.get("tags", [])] for cell in cells if cell.cell_type == "code"
    ]


def _inputs(root: Path) -> Iterable[Path]:
    files = [
        path
        for package in _packages()
        for path in package.rglob("*")
        if path.suffix not in _COMPILED
        and path.relative_to(package).parts[0] not in _NOT_OF_CHAPTERS
    ]
    files += (root / "claims").rglob("*.yaml")
    files += (root / "results" / "recorded").glob("*.jsonl")
    files.append(root / "constraints.txt")
    return sorted(path for path in files if path.is_file())
