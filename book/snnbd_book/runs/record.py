"""A run's result: one line of JSON that shows when it was cut short or edited."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snnbd_book.runs import codec, schema
from snnbd_book.runs.provenance import Provenance
from snnbd_book.runs.settings import Experiment
from snnbd_core.learning import History
from snnbd_core.metrics import Rate, Report

CHANGES_NO_NUMBER = True

FORMAT = 2
_PARTS = ("record", "format", "schema", "hash", "experiment", "report", "history", "provenance")


class CorruptRecord(ValueError):  # noqa: N818 - named like CorruptData
    """A record's line is not as it was written; names file, line and what does not fit."""


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
    def key(self) -> str:
        """ "<name>-<hash>": what its line begins with."""
        return f"{self.experiment.name}-{self.experiment.hash}"

    def to_dict(self) -> dict[str, Any]:
        """All but the checksum, in JSON's types."""
        return {
            "record": self.key,
            "format": FORMAT,
            "schema": schema.CURRENT,
            "hash": self.experiment.digest,
            "experiment": self.experiment.to_dict(),
            "report": codec.plain(self.report.to_dict()),
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

    def to_line(self) -> bytes:
        """One line of JSON that begins with the record's key and ends with a checksum."""
        values = self.to_dict()
        values["checksum"] = _checksum(values)
        return json.dumps(values, separators=(",", ":"), allow_nan=False).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes, where: str) -> Record:
        """A record as it was written.

        Args:
            line: what `to_line` gave.
            where: file and number of the line, for errors.

        Raises:
            CorruptRecord: a line that is cut short, edited, of another format, or no record.
        """
        values = _parse(line, where)
        checksum = values.pop("checksum", None)
        if checksum != _checksum(values):
            raise CorruptRecord(_message(where, "its checksum does not fit: it was edited"))
        try:
            return cls.from_dict(values)
        except (ValueError, TypeError) as error:
            raise CorruptRecord(_message(where, str(error))) from error


def intervals(report: Report) -> dict[str, list[float]]:
    """The 95 % intervals of a report's rates, by name."""
    return {
        name: [round(bound, 6) for bound in rate.confidence_interval]
        for name, rate in (vars(report) | report.extra).items()
        if isinstance(rate, Rate)
    }


def _parse(line: bytes, where: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorruptRecord(_message(where, f"it is not whole JSON: {error}")) from error
    if not isinstance(values, dict) or not isinstance(values.get("format"), int):
        raise CorruptRecord(_message(where, f"it is no record of format {FORMAT}"))
    for name, known in (("format", FORMAT), ("schema", schema.CURRENT)):
        if isinstance(values.get(name), int) and values[name] > known:
            reason = f"a newer version wrote it, in {name} {values[name]}: this one knows {known}"
            raise CorruptRecord(_message(where, reason))
    if set(values) != {*_PARTS, "checksum"} or values["format"] != FORMAT:
        raise CorruptRecord(_message(where, f"it is no record of format {FORMAT}"))
    return values


def _checksum(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(codec.canonical(values).encode()).hexdigest()


def _message(where: str, reason: str) -> str:
    return (
        f"the record in {where} cannot be trusted: {reason}. "
        "Restore the line, or remove it and run again"
    )
