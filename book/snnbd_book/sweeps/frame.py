"""Records as one tidy table: a row per run, a column per field and figure."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnbd_book.runs import Experiment, Record
from snnbd_core.files import write_atomically
from snnbd_core.metrics import Rate, Report

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".parquet", ".csv")
# The report's target is a field of the experiment already.
_FIGURES = tuple(field.name for field in fields(Report) if field.name not in ("target", "extra"))
_PROVENANCE = ("commit", "dirty", "device", "seconds", "peak_memory", "date")


def to_frame(
    items: Sequence[Experiment], records: Mapping[str, Record], errors: Mapping[str, str]
) -> pd.DataFrame:
    """One row per experiment, in their order.

    Columns: hash, status ("done" or "failed"), error (the traceback), the experiment's fields
    ("trigger.size", "neuron.beta", ...), the report's figures (a rate with its ends as
    "figure.low" and "figure.high"; lists of scores stay in the records), and from the provenance
    commit, dirty, device, seconds, peak_memory (bytes; on a CPU the most that the worker's process
    has held so far, its earlier runs included) and date. What a run does not have is missing.
    """
    import pandas as pd  # here, for workers of a sweep do without

    rows = []
    for item in items:
        row: dict[str, Any] = {
            "hash": item.hash,
            "status": "done" if item.hash in records else "failed",
            "error": errors.get(item.hash),
            **_flat(item.to_dict()),
            **dict.fromkeys(_FIGURES + _PROVENANCE),
        }
        if item.hash in records:
            row |= _results(records[item.hash])
        rows.append(row)
    return pd.DataFrame(rows)


def write_frame(frame: pd.DataFrame, path: Path | str) -> Path:
    """Writes the table whole, as its suffix says: .parquet (needs pyarrow) or .csv.

    Raises:
        ValueError: another suffix.
    """
    path = Path(path)
    buffer = io.BytesIO()
    if path.suffix == ".parquet":
        _mixed_as_text(frame).to_parquet(buffer, index=False)
    elif path.suffix == ".csv":
        frame.to_csv(buffer, index=False)
    else:
        raise ValueError(f"out={str(path)!r} must end in one of {', '.join(SUFFIXES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = buffer.getvalue()

    def write(file: Any) -> None:
        file.write(content)

    write_atomically(path, write)
    return path


def _results(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {}
    figures = {name: getattr(record.report, name) for name in _FIGURES} | record.report.extra
    for name, value in figures.items():
        if isinstance(value, list):
            continue
        if isinstance(value, Rate):
            row[name] = value.value
            row[f"{name}.low"], row[f"{name}.high"] = value.confidence_interval
        else:
            row[name] = value
    return row | {name: getattr(record.provenance, name) for name in _PROVENANCE}


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """{"trigger": {"size": 0.1}} -> {"trigger.size": 0.1}; a position in pixels as "3,4"."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": item for inner, item in _flat(value).items()}
        elif isinstance(value, list):
            flat[name] = ",".join(str(item) for item in value)
        else:
            flat[name] = value
    return flat


def _mixed_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns without any value get a type that Parquet knows."""
    empty = [name for name in frame.columns if frame[name].isna().all()]
    return frame.astype(dict.fromkeys(empty, "string"))
