"""The generated page *How far figures repeat*: what verifications found, on which processors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from snnbd_book.runs import Record, all_recorded
from snnbd_book.verify import Comparison, Entry, Groups, draw, entries
from snnbd_book.verify.comparing import BEGINNING, UNTRAINED, checks
from snnbd_book.verify.judging import LEVEL, power

PAGE = "book/repeating"
_UNKNOWN = "a processor that was not written down"
_HEAD = """# How far figures repeat

Every table and figure of a chapter comes from **records**: runs that were made once and
committed, each with its code, data, versions, processor, seed and time. A build reads them. It
trains only the small networks that a chapter looks into. So the same figures stand on every
machine, and text and figures belong together.

Whether the records still hold is proved apart from the build:

- `snnbd verify --minutes 5` runs a random sample again, drawn by the day's date, and compares.
  Every check of this project does so for three minutes, and a job goes through all
  records within a week.
- `snnbd stale` lists the records that other code made. A record knows the modules that its own
  trigger, rule, network and defence use: an edit of one defence makes that defence's records
  stale. `snnbd reproduce --stale` runs these again.
- `make reproduce` runs every run of the book on your machine and says what agrees.

## What agrees

On the kind of processor that made a record, the same code gives **equal bits**.

Other kinds add numbers in another order. Trainings then drift apart, as with another seed.
There, these must be equal: sizes of samples, epochs, the schedule; what no training stands
behind (how much a trigger shows, to {untrained:g}); the loss of the first epoch, before
rounding has grown (to {beginning:g}). No two seeds of a setting may share their losses. Every
other figure is tested: the variance of a difference of two rates is that of two binomial ones
plus twice that over seeds, of two numbers twice that over seeds, with Satterthwaite's degrees
of freedom. One more test for each figure sums over all records and finds a change that is small
in each and the same in all. Holm's correction holds the whole sample at {level:g}: of a hundred
samples in which nothing changed, one is accused.

{power}

## The records

| made on | records |
|---|---:|
{kinds}

## Verifications

{history}
"""
_POWER = """What a sample finds depends on its size. On other processors than the records', and with
two cores, a change that is the same in all runs is found four times in five from:

| figure | {heads} |
|---|{lines}
{rows}

The tests of this project put four faults in and find each: a trigger that moved by one pixel, a
surrogate of half the slope, a seed that was used twice, a success rate that counts the target
class in."""
_MINUTES = (5, 60)
_CORES = 2
_SHOWN = {"clean accuracy": "clean_accuracy", "success": "attack_success_rate", "floor": "floor"}
_NONE = "None is recorded yet: `snnbd verify --record` adds a line."


def write(folder: Path) -> None:
    """Writes the page into the staged book."""
    text = page(all_recorded(), entries())
    (folder / PAGE).with_suffix(".md").write_text(text, encoding="utf-8")


def page(records: Sequence[Record], history: Sequence[Entry]) -> str:
    """MyST text."""
    kinds = Counter(record.provenance.processor or _UNKNOWN for record in records)
    rows = [f"| {kind} | {count} |" for kind, count in kinds.most_common()]
    return _HEAD.format(
        untrained=UNTRAINED,
        beginning=BEGINNING,
        level=LEVEL,
        power=_power(records),
        kinds="\n".join(rows),
        history=_history(history) if history else _NONE,
    )


def _power(records: Sequence[Record]) -> str:
    """What samples of some minutes would find, by the spread of the records' own seeds."""
    groups = Groups(records)
    found, heads = [], []
    for minutes in _MINUTES:
        chosen = draw(records, "power", 60 * minutes * _CORES)
        found.append(
            power([Comparison(r, r, False, (), tuple(checks(r, r, groups))) for r in chosen])
        )
        heads.append(f"{minutes} minutes, {len(chosen)} runs")
    rows = [
        f"| {words} | {' | '.join(_points(one.get(name)) for one in found)} |"
        for words, name in _SHOWN.items()
    ]
    return _POWER.format(heads=" | ".join(heads), lines="---:|" * len(heads), rows="\n".join(rows))


def _points(change: float | None) -> str:
    return "-" if change is None else f"{100 * change:.1f} points"


def _breakable(processor: str) -> str:
    """The settings of a processor may be broken, so that their column leaves room for others."""
    return processor.replace("_", "_<wbr>").replace("=", "=<wbr>")


def _history(history: Sequence[Entry]) -> str:
    head = (
        "| date (UTC) | run on | records made on | equal | agree | differ | minutes |\n"
        "|---|---|---|---:|---:|---:|---:|\n"
    )
    rows = [
        f"| {entry.date[:16].replace('T', ' ')} | {_breakable(entry.processor)} | "
        f"{'; '.join(f'{count} {kind}' for kind, count in entry.made_on.items())} | "
        f"{entry.equal} | {entry.agrees} | {entry.differs} | {entry.seconds / 60:.1f} |"
        for entry in reversed(history)
    ]
    differing = [
        f"- {entry.date[:16].replace('T', ' ')}: {reason}"
        for entry in reversed(history)
        for reason in entry.reasons
    ]
    text = head + "\n".join(rows)
    return text + ("\n\nWhat differed:\n\n" + "\n".join(differing) if differing else "")
