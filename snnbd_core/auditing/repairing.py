"""Part 6: repairs, each tried on a copy of the network."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from snnbd_core import checks
from snnbd_core.auditing.case import Case, led, unjudged
from snnbd_core.auditing.parts import Cell, Part, Table
from snnbd_core.data import as_set
from snnbd_core.defenses import REPAIRS

__all__ = ["TITLE", "TRIED", "repaired", "tried"]

TITLE = "What can be done"
TRIED = ("ChannelLipschitz", "Reestimated", "FineTuning", "FinePruning")
_CHEAP, _DEAR = 3, 300  # passes of each clean sample, roughly
_BRIEF = ("ChannelLipschitz", "Reestimated", "Mismatch", "RandomThreshold")


def repaired(
    net: nn.Module, clean: Any, name: str, *, seed: int = 0, device: str = "auto", steps: int = 4
) -> nn.Module:
    """A repaired copy of a network, by a repair of `snnbd_core.defenses.REPAIRS`.

    Args:
        net: left as it is.
        clean: clean samples of every class, any set that `snnbd_core.data.as_set` takes.
        name: of the repair; it has the settings that it has without arguments.
        seed, device, steps: as for `snnbd_core.defenses.Repair.repair`.

    Raises:
        ValueError: an unknown name, or as the repair.
        NotVisible: a network that does not show what the repair needs.
    """
    kind = REPAIRS[checks.choice("name", name, REPAIRS)]
    return kind().repair(net, as_set(clean), seed=seed, device=device, steps=steps)


def tried(case: Case, name: str | None) -> Part:
    """The part that says what repairs do, of one repair or of those that are `TRIED`."""
    bench = case.bench
    rows: list[tuple[Cell, ...]] = [("nothing", case.right(case.answers()), led(case))]
    notes: list[str] = []
    for each in TRIED if name is None else (name,):
        if not case.fits((_CHEAP if each in _BRIEF else _DEAR) * len(case.truth)):
            notes.append(f"{each}: the time budget would not hold it")
            continue
        try:
            settings: dict[str, Any] = {"seed": bench.seed, "steps": bench.steps}
            free = copy.deepcopy(bench.net).requires_grad_()  # looked at, weights are fixed
            other_net = repaired(free, bench.data, each, device=str(bench.device), **settings)
            with case.asking(other_net) as other:
                rows.append((each, other.right(other.answers()), led(other)))
        except (ValueError, RuntimeError) as error:
            notes.append(f"{each}: {error}")
    caption = "Copies of the network after a repair; accuracy is on the samples that repaired it"
    table = Table(caption, ("repair", "accuracy", "led by the strongest trigger"), tuple(rows))
    done = ", ".join(str(row[0]) for row in rows[1:]) or "none"
    words = f"Repairs tried on a copy: {done}. The network itself is as it was."
    return unjudged("repairs", TITLE, words, [table], *notes)
