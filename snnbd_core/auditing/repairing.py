"""Part 6: repairs, each tried on a copy of the network."""

from __future__ import annotations

from typing import Any

from torch import nn

from snnbd_core import checks
from snnbd_core.auditing.case import Case, led, unjudged
from snnbd_core.auditing.parts import Cell, Part, Table
from snnbd_core.data import as_set
from snnbd_core.defenses import REPAIRS
from snnbd_core.defenses.bench import Bench, frozen
from snnbd_core.guards import Guard

__all__ = ["TITLE", "TRIED", "repaired", "tried"]

TITLE = "What can be done"
TRIED = ("ChannelLipschitz", "Reestimated", "FineTuning", "FinePruning")
_CHEAP, _DEAR = 3, 100  # passes of each clean sample: 30 epochs forward and backward
_BRIEF = ("ChannelLipschitz", "Reestimated", "Mismatch", "RandomThreshold")


def repaired(
    net: nn.Module, clean: Any, name: str, *, seed: int = 0, device: str = "auto", steps: int = 4
) -> nn.Module:
    """A repaired copy of a network, by a repair of `snnbd_core.defenses.REPAIRS`.

    Args:
        net: left as it is.
        clean: clean samples of every class, any set that `snnbd_core.data.as_set` takes. Long
            recordings are cut to the first steps, as many as the network needs.
        name: of the repair; it has the settings that it has without arguments.
        seed, device, steps: as for `snnbd_core.defenses.Repair.repair`.

    Raises:
        ValueError: an unknown name, or as the repair.
        NotVisible: a network that does not show what the repair needs.
        FloatingPointError: a repair whose training diverges.
    """
    checks.choice("name", name, REPAIRS)
    with frozen(net, as_set(clean), device=device, steps=steps, seed=seed) as bench:
        return _repaired(Case(bench).shortened().bench, name)


def _repaired(bench: Bench, name: str) -> nn.Module:
    free = checks.copied(bench.net)
    for path, weight in free.named_parameters():  # looked at, weights are fixed
        weight.requires_grad_(Guard.named(path) is None)
    given: dict[str, Any] = {"seed": bench.seed, "steps": bench.steps}
    return REPAIRS[name]().repair(free, bench.data, device=str(bench.device), **given)


def tried(case: Case, name: str | None) -> Part:
    """The part that says what repairs do, of one repair or of those that are `TRIED`."""
    rows: list[tuple[Cell, ...]] = [("nothing", case.right(case.clean), led(case))]
    short, notes = case.shortened(), list[str]()
    for each in TRIED if name is None else (name,):
        passes = (_CHEAP if each in _BRIEF else _DEAR) * len(case.truth)
        if not short.fits(passes):
            notes.append(f"{each}: the time budget would not hold it")
            continue
        try:
            with short.budget.spending(passes * short.cost):
                net = _repaired(short.bench, each)
            with case.asking(net) as other:
                rows.append((each, other.right(other.answers()), led(other)))
        except (ValueError, RuntimeError, ArithmeticError) as error:
            notes.append(f"{each}: {error}")
    if short.cut:
        notes.append(f"Repairs are given the first {short.bench.data.frames} steps.")
    caption = "Copies of the network after a repair; right are of the samples, in full length"
    table = Table(caption, ("repair", "accuracy", "led by the strongest trigger"), tuple(rows))
    done = ", ".join(str(row[0]) for row in rows[1:]) or "none"
    words = f"Repairs tried on a copy: {done}. The network itself is as it was."
    return unjudged("repairs", TITLE, words, [table], *notes)
