"""Records as files of their own beside the pages that lead to them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from snnbd_book.runs import Record

FOLDER = "records"


def address(record: Record) -> str:
    """Where a record lies, as seen from a page in the folder that `write` was given."""
    return f"{FOLDER}/{record.key}.json"


def write(records: Iterable[Record], folder: Path) -> None:
    """Writes each record once, below a folder of pages."""
    (folder / FOLDER).mkdir(exist_ok=True)
    for name, record in {address(record): record for record in records}.items():
        if not (folder / name).exists():
            text = json.dumps(record.to_dict(), indent=1) + "\n"
            (folder / name).write_text(text, encoding="utf-8")
