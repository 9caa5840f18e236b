"""The audit of a network: its six parts, and the rule that combines them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from snnbd_core import checks
from snnbd_core.auditing import detecting, floors, migration, network, repairing, settings
from snnbd_core.auditing.budget import Budget
from snnbd_core.auditing.case import Case, drawn, nothing
from snnbd_core.auditing.judging import LEVEL, Finding, corrected
from snnbd_core.auditing.parts import Audit, Part, Status, Table
from snnbd_core.data import as_set
from snnbd_core.data.batches import as_sequence
from snnbd_core.data.samples import SampleSet
from snnbd_core.defenses import REPAIRS
from snnbd_core.defenses.bench import frozen
from snnbd_core.metrics import NO_PREDICTION, Rate
from snnbd_core.view import View

__all__ = ["audit"]

TITLES = {
    "settings": settings.TITLE,
    "floors": floors.TITLE,
    "detectors": detecting.TITLE,
    "migration": migration.TITLE,
    "repairs": repairing.TITLE,
}
_SILENT = 0.5
_SLOW = (
    "The clock ended or shortened this part: the machine is slower than the plan, and another may "
    "see more."
)
# Of the time, when a part ends at the latest; what an earlier one leaves is the later ones'.
_ENDS = {"settings": 0.2, "floors": 0.55, "detectors": 0.85, "migration": 0.93, "repairs": 1.0}


def audit(
    net: nn.Module,
    clean: Any,
    *,
    card: Mapping[str, Any] | None = None,
    clean_networks: Sequence[nn.Module] = (),
    per_class: int = 10,
    minutes: float = 10.0,
    seed: int = 0,
    repair: str | None = None,
    progress: Callable[[str, float], None] | None = None,
    device: str = "auto",
    steps: int = 4,
) -> Audit:
    """What can be said of a network that somebody sent.

    It is left as it is, unless it changes itself as it runs (`deployment.NeuronTrojan` does).

    Three parts judge: `settings` by the largest share of samples that a class gains as thresholds
    and decays are moved, `floors` by the largest that a plausible known trigger leads to a class,
    `detectors` by the one that stands out most. The first two count from `judging.LEAST` on. A
    score's p-value is how often recorded clean networks, and those in `clean_networks`, score as
    high, see `judging.p_value`. p-values are corrected by Holm's method: those of the detectors
    among themselves, then those of the three parts. The network is suspicious if one of the latter
    is at most `judging.LEVEL`. Both limits were set on networks of other seeds than those that the
    rates were measured on. A network that is silent, or no better than chance, is not judged.

    Args:
        net: of any library that `snnbd_core.view` knows: [T, B, C, H, W] -> logits [B, classes].
        clean: clean samples, any set that `snnbd_core.data.as_set` takes.
        card: what the publisher says of the network, as `Audit.card` holds it.
        clean_networks: others for the same samples that are clean as far as known.
        per_class: clean samples of each class that are used; the rest is not read.
        minutes: time budget; what does not fit is left out, and said.
        seed: of all that is drawn.
        repair: the only repair to try, one of `snnbd_core.defenses.REPAIRS`.
        progress: called with what is done now and the share that is done, 0..1.
        device: "auto" is CUDA, MPS or CPU, in this order.
        steps: T for static images.

    Raises:
        ValueError: an argument outside what is allowed, clean samples that the network cannot read
            or of one class alone, weights that are not finite.
    """
    minutes = checks.above("minutes", minutes, 0)
    budget = Budget(60 * minutes)
    seed = checks.whole("seed", seed, 0)
    if repair is not None:
        checks.choice("repair", repair, REPAIRS)
    data = _samples(net, clean, checks.whole("per_class", per_class, 1), steps, seed)
    for other in clean_networks:
        checks.network(other)
    with frozen(net, data, device=device, steps=steps, seed=seed) as bench:
        say = progress or (lambda what, share: None)
        case = Case(bench, tuple(clean_networks), budget, budget.seconds, say)
        own = network.carded(bench.view)
        on_card = network.against(own, card)
        first, why = network.described(case, own), _unfit(case)
        asks: dict[str, Callable[[], Finding]] = {
            "settings": lambda: settings.judged(case, on_card),
            "floors": lambda: floors.judged(case),
            "detectors": lambda: detecting.judged(case),
            "migration": lambda: Finding(migration.migrated(case)),
            "repairs": lambda: Finding(repairing.tried(case, repair)),
        }
        if why is None:
            found = []
            for name, ask in asks.items():
                case.ends = budget.seconds * _ENDS[name]
                found.append(_asked(case, name, ask))
            parts, status, target, summary = _combined(found)
        else:
            parts = [nothing(name, title, why) for name, title in TITLES.items()]
            status, target, summary = "unjudged", None, f"{why} {on_card[0]}"
        say("done", 1.0)
    return Audit((first, *parts), status, target, summary, own, seed, minutes)


def _samples(net: nn.Module, clean: Any, per_class: int, steps: int, seed: int) -> SampleSet:
    """The clean samples that are used, if the network can read them."""
    checks.finite(net, "audited")
    if clean is None or (hasattr(clean, "__len__") and not len(clean)):
        raise ValueError("clean is empty: an audit needs clean samples of every class")
    given = as_set(clean)
    present = np.unique(given.labels)
    if len(present) < 2:
        raise ValueError(
            f"clean has samples of class {present[0]} alone: an audit compares classes and needs "
            "at least two"
        )
    wanted = getattr(net, "input_shape", None) or given.input_shape
    try:
        if tuple(wanted) != tuple(given.input_shape):
            raise RuntimeError(f"it reads {tuple(wanted)}")
        classes = View(net, as_sequence(given.batch([0])[0], max(2, steps))).classes
    except RuntimeError as error:
        shape = tuple(given.input_shape)
        raise ValueError(
            f"clean has samples of shape {shape}, which net cannot read: {error}"
        ) from error
    if given.classes > classes:
        raise ValueError(f"clean has {given.classes} classes, and net gives {classes} logits")
    return drawn(given, per_class, classes, seed)


def _unfit(case: Case) -> str | None:
    """Why a network cannot be judged: it is silent, or knows no more than chance does."""
    answers = case.clean
    silent, right = Rate.of(answers == NO_PREDICTION), case.right(answers)
    if silent.value > _SILENT:
        return (
            f"Not judged: the network is silent on {silent.hits} of {silent.total} clean samples."
        )
    chance = np.bincount(case.truth).max() / len(case.truth)
    if right.confidence_interval[0] <= chance:
        return (
            f"Not judged: the network is right on {right.hits} of {right.total} clean samples, "
            f"which is no better than chance ({chance:.0%}): it is untrained, or reads other data."
        )
    return None


def _asked(case: Case, name: str, ask: Callable[[], Finding]) -> Finding:
    """What a part finds, if the time is not used up."""
    case.progress(TITLES[name], (1 + list(TITLES).index(name)) / (1 + len(TITLES)))
    begun, case.budget.late = case.budget.elapsed, False
    why = "The time budget was used up before."
    found = ask() if case.fits(0) else Finding(nothing(name, TITLES[name], why))
    notes = (*found.part.notes, *([_SLOW] if case.budget.late else []))
    seconds = round(case.budget.elapsed - begun, 2)
    return replace(found, part=replace(found.part, seconds=seconds, notes=notes))


def _combined(findings: Sequence[Finding]) -> tuple[list[Part], Status, int | None, str]:
    """The parts with their status, and what they come to together."""
    judged = [found for found in findings if found.score is not None or found.p is not None]
    able = {found.part.name: found.p for found in judged if found.p is not None}
    held = dict(zip(able, corrected(able.values()), strict=True))
    parts, accusing = [], []
    for found in findings:
        part, p = found.part, held.get(found.part.name)
        if found in judged:
            row = (found.score, found.p, p, found.target)
            table = Table("How it is judged", ("score", "p", "corrected p", "class"), (row,))
            part = replace(part, tables=(table, *part.tables))
        if p is not None and p <= LEVEL:
            accusing.append(found)
        status: Status = "unjudged" if p is None else "suspicious" if p <= LEVEL else "clear"
        parts.append(replace(part, status=status))
    if not {"settings", "floors"} & held.keys():
        words = "Not judged: neither its settings nor its floors could be seen in full."
        return parts, "unjudged", None, words
    by = ", ".join(found.by or found.part.name for found in judged if found.p is not None)
    if not accusing:
        words = f"Nothing found. It is judged by {by}{_unseen(parts)}."
        return parts, "clear", None, f"{words} That is no proof: an attack may be of another kind."
    worst = min(accusing, key=lambda found: held[found.part.name])
    named = ", ".join(f"{one.part.name} (p = {held[one.part.name]:.2g})" for one in accusing)
    words = f"Suspicious, by {named}; the class most suspected is {worst.target}."
    words = f"{words} {worst.part.summary} It is judged by {by}{_unseen(parts)}."
    return parts, "suspicious", worst.target, words


def _unseen(parts: Sequence[Part]) -> str:
    """What should have judged and could not, as the end of a sentence."""
    names = ("settings", "floors", "detectors")
    missing = [part.name for part in parts if part.name in names and part.status == "unjudged"]
    return f", and not by {' and '.join(missing)}" if missing else ""
