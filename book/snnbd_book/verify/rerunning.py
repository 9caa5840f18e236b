"""Experiments run anew, apart from all records and trained networks that are stored."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from snnbd_book import sweeps
from snnbd_book.runs import Experiment, Record, records_in
from snnbd_core.files import cache_dir


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
        if frame.empty:
            return [], {}
        failed = frame[frame["status"] == "failed"]
        return records_in(results), dict(zip(failed["hash"], failed["error"], strict=True))


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
