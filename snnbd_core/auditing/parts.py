"""What an audit says: parts with their tables, and the judgement that they lead to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from snnbd_core.metrics import Rate

__all__ = ["SCHEMA", "Audit", "Cell", "Part", "Status", "Table"]

SCHEMA = 1

Status = Literal["clear", "suspicious", "unjudged"]
Cell = str | int | float | Rate | None


@dataclass(frozen=True)
class Table:
    """Rows under named columns; a cell of None could not be seen."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Part:
    """One part of an audit.

    Attributes:
        name: "network", "settings", "floors", "detectors", "migration" or "repairs".
        title: a heading.
        status: "unjudged" for the parts that judge nothing too.
        summary: what was found, in a sentence or two.
        assumes: what the judgement assumes.
        false_alarms: how many clean networks trip it by its score alone: reference networks where
            some were given, else those of our records; None where it is not known.
        tables: the numbers.
        notes: what could not be seen or done, and why.
        seconds: what it took.
    """

    name: str
    title: str
    status: Status
    summary: str
    assumes: str
    false_alarms: Rate | None
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Audit:
    """All parts, and what they come to.

    Attributes:
        parts: in the order in which they were done.
        status: of the combined rule; "unjudged" if no judging part could judge.
        target: the class most suspected; None where there is none.
        summary: the judgement in words.
        card: what its publisher should say of the network; see `defenses.detectors.card`.
        seed: of all that was drawn.
        minutes: the time budget.
    """

    parts: tuple[Part, ...]
    status: Status
    target: int | None
    summary: str
    card: dict[str, Any]
    seed: int
    minutes: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; a rate is {"hits", "total", "low", "high"}, what is not finite is None."""
        return {"schema": SCHEMA, **_plain(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Audit:
        """The inverse of `to_json`.

        Raises:
            ValueError: another schema than this version's, missing or unknown fields.
        """
        if values.get("schema") != SCHEMA:
            raise ValueError(f"schema={values.get('schema')!r} is unknown; allowed: {SCHEMA}")
        try:
            given = {name: value for name, value in values.items() if name != "schema"}
            return cls(**{**given, "parts": tuple(_part(part) for part in given["parts"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"values hold no audit of schema {SCHEMA}: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Rate):
        low, high = value.confidence_interval
        return {"hits": value.hits, "total": value.total, "low": low, "high": high}
    if isinstance(value, Audit | Part | Table):
        return {name: _plain(held) for name, held in vars(value).items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(held) for name, held in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _part(values: Mapping[str, Any]) -> Part:
    tables = tuple(
        Table(held["caption"], tuple(held["columns"]), tuple(map(_row, held["rows"])))
        for held in values["tables"]
    )
    revived = {"tables": tables, "notes": tuple(values["notes"])}
    return Part(**{**values, **revived, "false_alarms": _cell(values["false_alarms"])})


def _row(values: list[Any]) -> tuple[Cell, ...]:
    return tuple(map(_cell, values))


def _cell(value: Any) -> Any:
    return Rate(value["hits"], value["total"]) if isinstance(value, Mapping) else value
