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

import snnbd_book
import snnbd_core
from snnbd_book.build.settings import Book, Chapter, Parameters

DISTRIBUTION = "snnbd"


def key(chapter: Chapter, parameters: Parameters) -> str:
    """Hash of everything the output of a chapter depends on.

    That is: the notebook (code and text), the parameters, every file of ``snnbd_core`` and
    ``snnbd_book``, the claims and the recorded results, the locked versions, the versions really
    installed, Python, and, outside the quick profile, the folder that real data is read from.
    """
    digest = hashlib.sha256()
    facts = {
        "parameters": parameters.values,
        "python": platform.python_version(),
        "versions": installed_versions(),
        "data": os.environ.get("SNNBD_DATA", "") if parameters.profile != "quick" else "",
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    digest.update(chapter.notebook.read_bytes())
    for path in _inputs(chapter.root):
        digest.update(f"\n{path.name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


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


def _inputs(root: Path) -> Iterable[Path]:
    packages = [Path(package.__file__ or "").parent for package in (snnbd_core, snnbd_book)]
    files = [
        path
        for package in packages
        for path in package.rglob("*")
        if path.suffix not in (".pyc", ".nbc", ".nbi")
    ]
    files += (root / "claims").rglob("*.yaml")
    files += (root / "results" / "recorded").glob("*.jsonl")
    files.append(root / "constraints.txt")
    return sorted(path for path in files if path.is_file())
