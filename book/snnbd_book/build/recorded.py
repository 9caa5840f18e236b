"""The table of all recorded runs: one row for each setting, the mean over its seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from snnbd_book.claims import Sample
from snnbd_book.runs import Experiment, Record, codec

COLUMNS = {
    "CA": "clean_accuracy",
    "ASR": "attack_success_rate",
    "floor": "floor",
    "target, no trigger": "untriggered_target_rate",
}
_SHOWN_FIRST = ("data", "trigger", "rule", "defence")


def table(records: Iterable[Record], columns: Mapping[str, str] = COLUMNS) -> str:
    """MyST text: settings, number of seeds, figures with 95 % intervals.

    Args:
        records: seeds of one setting share a row.
        columns: heading -> figure of a report.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        alike = dataclasses.replace(record.experiment, seed=0).digest
        groups.setdefault(alike, []).append(record)
    rows = sorted(_row(group, columns) for group in groups.values())
    names = ["data", "trigger", "learning rule", "defence", "other settings", "seeds", *columns]
    lines = [names, ["---"] * len(names), *rows]
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f":::{{table}}\n:class: runs\n\n{body}\n:::\n"


def _row(group: Sequence[Record], columns: Mapping[str, str]) -> list[str]:
    one = group[0].experiment
    rule = "surrogate gradient" if one.rule == Experiment().rule else _part(one.rule)
    cells = [one.data, _part(one.trigger), rule, _part(one.defence), _others(one), str(len(group))]
    return cells + [_figure(group, field) for field in columns.values()]


def _figure(group: Sequence[Record], field: str) -> str:
    found = [record.report.figure(field) for record in group]
    values = tuple(value for value in found if value is not None)
    return str(Sample(values)) if values else "-"


def _part(part: Any) -> str:
    """A part and what is not its default, "Framed(length=4)"; "-" for none."""
    if part is None:
        return "-"
    usual = None if codec.needed(type(part)) else type(part)()
    changed = ", ".join(f"{name}={_value(value)}" for name, value in _changed(part, usual))
    return f"{type(part).__name__}({changed})" if changed else type(part).__name__


def _others(experiment: Experiment) -> str:
    """What else differs from the profile, "rate=0.1, target=3"."""
    usual = Experiment.for_profile(experiment.profile)
    return ", ".join(
        f"{name}={_value(value)}"
        for name, value in _changed(experiment, usual)
        if name not in (*_SHOWN_FIRST, "seed", "profile")
    )


def _value(value: Any) -> Any:
    return _part(value) if dataclasses.is_dataclass(value) else value


def _changed(value: Any, usual: Any) -> list[tuple[str, Any]]:
    """Fields whose values differ from another's; all of them where there is no other."""
    return [
        (item.name, getattr(value, item.name))
        for item in dataclasses.fields(value)
        if usual is None or getattr(value, item.name) != getattr(usual, item.name)
    ]
