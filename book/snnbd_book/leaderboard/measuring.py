"""A reader's attack against every defence, one after the other, until the time is up."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snnbd_book.leaderboard.cells import DEFENCES, Cell, cell, runs_of
from snnbd_book.leaderboard.own import AttackError, Own, placed, tried
from snnbd_book.leaderboard.rows import Find, Row, committed, row_of
from snnbd_book.runs import CorruptRecord, Experiment, Record, fitted_trigger, run, test_sets
from snnbd_core.poisoning import check_target
from snnbd_core.view import NotVisible

__all__ = ["How", "measured", "planned"]


@dataclass(frozen=True)
class How:
    """How an attack is measured.

    Attributes:
        data: a key of `SETS`.
        rate: share of the training samples that are poisoned.
        target: the attacker's class.
        seed: of the network.
        minutes: after so many no other defence is begun.
        device: as for `runs.run`.
        results: the folder for records; default as `results_dir`.
    """

    data: str = "digits-events"
    rate: float = 0.1
    target: int = 0
    seed: int = 0
    minutes: float = 10.0
    device: str = "auto"
    results: Path | None = None


def planned(own: Own, how: How, only: Sequence[str] = ()) -> list[Cell]:
    """The cells of an attack: all defences, or those that are named.

    Raises:
        ValueError: an unknown defence, or settings that an experiment refuses.
    """
    names = DEFENCES[how.data]
    for name in only:
        if name not in names:
            raise ValueError(f"--defence {name!r} is unknown; allowed: {', '.join(names)}")
    fields = {"trigger": own.trigger, "rate": how.rate, "target": how.target}
    seeds = range(how.seed, how.seed + 1)
    runs_of(how.data, seeds, fields)  # what is wrong without a defence is no defence's affair
    return [cell(how.data, own.name, fields, name, seeds) for name in only or names]


def measured(own: Own, cells: Sequence[Cell], how: How) -> Iterator[Row]:
    """A row for each cell, as soon as it is measured.

    The network is trained once and, where its record or weights are at hand, not at all. What is
    beside it, networks that nobody attacked, comes from the book's records.

    Raises:
        ValueError: the attack's own fault, naming file, place and remedy; DataNotFound likewise.
    """
    end = time.monotonic() + 60 * how.minutes
    beside = committed()
    ready = False
    for one in cells:
        if one.why:
            yield Row(one)
            continue
        if time.monotonic() > end:
            yield Row(replace(one, why=f"not begun: the {how.minutes:g} minutes were over"))
            continue
        if not ready:
            _try(own, one.before[0] if one.before else one.runs[0], how)
            ready = True
        yield _measured(own, one, how, beside)


def _try(own: Own, experiment: Experiment, how: How) -> None:
    """Refuses an attack that is none, then trains under it: no defence is at fault here."""
    plain = replace(experiment, defence=None, probe=None)
    with placed(own):
        trigger = fitted_trigger(plain, device=how.device, progress=False)
    reported = test_sets(plain)[1]
    check_target(how.target, reported.classes)
    tried(own, trigger, reported)
    with placed(own):
        run(plain, results=how.results, device=how.device, progress=False)


def _measured(own: Own, one: Cell, how: How, beside: Find) -> Row:
    found: dict[str, Record] = {}
    try:
        for experiment in (*one.before, *one.runs):
            with placed(own):
                found[experiment.hash] = run(
                    experiment, results=how.results, device=how.device, progress=False
                )
    except (AttackError, CorruptRecord):
        raise
    except (ArithmeticError, NotVisible, ValueError) as error:  # of a defence, on this network
        return Row(replace(one, runs=(), why=str(error)))
    return row_of(one, lambda wanted: found.get(wanted.hash) or beside(wanted))
