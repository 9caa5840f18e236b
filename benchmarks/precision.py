"""Whether networks trained in bf16 are as good as those trained in float32: a test of equivalence.

    python -m benchmarks.precision [--seeds 10] [--out FILE]

The networks of the profiles quick and sample are trained on poisoned digits, digits-events and,
where $SNNBD_DATA has them, real recordings of N-MNIST, from the same seeds in both precisions, with
one thread. Two one-sided t-tests (TOST) on the differences of a seed's two networks say whether
their mean lies within a margin, for the accuracy on clean samples and for the attack's success.
The margin is fixed in advance: two standard deviations of float32 over the seeds, which is where
another seed may fall, but at least one percentage point.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy import stats

import snnbd_core as sb
from benchmarks.measure import machine
from snnbd_book.runs import Experiment
from snnbd_core.files import write_atomically

SETS = {"digits": "quick", "digits-events": "quick", "nmnist": "sample"}
MEASURES = ("clean_accuracy", "attack_success_rate")
TRIGGER = sb.triggers.Static(size=0.1, position="bottom-right", polarity="on")
PATCH = sb.triggers.Patch(size=0.2)  # for images
RATE = 0.1
LEAST = 0.01  # of a margin


def trained(data: str, seed: int, precision: str) -> dict[str, float]:
    """Clean accuracy and success of one network."""
    usual = Experiment.for_profile(SETS[data])
    train, test = sb.data.load(data, frames=usual.frames)
    trigger = PATCH if train.kind == "image" else TRIGGER
    net = sb.networks.build(
        usual.network, train.input_shape, train.classes, neuron=usual.neuron.build, seed=seed
    )
    history = sb.learning.train(
        net,
        sb.poison(train, trigger, rate=RATE, target=0, seed=seed),
        epochs=usual.epochs,
        batch_size=usual.batch_size,
        learning_rate=usual.learning_rate,
        steps=usual.frames,
        seed=seed,
        device="cpu",
        precision=precision,
        progress=False,
    )
    assert history.precision == precision
    report = sb.evaluate(net, test, trigger, target=0, steps=usual.frames, device="cpu")
    return {name: float(getattr(report, name)) for name in MEASURES}


def equivalence(whole: np.ndarray, half: np.ndarray) -> dict[str, Any]:
    """TOST of paired values: the mean difference, its 90 % interval, the margin and the p-value."""
    difference = half - whole
    margin = max(2 * float(whole.std(ddof=1)), LEAST)
    error = stats.sem(difference)
    if error == 0:  # all pairs differ alike
        p = float(abs(difference[0]) >= margin)
        interval = (difference[0], difference[0])
    else:
        above = stats.ttest_1samp(difference, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(difference, margin, alternative="less").pvalue
        p = float(max(above, below))
        interval = stats.t.interval(0.9, len(difference) - 1, difference.mean(), error)
    return {
        "float32": whole.tolist(),
        "bf16": half.tolist(),
        "difference": float(difference.mean()),
        "interval": [float(bound) for bound in interval],
        "margin": margin,
        "p": p,
        "equivalent": p < 0.05,
    }


def main(
    seeds: Annotated[int, typer.Option(min=3, help="Networks in each precision.")] = 10,
    out: Annotated[Path | None, typer.Option(help="A file for the figures, JSON.")] = None,
) -> None:
    """Train in both precisions and test for equivalence."""
    torch.set_num_threads(1)
    sets = [name for name in SETS if name != "nmnist" or os.environ.get("SNNBD_DATA")]
    figures: dict[str, Any] = {"machine": machine(1), "rate": RATE, "sets": {}}
    for name in sets:
        rows = {
            precision: [trained(name, seed, precision) for seed in range(seeds)]
            for precision in ("float32", "bf16")
        }
        figures["sets"][name] = {
            measure: equivalence(
                *(np.array([row[measure] for row in rows[of]]) for of in ("float32", "bf16"))
            )
            for measure in MEASURES
        }
        typer.echo(json.dumps({name: figures["sets"][name]}, indent=1))
    if out is not None:
        text = json.dumps(figures, indent=1) + "\n"
        write_atomically(out, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    typer.run(main)
