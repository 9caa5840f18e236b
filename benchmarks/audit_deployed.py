"""What does an audit see of networks that were changed on a device, or on their way to it?

    python -m benchmarks.audit_deployed [--seeds 3] [--out FILE]

Networks of the quick profile: clean, with BadSNN that sleeps at its nominal threshold, and with a
backdoor that wakes at 4 bits. Each is audited as it was shipped and as it is on the device, with
the card that an audit wrote of it as shipped. What is found is added to the file at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

import snnbd_core as sb
from benchmarks.audit_rates import scores
from benchmarks.audit_received import add
from benchmarks.measure import commit, machine
from snnbd_book.chapters.low_bits import ASLEEP, ATTACKS, FLIPS
from snnbd_book.runs import Experiment, network, resolve
from snnbd_core.attacks import WakesRounded
from snnbd_core.auditing import Audit, budget
from snnbd_core.deployment import BitFlips, Latch, LowBits, NeuronTrojan
from snnbd_core.view import View

OUT = Path(__file__).parent / "results" / "audit_deployed.json"
SHIPPED: dict[str, dict[str, Any]] = {
    "clean": {},
    "BadSNN, asleep": ASLEEP,
    "wakes at 4 bits": {**ATTACKS["static"], "rule": WakesRounded(bits=4)},
}
TROJANS = {
    "a Trojan, asleep": NeuronTrojan(count=10),
    "one neuron awake": NeuronTrojan(awake=True),
    "ten neurons awake": NeuronTrojan(count=10, awake=True),
}
CHANGED: dict[str, dict[str, Any]] = {
    "clean": {"3 thresholds": BitFlips(), **TROJANS},
    "BadSNN, asleep": {name: one for name, one in FLIPS.items() if one is not None},
    "wakes at 4 bits": {"4 bits": LowBits(weights=4)},
}


def main(
    seeds: Annotated[int, typer.Option(help="Networks of each kind.")] = 3,
    out: Annotated[Path, typer.Option(help="Where results are added.")] = OUT,
) -> None:
    """Train networks, change copies of them, audit all."""
    torch.set_num_threads(1)
    budget.clock = time.process_time  # whatever else runs beside it
    for seed in range(seeds):
        for kind, fields in SHIPPED.items():
            run = Experiment.for_profile("quick", seed=seed, **fields)
            card = None
            for name, net in _copies(run, kind):
                key = f"{kind}, {name}, seed {seed}"
                found = sb.audit(
                    net,
                    resolve(run).test,
                    card=card,
                    repair="RandomThreshold",
                    device="cpu",
                    steps=run.frames,
                )
                card = card or found.card
                row = {"kind": kind, "change": name, "seed": seed, **told(found, net)}
                add(out, key, row, machine=machine(1))
                typer.echo(f"{key}: {row['status']}")


def _copies(run: Experiment, kind: str) -> Iterator[tuple[str, nn.Module]]:
    """The network as it was shipped, and then as it is on the device."""
    net = network(run, device="cpu", progress=False).eval()
    yield "as shipped", net
    for name, change in CHANGED[kind].items():
        yield name, change.apply(net)


def told(found: Audit, net: nn.Module) -> dict[str, Any]:
    """What an audit finds, by its parts."""
    parts = {part.name: part for part in found.parts}
    judged, seen = parts["settings"], View(net)
    moved = parts["migration"].tables[0].rows if parts["migration"].tables else ()
    return {
        "accuracy": float(found.parts[0].tables[1].rows[0][1]),
        "status": found.status,
        "class": found.target,
        "summary": found.summary,
        "by": [part.name for part in found.parts if part.status == "suspicious"],
        "scores": scores(found),
        "differs": [
            row[:2]
            for table in judged.tables
            if table.columns[-2:] == ("card", "network")
            for row in table.rows
        ],
        "led": {row[0]: row[3].value for row in moved if row[3] is not None},
        "awake": any(bool(one.awake) for one in seen.net.modules() if isinstance(one, Latch)),
        "commit": commit(),
    }


if __name__ == "__main__":
    typer.run(main)
