"""Experiments run anew: apart from all that is stored, or into a folder that is gone on with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from snnbd_book import sweeps
from snnbd_book.runs import Experiment, Record, records_in
from snnbd_book.verify.choosing import at_once
from snnbd_core.files import cache_dir

if TYPE_CHECKING:
    import pandas as pd


def rerun(
    experiments: Sequence[Experiment], seconds: float, *, console: Console
) -> tuple[list[Record], dict[str, str]]:
    """Runs experiments side by side for so long; what is not done by then is left out.

    Returns:
        The records, and the errors of runs that failed, by the experiments' hashes.
    """
    with _apart() as results:
        frame = sweeps.run(
            experiments, workers=sweeps.fitting(), results=results, seconds=seconds, console=console
        )
        return (records_in(results), _errors(frame)) if len(frame) else ([], {})


def again(
    experiments: Sequence[Experiment],
    results: Path,
    device: str,
    begin: float | None,
    *,
    first: Sequence[str],
    console: Console,
) -> tuple[dict[str, str], int]:
    """Runs what has no record in a folder yet, with as many workers as cores and memory allow.

    Args:
        experiments: in any number, also none.
        results, device, begin, first, console: as for `sweeps.run`.

    Returns:
        The errors of runs that failed, by the experiments' hashes, and how many were not begun.
    """
    if not experiments:
        return {}, 0
    frame = sweeps.run(
        experiments,
        scheduler=os.environ.get("SNNBD_SCHEDULER") or None,
        workers=at_once(experiments, device),
        results=results,
        device=device,
        begin=begin,
        first=first,
        console=console,
    )
    return _errors(frame), len({one.hash for one in experiments}) - len(frame)


def _errors(frame: pd.DataFrame) -> dict[str, str]:
    if frame.empty:
        return {}
    failed = frame[frame["status"] == "failed"]
    return dict(zip(failed["hash"], failed["error"], strict=True))


@contextmanager
def _apart() -> Iterator[Path]:
    """A results folder and a cache of its own, in which only the data sets are known."""
    before, stored = os.environ.get("SNNBD_CACHE"), cache_dir()
    with tempfile.TemporaryDirectory(prefix="snnbd-verify-") as name:
        cache = Path(name) / "cache"
        cache.mkdir()
        for entry in stored.iterdir():
            if entry.is_file() or entry.name == "data":
                (cache / entry.name).symlink_to(entry)
        os.environ["SNNBD_CACHE"] = str(cache)
        try:
            yield Path(name) / "results"
        finally:
            if before is None:
                del os.environ["SNNBD_CACHE"]
            else:
                os.environ["SNNBD_CACHE"] = before
