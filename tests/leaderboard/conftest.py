"""One record that tests change as they need: runs are not done for figures that are worked out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from snnbd_book.runs import Experiment, Record, parts
from snnbd_core.metrics import Rate

Make = Callable[..., Record]


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    """Classes of a test's files are forgotten after it."""
    known = dict(parts.TRIGGERS)
    yield
    for name in parts.TRIGGERS.keys() - known:
        del parts.TRIGGERS[name]


@pytest.fixture(scope="session")
def committed_one(project: Path) -> Record:
    """Any record."""
    path = project / "results" / "recorded" / "mnist.jsonl"
    with path.open("rb") as file:
        return Record.from_line(file.readline(), str(path))


@pytest.fixture
def made(committed_one: Record) -> Make:
    """``made(experiment, success, accuracy, seconds, **extra)``: counts of 100 samples."""

    def make(
        experiment: Experiment,
        success: int | None = None,
        accuracy: int = 90,
        seconds: float = 1.0,
        **extra: object,
    ) -> Record:
        report = replace(
            committed_one.report,
            clean_accuracy=Rate(accuracy, 100),
            attack_success_rate=None if success is None else Rate(success, 100),
            floor=None if success is None else Rate(2, 100),
            extra=extra,
        )
        provenance = replace(committed_one.provenance, seconds=seconds)
        return replace(committed_one, experiment=experiment, report=report, provenance=provenance)

    return make
