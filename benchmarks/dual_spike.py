"""What one pass for both halves of dual-spike learning saves against two passes in every step.

    python -m benchmarks.dual_spike [--rounds 8] [--epochs 3] [--out FILE]

Both train the quick profile's network on its events, by turns, with one thread. One pass needs a
threshold for each sample and mixes the batch norm's statistics; two passes share them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.measure import by_turns, machine, summary
from snnbd_book.runs import Experiment, datasets
from snnbd_core.attacks.badsnn import DualSpike
from snnbd_core.files import write_atomically
from snnbd_core.learning import Task
from snnbd_core.networks import build

PASSES = {"one": DualSpike(), "two": DualSpike(batch_norm="shared")}


def task(epochs: int) -> Task:
    """A training of the quick profile on clean events."""
    usual = Experiment.for_profile("quick")
    train, _ = datasets(usual)
    return Task(
        build=lambda: build(
            usual.network, train.input_shape, train.classes, usual.neuron.build, seed=0
        ),
        clean=train,
        poisoned=train,
        trigger=None,
        rate=0.0,
        target=0,
        epochs=epochs,
        batch_size=usual.batch_size,
        learning_rate=usual.learning_rate,
        loss=usual.loss,
        steps=usual.frames,
        seed=0,
        device=torch.device("cpu"),
    )


def main(
    rounds: Annotated[int, typer.Option(min=2, help="Trainings of each kind.")] = 8,
    epochs: Annotated[int, typer.Option(min=1, help="Of each training.")] = 3,
    out: Annotated[Path | None, typer.Option(help="A file for the figures, JSON.")] = None,
) -> None:
    """Measure one pass against two."""
    torch.set_num_threads(1)
    given = task(epochs)
    runs = {name: lambda rule=rule: rule.fit(given) for name, rule in PASSES.items()}
    seconds = by_turns(runs, rounds, warmup=1)
    figures = {
        "machine": machine(1),
        "epochs": epochs,
        "training": {name: summary(times) for name, times in seconds.items()},
    }
    text = json.dumps(figures, indent=1) + "\n"
    typer.echo(text)
    if out is not None:
        write_atomically(out, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    typer.run(main)
