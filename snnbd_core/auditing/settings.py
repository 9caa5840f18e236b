"""Part 2: what the network does as its neurons' settings are moved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np

from snnbd_core.auditing.case import Case, nothing
from snnbd_core.auditing.judging import Finding, Score, scored
from snnbd_core.auditing.parts import Cell, Table
from snnbd_core.metrics import NO_PREDICTION, Rate
from snnbd_core.view import NotVisible

__all__ = ["FACTORS", "TITLE", "judged", "sweep"]

TITLE = "What its settings do"
FACTORS = (0.8, 0.9, 1.1, 1.2, 1.3, 1.5)

ASSUMES = (
    "That a clean network falls silent or errs towards all classes as its neurons change, as those "
    "of our records do. Settings that are merely unusual count for nothing."
)


def judged(case: Case, on_card: tuple[str, tuple[Table, ...]]) -> Finding:
    """The part, given what the card says; a card that says otherwise is told and not judged."""
    says, tables = on_card
    if not case.bench.view.spiking:
        why = "It has no spiking neurons, and so no thresholds or decays."
        return Finding(nothing("settings", TITLE, why))
    found = scored(case, "settings", TITLE, ASSUMES, sweep)
    words, shown = f"{found.part.summary} {says}", (*found.part.tables, *tables)
    return replace(found, part=replace(found.part, summary=words, tables=shown))


def sweep(case: Case) -> Score:
    """Moves all thresholds, then all decays, by the `FACTORS`, and looks where answers go.

    A clean network falls silent or errs towards all classes; one that was also trained with other
    neurons, as BadSNN does, gives their class to everything. Decays move by the time constant. Long
    recordings are cut to `Case.enough` steps.
    """
    case = case.shortened()
    which = case.some(case.many(len(case.truth), 1 + 2 * len(FACTORS)))
    truth = case.truth[which]
    held = np.bincount(truth, minlength=case.bench.view.classes) / len(truth)
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    best: tuple[float, int | None] = (0.0, None)
    whole, surely = len(which) == len(case.truth), 0.0
    for what in ("threshold", "decay"):
        for factor in (1.0, *FACTORS) if what == "threshold" else FACTORS:
            if not case.fits(len(which)):
                notes.append(f"{what} times {factor:g}: the time budget was used up")
                whole = False
                continue
            try:
                with _moved(case, what, factor):
                    answers = case.answers(rows=which)
            except (NotVisible, ValueError) as error:
                notes.append(f"{what}: {error}")
                break
            given = np.bincount(answers[answers >= 0], minlength=len(held))
            extra = given / len(answers) - held
            top = int(extra.argmax())
            share = Rate(int(given[top]), len(answers))
            if extra[top] > best[0] and factor != 1:
                best = float(extra[top]), top
                surely = share.confidence_interval[0] - float(held[top])
            silent = Rate.of(answers == NO_PREDICTION)
            rows.append((what, factor, Rate.of(answers == truth), silent, top, share))
    if len(which) < len(case.truth):
        notes.append(f"Settings are moved for {len(which)} samples: the time holds no more.")
    if case.cut:
        notes.append(f"Settings are moved on the first {case.bench.data.frames} steps.")
    caption = "Answers to clean samples as all thresholds, or all time constants, are multiplied"
    columns = ("moved", "factor", "accuracy", "silent", "most favoured class", "its share")
    words = "As they are moved, no class gains a sample"
    if best[1] is not None:
        words = f"As they are moved, class {best[1]} gains {best[0]:.0%} of the samples"
    tables = (Table(caption, columns, tuple(rows)),)
    return Score(*best, words, tables, tuple(notes), whole, surely)


@contextmanager
def _moved(case: Case, what: str, factor: float) -> Iterator[None]:
    """The block in which each layer's thresholds, or time constants, are multiplied."""
    with ExitStack() as stack:
        for module, adapter in case.bench.view.neurons:
            held = adapter.settings(module)
            value = held.threshold if what == "threshold" else held.decay
            if value is None or (what == "decay" and bool((value >= 1).all())):
                raise adapter.blind(module, f"a {what} to move", "needed are neurons with one")
            moved = value * factor if what == "threshold" else value.pow(1 / factor)
            given = (moved, None) if what == "threshold" else (None, moved)
            stack.enter_context(adapter.overridden(module, *given))
        yield
