"""Does TMPBD find backdoors where the read-out sums currents up, and is never reset?

    python -m benchmarks.summed_margins [--out FILE]

The networks are those of chapter 7, ten clean and ten attacked ones on images, trained as there.
After training the read-out's threshold is set out of reach. Half an hour of one core.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

import snnbd_core as sb
from benchmarks.measure import machine
from snnbd_book.chapters import Runs
from snnbd_book.chapters import a_backdoor_in_the_network as chapter
from snnbd_book.claims.intervals import area_of_networks
from snnbd_book.runs import Record, network, test_sets
from snnbd_book.runs.provenance import git_state
from snnbd_core.defenses.detectors import Verdict
from snnbd_core.files import write_atomically
from snnbd_core.neurons import spiking_layers

OUT = Path(__file__).parent / "results" / "summed_margins.json"
OUT_OF_REACH = 1e6


def main(out: Annotated[Path, typer.Option(help="Where results are written.")] = OUT) -> None:
    """Judge the networks of chapter 7 by margins of summed currents."""
    torch.set_num_threads(1)
    commit, dirty = git_state()
    groups = Runs(chapter.grid, "quick", 0, "cpu").group("of_images")["potential margins, SNN"]
    found: dict[str, list[Verdict]] = {}
    for kind, records in groups.items():
        for record in records:
            verdict = judged(record)
            typer.echo(f"{kind}, seed {record.experiment.seed}: {verdict}")
            found.setdefault(kind, []).append(verdict)
    held = {**summary(found), "commit": commit, "dirty": dirty, "machine": machine(1)}
    text = json.dumps(held, indent=1) + "\n"
    write_atomically(out, lambda file: file.write(text.encode()))


def judged(record: Record) -> Verdict:
    """What the record's detector says of its network, whose read-out neither fires nor is reset."""
    one = record.experiment
    net = network(one, device="cpu", progress=False)
    clean, _ = test_sets(one)
    with sb.override(spiking_layers(net)[-1], threshold=OUT_OF_REACH):
        verdict: Verdict = one.probe.inspect(
            net, clean, seed=one.seed, device="cpu", steps=one.frames
        )
    return verdict


def summary(found: dict[str, list[Verdict]], target: int = 0) -> dict[str, Any]:
    """Scores, accused networks, those accused of the target, and the area with its interval."""
    scores = {kind: [one.score for one in verdicts] for kind, verdicts in found.items()}
    area, (low, high) = area_of_networks(scores["clean"], scores["attacked"])
    return {
        "scores": scores,
        "accused": {kind: sum(one.backdoored for one in rows) for kind, rows in found.items()},
        "of": {kind: len(rows) for kind, rows in found.items()},
        "right": sum(one.backdoored and one.target == target for one in found["attacked"]),
        "area": [area, low, high],
    }


if __name__ == "__main__":
    typer.run(main)
