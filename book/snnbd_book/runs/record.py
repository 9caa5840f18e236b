"""A run's result: one small JSON file that shows when it was cut short or edited."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnbd_book.runs import codec, schema
from snnbd_book.runs.provenance import Provenance
from snnbd_book.runs.settings import Experiment
from snnbd_core.files import write_atomically
from snnbd_core.learning import History
from snnbd_core.metrics import Rate, Report

FORMAT = 1
_PARTS = {"format", "schema", "hash", "experiment", "report", "intervals", "history", "provenance"}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


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
        return {
            "format": FORMAT,
            "schema": schema.CURRENT,
            "hash": self.experiment.digest,
            "experiment": self.experiment.to_dict(),
            "report": codec.plain(self.report.to_dict()),
            "intervals": intervals(self.report),
            "history": codec.plain(self.history.to_dict()),
            "provenance": codec.plain(self.provenance.to_dict()),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """The inverse of `to_dict`; settings of an older schema are read as what they meant.

        Raises:
            ValueError: an unknown schema, a part that its own class refuses.
        """
        settings = schema.migrated(values["experiment"], values.get("schema", 1))
        return cls(
            experiment=Experiment.from_dict(settings),
            report=Report.from_dict(values["report"]),
            history=History.from_dict(values["history"]),
            provenance=Provenance.from_dict(values["provenance"]),
        )

    def write(self, folder: Path) -> Path:
        """Writes the file whole or not at all; makes the folder.

        Raises:
            OSError: naming the folder and ``$SNNBD_RESULTS`` where the disk is full.
        """
        folder.mkdir(parents=True, exist_ok=True)
        values = self.to_dict()
        values["checksum"] = _checksum(values)
        text = json.dumps(values, indent=1, allow_nan=False) + "\n"
        path = folder / self.file_name
        try:
            write_atomically(path, lambda file: codec.write_all(file, text.encode()))
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise OSError(
                error.errno,
                f"no space left in {folder} for the record {path.name}; nothing was kept of it. "
                "Free some space there, or point $SNNBD_RESULTS at a folder with more",
            ) from error
        return path

    @classmethod
    def read(cls, path: Path) -> Record:
        """A record as it was written.

        Raises:
            CorruptRecord: a file that is cut short, edited, of another format, or not a record.
        """
        return cls.parse(path, path.read_bytes())

    @classmethod
    def parse(cls, path: Path, content: bytes) -> Record:
        """A record from the bytes of its file, which errors name; see `read`."""
        values = _parse(path, content)
        checksum = values.pop("checksum", None)
        if {"schema", *values} != _PARTS or values["format"] != FORMAT:
            raise CorruptRecord(_message(path, f"it is not a record of format {FORMAT}"))
        if checksum != _checksum(values):
            raise CorruptRecord(_message(path, "its checksum does not fit: it was edited"))
        try:
            return cls.from_dict(values)
        except (ValueError, TypeError) as error:
            raise CorruptRecord(_message(path, str(error))) from error


def intervals(report: Report) -> dict[str, list[float]]:
    """The 95 % intervals of a report's rates, by name."""
    return {
        name: [round(bound, 6) for bound in rate.confidence_interval]
        for name, rate in (vars(report) | report.extra).items()
        if isinstance(rate, Rate)
    }


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        values = json.loads(content)
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
