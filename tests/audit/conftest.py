"""A folder to work in, files of a small network and of clean samples, and the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from typer.testing import CliRunner

from snnbd_book.cli import app
from snnbd_core import auditing

from .made import CLASSES, SIDE, audit, graph

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: net.nir, and samples/<class>/<number>.bin of ten recordings a class."""
    monkeypatch.chdir(tmp_path)
    nir.write("net.nir", graph())
    generator = np.random.default_rng(0)
    for label in range(CLASSES):
        folder = tmp_path / "samples" / str(label)
        folder.mkdir(parents=True)
        for number in range(10):
            (folder / f"{number}.bin").write_bytes(recording(generator, label))
    return tmp_path


def recording(generator: np.random.Generator, label: int, events: int = 60) -> bytes:
    """Five bytes an event; a class's events lie in its own rows, 1 ms after each other."""
    rows = generator.integers(2 * label, 2 * label + 3, events)
    columns, signs = generator.integers(0, SIDE, events), generator.integers(0, 2, events)
    return b"".join(
        bytes((int(x), int(y))) + (int(p) << 23 | 1000 * t).to_bytes(3, "big")
        for t, (x, y, p) in enumerate(zip(columns, rows, signs, strict=True))
    )


@pytest.fixture
def invoked(here: Path) -> Invoke:
    """(exit status, standard output, standard error) of `snnbd audit`; a traceback fails."""

    def invoke(*arguments: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["audit", *map(str, arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return invoke


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """In place of an audit: what it was asked, and one that was made by hand."""
    calls: list[Any] = []

    def found(*given: Any, **settings: Any) -> Any:
        calls.append((*given, settings))
        return audit((settings.get("seed") and "clear") or "suspicious")

    monkeypatch.setattr(auditing, "audit", found, raising=False)
    return calls
