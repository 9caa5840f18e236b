"""A run's result: one small JSON file that shows when it was cut short or edited."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnbd_book.runs import codec
from snnbd_book.runs.provenance import Provenance
from snnbd_book.runs.settings import Experiment
from snnbd_core.files import write_atomically
from snnbd_core.learning import History
from snnbd_core.metrics import Rate, Report

FORMAT = 1
_PARTS = ("format", "hash", "experiment", "report", "intervals", "history", "provenance")


class CorruptRecord(ValueError):  # noqa: N818 - named like CorruptData
    """A record's file is not as it was written; names the file and what does not fit."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a run gave.

    Attributes:
        experiment: the settings.
        report: what was measured on the test set, rates with their counts and intervals.
        history: the training, epoch by epoch.
        provenance: code, data, versions, machine, time, memory.
    """

    experiment: Experiment
    report: Report
    history: History
    provenance: Provenance

    @property
    def file_name(self) -> str:
        """ "<name>-<hash>.json"."""
        return f"{self.experiment.name}-{self.experiment.hash}.json"

    def to_dict(self) -> dict[str, Any]:
        """The file's content but for its checksum, in JSON's types.

        "intervals" (95 %, Wilson) repeats what follows from the report's counts, for readers of
        the file.
        """
        report = codec.plain(self.report.to_dict())
        found = vars(self.report) | self.report.extra
        return {
            "format": FORMAT,
            "hash": self.experiment.digest,
            "experiment": self.experiment.to_dict(),
            "report": report,
            "intervals": {
                name: [round(bound, 6) for bound in rate.confidence_interval]
                for name, rate in found.items()
                if isinstance(rate, Rate)
            },
            "history": codec.plain(self.history.to_dict()),
            "provenance": codec.plain(self.provenance.to_dict()),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """The inverse of `to_dict`.

        Raises:
            ValueError: a part that its own class refuses.
        """
        return cls(
            experiment=Experiment.from_dict(values["experiment"]),
            report=Report.from_dict(values["report"]),
            history=History.from_dict(values["history"]),
            provenance=Provenance.from_dict(values["provenance"]),
        )

    def write(self, folder: Path) -> Path:
        """Writes the file whole or not at all; makes the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        values = self.to_dict()
        values["checksum"] = _checksum(values)
        text = json.dumps(values, indent=1, allow_nan=False) + "\n"
        path = folder / self.file_name
        write_atomically(path, lambda file: _all(file.write(text.encode())), "SNNBD_RESULTS")
        return path

    @classmethod
    def read(cls, path: Path) -> Record:
        """A record as it was written.

        Raises:
            CorruptRecord: a file that is cut short, edited, of another format, or not a record.
        """
        values = _parse(path)
        checksum = values.pop("checksum", None)
        if set(values) != set(_PARTS) or values["format"] != FORMAT:
            raise CorruptRecord(_message(path, f"it is not a record of format {FORMAT}"))
        if checksum != _checksum(values):
            raise CorruptRecord(_message(path, "its checksum does not fit: it was edited"))
        try:
            return cls.from_dict(values)
        except (ValueError, TypeError) as error:
            raise CorruptRecord(_message(path, str(error))) from error


def _parse(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorruptRecord(_message(path, f"it is not whole JSON: {error}")) from error
    if not isinstance(values, dict):
        raise CorruptRecord(_message(path, f"it is not a record of format {FORMAT}"))
    return values


def _checksum(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(codec.canonical(values).encode()).hexdigest()


def _message(path: Path, reason: str) -> str:
    return (
        f"record {path} cannot be trusted: {reason}. "
        "Restore it, or remove it (or pass fresh=True) to run again"
    )


def _all(_: int) -> None:
    """A file opened for writing by buffer takes all bytes; its count is of no use here."""
