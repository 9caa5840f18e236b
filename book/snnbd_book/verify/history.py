"""What verifications found, a line each: an append-only file beside the records."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from snnbd_book.runs import CorruptRecord, results_dir
from snnbd_book.runs.locking import locked

FILE = Path("verified", "history.jsonl")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One verification.

    Attributes:
        date: UTC, ISO 8601.
        seed: of the sample.
        commit: of the code that ran.
        processor: the kind that it ran on.
        made_on: kind of processor -> how many of the sampled records it made.
        equal, agrees, differs: how many records of each verdict.
        reasons: what differs, a sentence each.
        seconds: that it took.
    """

    date: str
    seed: str
    commit: str | None
    processor: str
    made_on: Mapping[str, int]
    equal: int
    agrees: int
    differs: int
    reasons: tuple[str, ...]
    seconds: float


def now() -> str:
    """The time, UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def append(entry: Entry, results: Path | str | None = None) -> Path:
    """Adds a line; those before it stay as they are, also where the clock went backwards."""
    folder = results_dir(results)
    path = folder / FILE
    with locked(folder / ".locks" / "verified.lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(entry), separators=(",", ":")) + "\n"
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
    return path


def entries(results: Path | str | None = None) -> list[Entry]:
    """All verifications, in the order in which they were done.

    Raises:
        CorruptRecord: a line that is damaged; names it.
    """
    path = results_dir(results) / FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_entry(line, f"line {number} of {path}") for number, line in enumerate(lines, 1)]


def _entry(line: str, where: str) -> Entry:
    try:
        values: dict[str, Any] = json.loads(line)
        return Entry(**{**values, "reasons": tuple(values["reasons"])})
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        names = ", ".join(field.name for field in fields(Entry))
        raise CorruptRecord(f"{where} is no verification ({names}): {error}") from error
